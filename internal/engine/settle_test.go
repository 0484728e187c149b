package engine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// refuseSendBack has send-backs refused by a broker, all of them unless only is a broker's name.
func refuseSendBack(only string, answer *frame.Frame) func(c *scriptedConn, req *frame.Frame) *frame.Frame {
	return func(c *scriptedConn, req *frame.Frame) *frame.Frame {
		if req.Code == protocol.ReqSendBack && (only == "" || c.broker.name == only) {
			return answer
		}
		return nil
	}
}

// TestSendBackIsRepeated until it works; meanwhile the message counts as unfinished.
func TestSendBackIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, "bad", "good")
		r.Script(refuseSendBack("", refuse(protocol.CodeSystemError, "disk full")))
		g := &got{}
		e := r.run(config(func(_ context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "bad" && m.Attempt() == 1 {
				return errTest
			}
			g.add(m)
			return nil
		}))
		time.Sleep(10 * time.Minute)
		if s := e.Snapshot(); s.Unsettled != 1 || s.Topics["t"].Cached != 1 {
			t.Errorf("%d unsettled, %d held, want 1 and 1", s.Unsettled, s.Topics["t"].Cached)
		}
		if got := r.Offset(groupG, topicT, 0); got != 0 {
			t.Errorf("committed %d over a message that is not settled", got)
		}
		if n := r.logs.count("level=WARN"); n > 60 {
			t.Errorf("%d warnings about one message in 10 minutes", n)
		}
		r.Script(nil)
		eventually(t, "settled and retried", func() bool { return e.Snapshot().Unsettled == 0 && g.len() == 2 })
		time.Sleep(time.Second)
		if got := r.Offset(groupG, topicT, 0); got != 2 {
			t.Errorf("committed %d, want 2", got)
		}
		e.mustStop()
	})
}

// TestSendBackAtTheStop: what can't be sent back until the drain is over is not acknowledged: it comes again.
func TestSendBackAtTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 1)
		s.Send(topicT, 0, "m", "n")
		r := rigOn(t, s, "one")
		s.Script(refuseSendBack("", refuse(protocol.CodeSystemError, "disk full")))
		var handled atomic.Int32
		handle := func(_ context.Context, m *rocketkit.Message) error {
			handled.Add(1)
			if string(m.Body()) == "m" {
				return errTest
			}
			return nil
		}
		e := r.run(config(handle))
		eventually(t, "one unsettled", func() bool { return e.Snapshot().Unsettled == 1 })
		start := time.Now()
		err := e.stop()
		if err == nil {
			t.Error("Run returned nil though a message is neither acknowledged nor sent back")
		}
		if took := time.Since(start); took > 45*time.Second {
			t.Errorf("took %v", took)
		}
		if got := s.Offset(groupG, topicT, 0); got != 0 {
			t.Errorf("committed %d", got)
		}
		s.Script(nil)
		e = rigOn(t, s, "two").run(config(handle))
		eventually(t, "delivered again", func() bool { return handled.Load() >= 4 })
		time.Sleep(time.Second)
		if got := s.Offset(groupG, topicT, 0); got != 2 {
			t.Errorf("committed %d, want 2", got)
		}
		e.mustStop()
	})
}

// TestCanceledHandlersSendBack: handlers whose context ended with the drain have failed like others; their messages go back
// before the consumer is gone.
func TestCanceledHandlersSendBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 200)...)
		cfg := config(func(ctx context.Context, _ *rocketkit.Message) error { <-ctx.Done(); return ctx.Err() })
		cfg.Topics = map[string]Topic{"t": {Workers: 200, Handle: cfg.Topics["t"].Handle}}
		cfg.Drain = time.Second
		r.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame { // 50 ms there and back
			if req.Code == protocol.ReqSendBack {
				time.AfterFunc(50*time.Millisecond, func() { c.handle(req) })
				return noAnswer
			}
			return nil
		})
		e := r.run(cfg)
		eventually(t, "all begun", func() bool { return e.Snapshot().Topics["t"].Active == 200 })
		e.mustStop()
		if got := r.Offset(groupG, topicT, 0); got != 200 {
			t.Errorf("committed %d, want 200", got)
		}
	})
}

// TestBlackHoledSendBacks: a broker that doesn't answer holds up its own messages only.
func TestBlackHoledSendBacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("a", "b")
		s.Topic(topicT, 1)
		r := rigOn(t, s, "one")
		s.mu.Lock()
		for i := range 50 {
			s.brokers["b"].store(&protocol.Message{Topic: topicT, Body: fmt.Append(nil, "b", i)})
		}
		s.mu.Unlock()
		s.Script(refuseSendBack("b", noAnswer))
		cfg := config(func(_ context.Context, m *rocketkit.Message) error {
			if m.Attempt() == 1 {
				return errTest
			}
			return nil
		})
		cfg.Topics = map[string]Topic{"t": {Workers: 64, Handle: cfg.Topics["t"].Handle}}
		cfg.Drain = time.Second
		e := r.run(cfg)
		time.Sleep(10 * time.Second)
		s.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame { // a refuses once, so that its messages wait in line too
			if req.Code == protocol.ReqSendBack {
				if c.broker.name == "a" {
					s.Script(refuseSendBack("b", noAnswer))
				}
				return noAnswer
			}
			return nil
		})
		s.Send(topicT, 0, "a")
		start := time.Now()
		time.Sleep(time.Minute)
		if got := s.Offset(groupG, topicT, 0); got != 1 {
			t.Errorf("%v after it failed, a's message waits for b's 50", time.Since(start))
		}
		_ = e.stop()
	})
}

// TestMessageThatIsGone: a message that the broker has deleted since can never be sent back, and must not hold its queue
// for ever.
func TestMessageThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, "m", "n")
		e := r.run(config(func(_ context.Context, m *rocketkit.Message) error {
			if m.Offset() == 0 {
				r.mu.Lock()
				r.brokers["b"].log[0] = nil
				r.mu.Unlock()
				return errTest
			}
			return nil
		}))
		time.Sleep(24 * time.Minute)
		if got := r.Offset(groupG, topicT, 0); got != 2 {
			t.Errorf("committed %d after 24 minutes, want 2: its message no longer exists (%d unsettled)", got, e.Snapshot().Unsettled)
		}
		if !strings.Contains(strings.Join(r.logs.lines(), "\n"), "level=ERROR") {
			t.Error("that a message is lost is no error in the log")
		}
		e.cfg.Drain = 0
		e.cancel()
	})
}

// TestFailingTopicDoesNotFlood: when every message fails, the log says so without a line for each.
func TestFailingTopicDoesNotFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 5000)...)
		cfg := config(func(_ context.Context, m *rocketkit.Message) error {
			if m.Attempt() == 1 {
				return errTest
			}
			return nil
		})
		e := r.run(cfg)
		time.Sleep(time.Minute)
		if n := r.logs.count("level=WARN"); n > 500 {
			t.Errorf("%d warnings in a minute", n)
		}
		e.mustStop()
	})
}
