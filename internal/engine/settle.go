package engine

import (
	"context"
	"sync"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// settler repeats the send-backs that failed until they work: a failed send-back must never become an acknowledgement,
// and a plain send to the retry topic is no way out, since brokers of 5.x dead-letter that while the group holds a lock.
type settler struct {
	mu      sync.Mutex
	pending []unsettled
	closed  bool
}

type unsettled struct {
	task    task
	level   int32
	failure error
}

func (s *settler) add(u unsettled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		u.task.window.abandon()
		return
	}
	s.pending = append(s.pending, u)
}

func (s *settler) take() []unsettled {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := s.pending
	s.pending = nil
	return pending
}

// run tries again each backoff until ctx ends; what is left then is abandoned, to be delivered again to whoever owns its
// queue.
func (s *settler) run(ctx context.Context, e *Engine) {
	for wait := minBackoff; sleep(ctx, wait) == nil; {
		failed := 0
		for _, u := range s.take() {
			if u.failure = e.sendBack(ctx, u.task, u.level); u.failure == nil {
				u.task.finish()
				continue
			}
			failed++
			e.log.Warn("message not sent back yet, trying again", "topic", u.task.name(), "id", u.task.raw.ID(), "error", u.failure)
			s.add(u)
		}
		if wait = minBackoff; failed > 0 {
			wait = maxBackoff
		}
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, u := range s.take() {
		e.log.Warn("message not sent back; it will be delivered again", "topic", u.task.name(), "id", u.task.raw.ID(), "error", u.failure)
		u.task.window.abandon()
	}
}

func (e *Engine) sendBackFrame(t task, level int32) *frame.Frame {
	origin, ok := t.raw.Properties.Get(protocol.PropertyOriginMessageID)
	if !ok {
		origin = t.raw.ID()
	}
	return protocol.SendBack{
		Group:             e.group,
		Offset:            t.raw.CommitLogOffset,
		DelayLevel:        level,
		OriginID:          origin,
		OriginTopic:       t.raw.Topic,
		MaxReconsumeTimes: int32(max(e.cfg.Retries, 0)),
		BrokerName:        t.queue.id.Broker,
	}.Frame()
}

// count is how many messages wait to be sent back.
func (s *settler) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}
