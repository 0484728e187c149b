package engine

import (
	"context"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// settler repeats the send-backs to one broker that failed, until they work: a failed send-back must never become an
// acknowledgement, and a plain send to the retry topic is no way out, since brokers of 5.x dead-letter that while the
// group holds a lock.
type settler struct {
	wanted chan struct{}

	mu      sync.Mutex
	pending []unsettled
	all     int // pending, and those being tried
	closed  bool
}

type unsettled struct {
	task      task
	level     int32
	unhandled bool // it goes back only to wait: that isn't a failure
}

// add takes a message over from its worker.
func (s *settler) add(u unsettled) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.pending = append(s.pending, u)
		s.all++
	}
	s.mu.Unlock()
	if closed {
		u.task.abandon()
		return
	}
	wake(s.wanted)
}

// take gives what is to be tried now; settled says how many of them the broker has taken, and which it hasn't.
func (s *settler) take() []unsettled {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := s.pending
	s.pending = nil
	return pending
}

func (s *settler) settled(n int, failed []unsettled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all -= n
	if s.pending = append(s.pending, failed...); len(failed) > 0 {
		wake(s.wanted)
	}
}

// count is how many messages the broker is still to take back.
func (s *settler) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// run tries again until ctx ends; what is left then is abandoned, to be delivered again to whoever owns its queue.
func (s *settler) run(ctx context.Context, e *Engine) {
	defer s.close(e)
	rounds(ctx, s.wanted, maxBackoff, func(failing bool) (time.Duration, error) {
		taken := s.take()
		trying := withoutLost(taken)
		failed, err := round(trying, func(u unsettled) error { return e.settleAgain(context.WithoutCancel(ctx), u) })
		s.settled(len(taken)-len(failed), failed)
		switch {
		case err != nil && !failing:
			e.log.Warn("failed messages are not taken back, trying on", "messages", len(failed), "error", err)
		case err == nil && failing:
			e.log.Info("failed messages are taken back again")
		}
		return minBackoff, err
	})
}

func (s *settler) close(e *Engine) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	pending := s.take()
	if len(pending) > 0 {
		e.log.Warn("failed messages were not taken back; they will be delivered again", "messages", len(pending))
	}
	for _, u := range pending {
		u.task.abandon()
	}
}

// withoutLost abandons the messages of queues that are no longer ours, whose next owner gets them anyway, and where an
// order is kept those of queues that have been given up for some time: who gets them next waits for their lanes.
func withoutLost(all []unsettled) (kept []unsettled) {
	kept = make([]unsettled, 0, len(all))
	for _, u := range all {
		end := u.task.window.ending()
		held := u.task.lane != nil && end.retired && time.Since(end.since) >= releaseWithin
		if held || u.task.queue.released.Load() || u.task.window.isStale() {
			u.task.abandon()
			continue
		}
		kept = append(kept, u)
	}
	return kept
}

func (e *Engine) settleAgain(ctx context.Context, u unsettled) error {
	most := e.retriesSent()
	if u.unhandled {
		most = neverDead
	}
	err := e.sendBackUpTo(ctx, u.task, u.level, most)
	if err != nil && isGone(err) {
		err = e.storeAnew(ctx, u.task, u.level, most)
	}
	if err == nil {
		u.task.finish()
	}
	return err
}

// sendBack has the broker write the message to the group's retry or dead-letter topic (CONSUMER_SEND_MSG_BACK 36).
func (e *Engine) sendBack(ctx context.Context, t task, level int32) error {
	return e.sendBackUpTo(ctx, t, level, e.retriesSent())
}

// retriesSent is what brokers are told of the retries a message may have; 0 leaves it to the group's setting there.
func (e *Engine) retriesSent() int32 { return int32(max(e.retriesNow.Load(), 0)) }

// sendBackUpTo is sendBack for a message that may have so many retries.
func (e *Engine) sendBackUpTo(ctx context.Context, t task, level, most int32) error {
	_, err := e.invoke(ctx, t.queue.id.Broker, t.queue.id.Topic, e.sendBackFrame(t, level, most))
	return err
}

func (e *Engine) sendBackFrame(t task, level, most int32) *frame.Frame {
	return protocol.SendBack{
		Group:             e.group,
		Offset:            t.raw.CommitLogOffset,
		DelayLevel:        level,
		OriginID:          originID(t.raw),
		OriginTopic:       t.raw.Topic,
		MaxReconsumeTimes: most,
		BrokerName:        t.queue.id.Broker,
	}.Frame()
}

func originID(m *protocol.Message) string {
	if id, ok := m.Properties.Get(protocol.PropertyOriginMessageID); ok {
		return id
	}
	return m.OffsetID()
}
