package engine

import (
	"time"

	"github.com/rocketkit/rocketkit"
)

// Snapshot is the member at one moment.
type Snapshot struct {
	State  State
	Waits  string // what Starting waits for; empty when for nothing
	Topics map[string]TopicSnapshot

	Unsettled int // messages that failed and that the broker hasn't taken back yet

	OffsetsError string // what the last call of Config.Offsets failed of; empty when it worked
}

// TopicSnapshot is one topic of a Snapshot; the group's retry topic, which has no workers, is among them.
type TopicSnapshot struct {
	Workers, Active, Waiting int // waiting: pulled, no worker yet
	Cached                   int // pulled and not finished
	CachedBytes              int64
	Handled, Failed          int64
	LastError                string
	Queues                   []QueueSnapshot
}

// QueueSnapshot is one queue that the member owns.
type QueueSnapshot struct {
	Queue     rocketkit.Queue
	Position  int64 // next offset to pull; -1 when not known yet
	Committed int64 // -1 when not known
	Max       int64 // one past the newest message, as of the last pull
	LastPull  time.Time
	LastError string
}

// Snapshot reads the state of the member. It may be called at any time, from any goroutine.
func (e *Engine) Snapshot() Snapshot {
	e.mu.Lock()
	s := Snapshot{State: e.state, Waits: e.waits, Topics: make(map[string]TopicSnapshot, len(e.topics))}
	for _, b := range e.brokers {
		s.Unsettled += b.backs.count()
	}
	e.mu.Unlock()
	s.OffsetsError = e.keep.lastError()
	queues := map[*topic][]QueueSnapshot{}
	for _, q := range e.allQueues() {
		queues[q.topic] = append(queues[q.topic], q.snapshot())
	}
	for _, t := range e.topics {
		s.Topics[t.name] = t.snapshot(queues[t])
	}
	return s
}

func (t *topic) snapshot(queues []QueueSnapshot) TopicSnapshot {
	s := TopicSnapshot{Handled: t.handled.Load(), Failed: t.failed.Load(), Queues: queues}
	s.Cached, s.CachedBytes = t.budget.held()
	if text := t.lastError.Load(); text != nil {
		s.LastError = *text
	}
	if t.pool != nil {
		p := t.pool.Stats()
		s.Workers, s.Active, s.Waiting = p.Workers, p.Active, p.Waiting
	}
	return s
}

func (q *queue) snapshot() QueueSnapshot {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := QueueSnapshot{Queue: q.public, Position: -1, Committed: q.committed, Max: q.maxOffset, LastPull: q.pulled}
	if q.window != nil {
		s.Position = q.position
	}
	if q.engine.keep != nil {
		s.Committed = q.kept
	}
	if q.why != nil {
		s.LastError = q.why.Error()
	}
	return s
}
