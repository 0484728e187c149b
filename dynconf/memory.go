package dynconf

import (
	"context"
	"sync"
)

// Memory is a [Source] that a program or a test fills itself. Its zero value holds no document. Safe for concurrent use.
type Memory struct {
	mu       sync.Mutex
	texts    map[ID]string
	watchers map[ID]map[chan struct{}]bool
}

// NewMemory makes a Memory without documents.
func NewMemory() *Memory { return &Memory{} }

// Set makes text the document of id, as [Document.Encode] gives it; an empty text removes it. Every watcher of id is told
// at once, without a wait for what it does then. Of several texts that are set at the same time, the last is what counts.
func (m *Memory) Set(id ID, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.texts == nil {
		m.texts = map[ID]string{}
	}
	m.texts[id] = text
	for watcher := range m.watchers[id] {
		select {
		case watcher <- struct{}{}:
		default: // it hasn't read the last one yet
		}
	}
}

// Watch is [Source]'s.
func (m *Memory) Watch(ctx context.Context, id ID, found func(text string, err error)) {
	changed := make(chan struct{}, 1)
	text := m.enter(id, changed)
	defer m.leave(id, changed)
	for ctx.Err() == nil {
		found(text, nil)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		text = m.texts[id]
		m.mu.Unlock()
	}
}

func (m *Memory) enter(id ID, changed chan struct{}) (text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watchers == nil {
		m.watchers = map[ID]map[chan struct{}]bool{}
	}
	if m.watchers[id] == nil {
		m.watchers[id] = map[chan struct{}]bool{}
	}
	m.watchers[id][changed] = true
	return m.texts[id]
}

func (m *Memory) leave(id ID, changed chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers[id], changed)
}

// String is [Source]'s.
func (m *Memory) String() string { return "memory" }
