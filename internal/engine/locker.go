package engine

import (
	"context"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// locker keeps the locks on one broker's queues: it asks for those that are wanted, renews those that are held, and gives
// back those that aren't needed any more, one request at a time, so that none is asked for behind its giving back.
type locker struct {
	wanted chan struct{}

	mu      sync.Mutex
	queues  map[protocol.Queue]*queue // wanted, held, or still held while they are let go
	giving  []giving
	pause   time.Duration // until the refused ones are asked for again
	pollAt  time.Time
	renewAt time.Time
	failing bool // of which the log knows
}

type giving struct {
	queue *queue
	done  chan struct{}
}

func newLocker() locker {
	return locker{wanted: make(chan struct{}, 1), queues: map[protocol.Queue]*queue{}}
}

// want has the queue's lock asked for.
func (l *locker) want(q *queue) {
	l.mu.Lock()
	l.queues[q.id] = q
	l.mu.Unlock()
	wake(l.wanted)
}

// giveBack unlocks a queue and returns when the broker has answered, or can't be reached.
func (l *locker) giveBack(q *queue) {
	g := giving{q, make(chan struct{})}
	l.mu.Lock()
	l.forget(q)
	l.giving = append(l.giving, g)
	l.mu.Unlock()
	wake(l.wanted)
	<-g.done
}

// passOn leaves the lock to a newer ownership of the queue.
func (l *locker) passOn(q *queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(q)
}

func (l *locker) forget(q *queue) {
	if l.queues[q.id] == q {
		delete(l.queues, q.id)
	}
}

// renewNow has all locks confirmed: a broker that was restarted has forgotten them.
func (l *locker) renewNow() {
	l.mu.Lock()
	l.renewAt = time.Time{}
	l.mu.Unlock()
	wake(l.wanted)
}

// run works until ctx ends. Its requests don't end with ctx: one that was given up could reach the broker after the
// unlocking.
func (l *locker) run(ctx context.Context, e *Engine) {
	timer := time.NewTimer(renewEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wanted:
		case <-timer.C:
		}
		l.unlock(context.WithoutCancel(ctx), e)
		l.lock(context.WithoutCancel(ctx), e)
		timer.Reset(time.Until(l.next()))
	}
}

// unlock gives back what is to be given back.
func (l *locker) unlock(ctx context.Context, e *Engine) {
	l.mu.Lock()
	all := l.giving
	l.giving = nil
	var queues []*queue
	for _, g := range all {
		if g.queue.mayHoldLock() {
			queues = append(queues, g.queue)
		}
	}
	l.mu.Unlock()
	if len(queues) > 0 {
		if err := e.unlockQueues(ctx, queues); err != nil {
			e.log.Debug("locks not given back; the next owners ask us whether we have them", "queues", len(queues), "error", err)
		}
	}
	for _, g := range all {
		close(g.done)
	}
}

// mayHoldLock tells whether the broker may have our name on the queue: only a refusal says that it hasn't. Callers hold
// the locker's mu.
func (q *queue) mayHoldLock() bool { return !q.lock.refused }

// lock asks for what is due.
func (l *locker) lock(ctx context.Context, e *Engine) {
	queues := l.due()
	if len(queues) == 0 {
		return
	}
	at := e.clock()
	granted, err := e.lockQueues(ctx, queues)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && !isFinal(err) {
		l.failed(e, err)
		return
	}
	l.note(e, err)
	ask := false
	for _, q := range queues {
		if err == nil {
			q.lock.refused = !granted[q.id]
		}
		switch {
		case q.lock.state == lockLost:
		case err != nil: // it has no locks for us, so nobody waits for them
			q.lock.start(lockless)
			q.assure(at)
			q.waitsFor("")
		case granted[q.id]:
			q.lock.clear, q.lock.doubt = false, false
			q.lock.start(lockHeld)
			q.assure(at)
			q.waitsFor("")
		default:
			ask = q.refuse(at) || ask
		}
	}
	if ask {
		wake(e.asking)
	}
}

// due lists the queues to ask for now: all when it is time to renew, those that wait when some are new or it is time to
// try again.
func (l *locker) due() (queues []*queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	renewing := !now.Before(l.renewAt)
	fresh := false
	var waiting []*queue
	for _, q := range l.queues {
		switch q.lock.state {
		case lockWanted:
			fresh = true
			waiting = append(waiting, q)
		case lockRefused:
			waiting = append(waiting, q)
		case lockLost:
			continue
		}
		queues = append(queues, q)
	}
	switch {
	case fresh:
		l.pause = lockAtLeast
	case renewing:
	case now.Before(l.pollAt):
		return nil
	}
	l.pollAt = now.Add(l.pause)
	l.pause = min(2*l.pause, lockAtMost)
	if !renewing {
		queues = waiting
	} else {
		l.renewAt = now.Add(renewEvery)
	}
	return queues
}

// next is when something is to be done again.
func (l *locker) next() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		if q.lock.state == lockRefused || q.lock.state == lockWanted {
			return earlier(l.pollAt, l.renewAt)
		}
	}
	return l.renewAt
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// refuse does what a refusal asks for, and tells whether members are to be asked who has the lock.
func (q *queue) refuse(at int64) (ask bool) {
	switch q.lock.state {
	case lockWanted, lockRefused:
		if q.lock.clear {
			q.lock.start(lockless)
			q.assure(at)
			q.waitsFor("")
			return false
		}
		first := q.lock.state == lockWanted
		q.lock.state = lockRefused
		return first
	case lockHeld:
		q.lose("it was refused when it was to be renewed")
	case lockless:
		q.lock.doubt = true
		return true
	}
	return false
}

// failed puts off the next request. Callers hold mu.
func (l *locker) failed(e *Engine, err error) {
	l.pollAt, l.renewAt = time.Now().Add(maxBackoff), time.Now().Add(maxBackoff)
	if !l.failing {
		e.log.Warn("queue locks are not answered, trying on", "error", err)
	}
	l.failing = true
	for _, q := range l.queues {
		q.lock.clear = false // it may be somebody's by the time the broker answers
	}
}

func (l *locker) note(e *Engine, err error) {
	switch {
	case err != nil && !l.failing:
		e.log.Warn("no queue locks to be had from a broker, going on without: queues change hands as with members that don't lock", "error", err)
	case err == nil && l.failing:
		e.log.Info("queue locks work again")
	}
	l.failing = err != nil
}

// isFinal tells a broker's No from trouble that passes.
func isFinal(err error) bool {
	return isRefusal(err) && !protocol.HasCode(err, protocol.CodeSystemBusy)
}

// assureAll confirms once more, after run has ended, the locks that have been in doubt for too long to commit anything.
func (l *locker) assureAll(ctx context.Context, e *Engine, queues []*queue) {
	for _, q := range queues {
		if q.current() != nil && !q.lockValid() && !q.lock.lost.Load() {
			l.renewNow()
			l.lock(ctx, e)
			return
		}
	}
}

// giveAllBack unlocks queues after run has ended.
func (l *locker) giveAllBack(ctx context.Context, e *Engine, queues []*queue) {
	l.mu.Lock()
	for _, q := range queues {
		l.giving = append(l.giving, giving{q, make(chan struct{})})
	}
	l.mu.Unlock()
	l.unlock(ctx, e)
}
