package mqtest

import (
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// lockLife is how long a queue lock lasts after it was taken or renewed (RebalanceLockManager). The end of its holder's
// connection doesn't free it.
const lockLife = 60 * time.Second

type queueLock struct {
	clientID string
	renewed  time.Time
}

func (b *broker) expired(l *queueLock) bool { return b.now().Sub(l.renewed) > lockLife }

func (b *broker) lock(c *call) *frame.Frame {
	req, err := protocol.ParseLockRequest(c.req)
	if err != nil {
		return malformed(err)
	}
	locks := b.locks[req.Group]
	if locks == nil {
		locks = map[protocol.Queue]*queueLock{}
		b.locks[req.Group] = locks
	}
	var held []protocol.Queue
	for _, q := range req.Queues {
		l := locks[q]
		if l == nil || l.clientID == req.ClientID || b.expired(l) {
			locks[q] = &queueLock{req.ClientID, b.now()}
			held = append(held, q)
		}
	}
	b.cluster.state.change()
	return protocol.AnswerLocked(held)
}

func (b *broker) unlock(c *call) *frame.Frame {
	req, err := protocol.ParseUnlockRequest(c.req)
	if err != nil {
		return malformed(err)
	}
	for _, q := range req.Queues {
		if l := b.locks[req.Group][q]; l != nil && l.clientID == req.ClientID {
			delete(b.locks[req.Group], q)
		}
	}
	b.cluster.state.change()
	return &frame.Frame{}
}

// anyLocked tells whether a group holds a lock that hasn't expired.
func (b *broker) anyLocked(group string) bool {
	for _, l := range b.locks[group] {
		if !b.expired(l) {
			return true
		}
	}
	return false
}
