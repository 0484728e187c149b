package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// A queue is handed over under the broker's lock on it (LOCK_BATCH_MQ 41, UNLOCK_BATCH_MQ 42), which RocketMQ made for
// ordered consumption: who owns a queue holds its lock until it has finished and committed what it had begun, and who
// gets it next waits for that. A lock keeps nobody from pulling or committing; it only says whose turn it is, and it
// lapses 60 s after it was last renewed, whether or not its holder lives.

// What locks need, in time.
const (
	renewEvery  = 20 * time.Second // the Java client's rocketmq.client.rebalance.lockInterval
	lockGood    = 50 * time.Second // how long a confirmation counts; brokers keep a lock for 60 s (RebalanceLockManager)
	lockAtLeast = 50 * time.Millisecond
	lockAtMost  = 250 * time.Millisecond // between requests for a lock that somebody holds
)

// lockState is how a queue stands with its lock.
type lockState int

const (
	lockWanted  lockState = iota // not asked for yet
	lockRefused                  // somebody holds it, so that the queue waits
	lockHeld
	lockless // gone on without: nobody who could be asked has it
	lockLost // somebody took it after it was ours, so the queue is another's
)

// lock is a queue's part in the broker's lock on it. Its locker guards what isn't atomic.
type lock struct {
	state   lockState
	refused bool          // the last answer named it not; without an answer it may have been granted
	clear   bool          // nobody who could be asked has it: the next refusal is a dead member's lease
	doubt   bool          // a renewal without it was refused again: is it still a dead member's?
	begin   chan struct{} // closed when the queue may be pulled
	assured atomic.Int64  // when nobody else could have the queue, in ns since the engine's start; 0: now and here somebody can
	lost    atomic.Bool
}

// lockValid tells whether no other member can have the queue: the broker has confirmed our lock within the last 50 s, by
// the monotonic clock, or nobody alive had it then. What must not run twice at a time asks it before it begins: a
// process that was stopped for minutes and goes on finds its lock void.
func (q *queue) lockValid() bool {
	if q.engine.cfg.Broadcast {
		return true // each member has the queue for itself
	}
	at := q.lock.assured.Load()
	return at != 0 && q.engine.clock()-at < int64(lockGood)
}

// clock is the monotonic clock, in ns from 1 at the engine's start.
func (e *Engine) clock() int64 { return int64(time.Since(e.started)) + 1 }

// wantLock has the lock asked for; where every member owns all queues there is none, and the queue begins.
func (q *queue) wantLock() {
	if q.engine.cfg.Broadcast {
		q.broker.locks.mu.Lock()
		defer q.broker.locks.mu.Unlock()
		q.lock.start(lockless)
		return
	}
	q.broker.locks.want(q)
}

// awaitLock waits until the queue may be pulled.
func (q *queue) awaitLock(ctx context.Context) error {
	select {
	case <-q.lock.begin:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// assure notes that at that time nobody else had the queue. What couldn't be committed for doubt can be now.
func (q *queue) assure(at int64) {
	valid := q.lockValid()
	q.lock.assured.Store(at)
	if !valid && q.current() != nil {
		q.moved()
	}
}

// start lets the queue be pulled, in the state given.
func (l *lock) start(s lockState) {
	waits := l.state == lockWanted || l.state == lockRefused
	if l.state = s; waits {
		close(l.begin)
	}
}

// lose gives up a queue that another member has: nothing more of it begins or is committed, and what runs is left alone.
// The next rebalance lets it go.
func (q *queue) lose(why string) {
	q.lock.state = lockLost
	q.lock.assured.Store(0)
	if q.lock.lost.Swap(true) {
		return
	}
	q.engine.log.Warn("queue lost: another member holds its lock", "queue", q.public, "because", why)
	if w := q.current(); w != nil {
		w.discard()
	}
	wake(q.engine.again)
}

// waitsFor shows whom the queue's lock is waited for; empty for nobody.
func (q *queue) waitsFor(whom string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lockWait = whom
}

// lockQueues asks a broker for locks, or renews them, and returns which were granted (LOCK_BATCH_MQ 41).
func (e *Engine) lockQueues(ctx context.Context, queues []*queue) (granted map[protocol.Queue]bool, err error) {
	req := protocol.LockQueues{Group: e.group, ClientID: e.view.ClientID(), Queues: idsOf(queues)}.Frame()
	answer, err := e.call(ctx, queues[0].id.Broker, queues[0].id.Topic, req)
	if err != nil {
		return nil, err
	}
	ids, err := protocol.ParseLockQueues(answer)
	if err != nil {
		return nil, err
	}
	granted = make(map[protocol.Queue]bool, len(ids))
	for _, id := range ids {
		granted[id] = true
	}
	return granted, nil
}

// unlockQueues gives locks back (UNLOCK_BATCH_MQ 42). Those that aren't ours stay as they are.
func (e *Engine) unlockQueues(ctx context.Context, queues []*queue) error {
	req := protocol.UnlockQueues{Group: e.group, ClientID: e.view.ClientID(), Queues: idsOf(queues)}.Frame()
	_, err := e.invoke(ctx, queues[0].id.Broker, queues[0].id.Topic, req)
	return err
}

func idsOf(queues []*queue) []protocol.Queue {
	ids := make([]protocol.Queue, len(queues))
	for i, q := range queues {
		ids[i] = q.id
	}
	return ids
}

// believedHeld is what we tell others of the queue's lock: that it is ours from when we begin until we have let the queue
// go, with the broker's lock or without. The time is that of its last confirmation, in ms since 1970; 0 when there is none.
func (q *queue) believedHeld() (held bool, confirmed int64) {
	l := &q.broker.locks
	l.mu.Lock()
	state := q.lock.state
	l.mu.Unlock()
	if at := q.lock.assured.Load(); at != 0 {
		confirmed = q.engine.started.Add(time.Duration(at)).UnixMilli()
	}
	return state == lockHeld || state == lockless, confirmed
}
