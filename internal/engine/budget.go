package engine

import "sync"

// budget bounds what a topic holds in memory: messages pulled and not yet finished. A queue asks it before each pull.
// All budgets of a consumer share its allowance of bytes; a topic that holds nothing may always pull, so that one slow
// topic cannot starve another of it.
type budget struct {
	mu       sync.Mutex
	messages int
	bytes    int64
	parked   []chan struct{}

	maxMessages int
	maxBytes    int64
	shared      *allowance
}

// allowance is the bytes that all topics of a consumer may hold together.
type allowance struct {
	mu    sync.Mutex
	bytes int64
	max   int64
}

func (a *allowance) add(bytes int64) {
	a.mu.Lock()
	a.bytes += bytes
	a.mu.Unlock()
}

func (a *allowance) left() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes < a.max
}

// admits tells whether a queue may pull now; if not, room is woken once it is worth asking again.
func (b *budget) admits(room chan struct{}) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.messages == 0 || b.messages < b.maxMessages && b.bytes < b.maxBytes && b.shared.left() {
		return true
	}
	b.parked = append(b.parked, room)
	return false
}

func (b *budget) take(messages int, bytes int64) {
	b.mu.Lock()
	b.messages += messages
	b.bytes += bytes
	b.mu.Unlock()
	b.shared.add(bytes)
}

// give returns what a finished or dropped message held and wakes the queues that wait for it.
func (b *budget) give(messages int, bytes int64) {
	b.shared.add(-bytes)
	b.mu.Lock()
	b.messages -= messages
	b.bytes -= bytes
	var woken []chan struct{}
	if len(b.parked) > 0 && (b.messages == 0 || b.messages < b.maxMessages && b.bytes < b.maxBytes) {
		woken, b.parked = b.parked, nil
	}
	b.mu.Unlock()
	for _, room := range woken {
		wake(room)
	}
}

func (b *budget) held() (messages int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.messages, b.bytes
}
