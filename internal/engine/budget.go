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
	mu     sync.Mutex
	bytes  int64
	max    int64
	parked []chan struct{}
}

// admits tells whether a queue may pull now; if not, room is woken once it is worth asking again.
func (b *budget) admits(room chan struct{}) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.messages == 0 {
		return true
	}
	if b.hasRoom() && b.shared.admits(room) {
		return true
	}
	b.parked = append(b.parked, room)
	return false
}

func (b *budget) hasRoom() bool { return b.messages < b.maxMessages && b.bytes < b.maxBytes }

func (a *allowance) admits(room chan struct{}) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes < a.max {
		return true
	}
	a.parked = append(a.parked, room)
	return false
}

// take charges what a queue has pulled.
func (b *budget) take(messages int, bytes int64) {
	b.mu.Lock()
	b.messages += messages
	b.bytes += bytes
	b.mu.Unlock()
	b.shared.add(bytes)
}

// give returns what a finished or dropped message held and wakes the queues that wait for it.
func (b *budget) give(messages int, bytes int64) {
	b.mu.Lock()
	b.messages -= messages
	b.bytes -= bytes
	var woken []chan struct{}
	if b.messages == 0 || b.hasRoom() {
		woken, b.parked = b.parked, nil
	}
	b.mu.Unlock()
	wakeAll(woken)
	b.shared.add(-bytes)
}

func (a *allowance) add(bytes int64) {
	a.mu.Lock()
	a.bytes += bytes
	var woken []chan struct{}
	if a.bytes < a.max {
		woken, a.parked = a.parked, nil
	}
	a.mu.Unlock()
	wakeAll(woken)
}

// resize changes how many messages there is room for.
func (b *budget) resize(maxMessages int) {
	b.mu.Lock()
	b.maxMessages = maxMessages
	var woken []chan struct{}
	if b.hasRoom() {
		woken, b.parked = b.parked, nil
	}
	b.mu.Unlock()
	wakeAll(woken)
}

// hasOwnRoom tells whether the topic may hold more, whatever the others hold.
func (b *budget) hasOwnRoom() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hasRoom()
}

func (b *budget) held() (messages int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.messages, b.bytes
}

func (a *allowance) held() (bytes, most int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes, a.max
}

func wakeAll(parked []chan struct{}) {
	for _, room := range parked {
		wake(room)
	}
}
