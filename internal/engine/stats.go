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

	Retries   int // as Config.Retries
	Unsettled int // messages that failed and that the broker hasn't taken back yet
	Differing []Difference

	OffsetsError string // what the last call of Config.Offsets failed of; empty when it worked
}

// TopicSnapshot is one topic of a Snapshot; the group's retry topic, which has no workers, is among them.
type TopicSnapshot struct {
	Live                // of topics with workers
	Size            int // of the pool: how many workers there may be now, Workers or as many more as it has grown by
	Active, Waiting int // waiting: pulled, no worker yet
	Cached          int // pulled and not finished
	CachedBytes     int64
	Handled, Failed int64
	HeldBack        int64 // how often a queue has stopped pulling for want of room
	Times           Times
	Longest         RunningHandler
	LastError       string
	LastErrorTime   time.Time
	Queues          []QueueSnapshot
}

// RunningHandler is a handler that runs; zero when none does.
type RunningHandler struct {
	ID     string // of its message
	Queue  rocketkit.Queue
	Offset int64
	Since  time.Time
}

// QueueSnapshot is one queue that the member owns.
type QueueSnapshot struct {
	Queue     rocketkit.Queue
	Position  int64 // next offset to pull; -1 when not known yet
	Committed int64 // -1 when not known
	Max       int64 // one past the newest message, as of the last pull
	Skipped   int64 // messages that had expired before they were received
	LastPull  time.Time
	LastError string

	Lag             int64 // stored and not finished, as of the last pull; -1 when not known
	Cached          int   // pulled and not finished
	Active, Waiting int
	RunningSince    time.Time // of the handler that has run longest; zero when none runs
	HeldBy          string    // what keeps it from going on; empty when nothing does
}

// Snapshot reads the state of the member. It may be called at any time, from any goroutine.
func (e *Engine) Snapshot() Snapshot {
	e.mu.Lock()
	s := Snapshot{State: e.state, Waits: e.waits, Topics: make(map[string]TopicSnapshot, len(e.topics))}
	began := e.started
	for _, b := range e.brokers {
		s.Unsettled += b.backs.count()
	}
	e.mu.Unlock()
	s.Differing = e.others.differing()
	s.OffsetsError = e.keep.lastError()
	s.Retries = int(e.retriesNow.Load())
	live := e.Live()
	queues := map[*topic][]QueueSnapshot{}
	for _, q := range e.allQueues() {
		queues[q.topic] = append(queues[q.topic], q.snapshot())
	}
	for _, t := range e.topics {
		topic := t.snapshot(began, queues[t])
		topic.Live = live[t.name]
		s.Topics[t.name] = topic
	}
	return s
}

func (t *topic) snapshot(began time.Time, queues []QueueSnapshot) TopicSnapshot {
	s := TopicSnapshot{Handled: t.handled.Load(), Failed: t.failed.Load(), Queues: queues}
	s.Cached, s.CachedBytes = t.budget.held()
	s.HeldBack = t.heldBack.Load()
	s.Times, _, _ = t.times.recent(time.Now(), began)
	if h := t.longest(); h != nil {
		s.Longest = RunningHandler{ID: h.raw.ID(), Queue: h.queue.public, Offset: h.offset, Since: h.began}
	}
	if f := t.lastError.Load(); f != nil {
		s.LastError, s.LastErrorTime = f.text, f.at
	}
	if t.pool != nil {
		p := t.pool.Stats()
		s.Size, s.Active, s.Waiting = p.Workers, p.Active, p.Waiting
	}
	if t.batches != nil { // messages count, not batches
		s.Waiting, s.Active = t.batches.counts()
	}
	return s
}

func (q *queue) snapshot() QueueSnapshot {
	heldBy := q.heldBy()
	active, longest := q.running()
	q.mu.Lock()
	defer q.mu.Unlock()
	s := QueueSnapshot{
		Queue: q.public, Position: -1, Committed: q.committed, Max: q.maxOffset, Skipped: q.skipped, LastPull: q.pulled,
		Lag: -1, Active: active, HeldBy: heldBy,
	}
	if longest != nil {
		s.RunningSince = longest.began
	}
	if w := q.window; w != nil {
		counts := w.counts()
		s.Position, s.Cached, s.Waiting = q.position, counts.cached, counts.waiting
		if !q.pulled.IsZero() {
			s.Lag = max(q.maxOffset-w.floor(), 0)
		}
	}
	if q.engine.keep != nil {
		s.Committed = q.kept
	}
	if q.why != nil {
		s.LastError = q.why.Error()
	}
	return s
}
