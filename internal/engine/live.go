package engine

import (
	"sync/atomic"
	"time"
)

// Live is what of a topic changes while the member runs.
type Live struct {
	Workers    int           // at least 1
	MaxWorkers int           // no more than Workers: as many
	Timeout    time.Duration // of handlers that begin from now on; 0: none
	Paused     bool          // none begins
}

// live is a topic's Live where it is read for each message.
type live struct {
	timeout atomic.Int64
	paused  atomic.Bool
	changes atomic.Uint32 // how often it was set: who holds a worker for several messages looks
}

// Live returns how the topics of the configuration were set last, by logical name.
func (e *Engine) Live() map[string]Live {
	e.setting.Lock()
	defer e.setting.Unlock()
	all := make(map[string]Live, len(e.cfg.Topics))
	for _, t := range e.topics {
		if t.pool != nil {
			all[t.name] = t.set
		}
	}
	return all
}

// Set changes a topic, by its logical name, before Run as well. It is in force when Set returns: as many handlers may run
// as it says, and none of a paused topic begins any more, but for one that is just being called. Handlers that run go on,
// with the time-out they began with. It reports false when there is no such topic.
//
// A paused topic pulls nothing, and what it has waits, but stays owned, locked and committed. Its retries wait as well,
// see parked.go.
func (e *Engine) Set(name string, to Live) bool {
	for _, t := range e.topics {
		if t.name == name && t.pool != nil {
			e.set(t, to)
			return true
		}
	}
	return false
}

func (e *Engine) set(t *topic, to Live) {
	e.setting.Lock()
	defer e.setting.Unlock()
	to.MaxWorkers = max(to.Workers, to.MaxWorkers)
	if to == t.set {
		return // idle workers beyond the core stay
	}
	t.set = to
	t.live.timeout.Store(int64(to.Timeout))
	was := t.live.paused.Swap(to.Paused)
	t.live.changes.Add(1)
	t.budget.resize(t.cfg.room(to.MaxWorkers))
	if to.Paused {
		t.pool.Resize(0, 0)
		t.dropEnded() // windows that ended before
		return
	}
	t.pool.Resize(to.Workers, to.MaxWorkers)
	if was {
		e.wakeQueues(t)
	}
}

// SetRetries changes how often a failing message is retried, as Config.Retries has it: of messages that fail from now on.
func (e *Engine) SetRetries(retries int) { e.retriesNow.Store(int64(retries)) }

// wakeQueues has the pull loops of a topic look again whether they may pull; nil means of all topics.
func (e *Engine) wakeQueues(t *topic) {
	for _, q := range e.allQueues() {
		if t == nil || q.topic == t {
			wake(q.room)
		}
	}
}

// pullsNothing tells whether the queue is paused, as its topic or the consumer is.
func (q *queue) pullsNothing() bool {
	return q.engine.paused.Load() || q.topic.live.paused.Load()
}

// room is how many messages a topic may hold with so many workers.
func (cfg Topic) room(workers int) int {
	n := max(minCached, cachedPerWork*workers)
	if cfg.HandleBatch != nil {
		n = max(n, min((workers+1)*cfg.BatchSize, maxBatched))
	}
	return n
}
