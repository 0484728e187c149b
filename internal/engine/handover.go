package engine

import (
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/internal/route"
)

// keepAway is how long the queues of a broker that is away are kept, though no route names it any more. What was handled
// since its last commits can only be committed when it is back, and by us; whoever else began there would repeat it.
const keepAway = 10 * time.Minute

// letGo ends the ownership: nothing more is pulled or begun, what runs may finish, what was finished is committed, and
// the lock is given back, so that who gets the queue next, and waits for the lock, begins behind it.
func (q *queue) letGo() {
	defer close(q.gone)
	q.stop()
	<-q.done
	if q.before != nil {
		<-q.before.gone
	}
	if w := q.current(); w != nil {
		q.finish(w)
	}
	if q.engine.cfg.Broadcast {
		return
	}
	if q.engine.hasNewer(q) {
		q.broker.locks.passOn(q)
	} else {
		q.broker.locks.giveBack(q)
	}
}

// finish waits for the handlers that run, and commits. In order, one message must not begin before the one before it has
// ended, wherever that is; else what takes longer than Config.Drain is left behind, as by a stop, and delivered again.
func (q *queue) finish(w *window) {
	if q.topic.keepsOrder() {
		q.awaitAll(w)
	} else {
		timer := time.NewTimer(q.engine.cfg.Drain)
		defer timer.Stop()
		select {
		case <-w.retire():
		case <-timer.C:
		case <-q.engine.gaveUp:
		}
	}
	if err := q.release(); err != nil {
		q.engine.log.Warn("last commit of a lost queue failed: its new owner repeats some messages", "queue", q.public, "error", err)
	}
}

// awaitAll waits for the handlers of a window, and for those from before a reset that still run.
func (q *queue) awaitAll(w *window) {
	w.retire()
	q.mu.Lock()
	windows := append(slices.Clone(q.former), w)
	q.mu.Unlock()
	for _, w := range windows {
		select {
		case <-w.idle:
		case <-q.engine.gaveUp:
		}
	}
}

// keepsOrder tells whether the topic's messages are handled in order.
func (t *topic) keepsOrder() bool { return t.cfg.Order != OrderNone }

// letGo lets a lost queue go.
func (e *Engine) letGo(q *queue) {
	q.letGo()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.going[q.id] == q {
		delete(e.going, q.id)
	}
}

// hasNewer tells whether we have got the queue again since we lost it: then the lock stays with us.
func (e *Engine) hasNewer(q *queue) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	newest := e.queues[q.id]
	if newest == nil {
		newest = e.going[q.id]
	}
	return newest != nil && newest != q
}

// keeps tells whether a queue that the topic's route lacks is kept, because its broker is away, or was when the route was
// read. Callers hold e.mu.
func (e *Engine) keeps(q *queue, r *route.Route, away map[string]bool) bool {
	if r.Nodes(q.id.Broker) != nil || !away[q.id.Broker] && !e.view.Away(q.id.Broker) {
		q.away = time.Time{}
		return false
	}
	if q.away.IsZero() {
		q.away = time.Now()
	}
	return time.Since(q.away) < keepAway
}
