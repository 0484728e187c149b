package engine

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// direct gives the request by which a broker has a member handle a stored message.
func (s *scripted) direct(topic, body string, properties ...string) *frame.Frame {
	s.SendWith(topic, 0, body, properties...)
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.brokers["b"].log
	req := protocol.ConsumeDirectly{Group: groupG, ClientID: "x", BrokerName: "b", Topic: topic}.Frame()
	req.Body = protocol.EncodeMessage(nil, log[len(log)-1])
	return req
}

func (r *running) direct(t *testing.T, req *frame.Frame) (protocol.ConsumeResult, error) {
	t.Helper()
	return protocol.ParseConsumeResult(r.serve(t.Context(), "b:10911", req))
}

// TestConsumeDirectly: the handler gets the message, and what it says is answered as RocketMQ's tools understand it.
func TestConsumeDirectly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(retryG, 1)
		r.Topic("red%other", 1)
		var direct atomic.Bool
		cfg := config(func(ctx context.Context, m *rocketkit.Message) error {
			if !direct.Load() {
				return nil
			}
			if m.Topic() != "t" || m.Queue().Broker != "b" {
				t.Errorf("message of %s from %v", m.Topic(), m.Queue())
			}
			switch body := string(m.Body()); {
			case strings.HasPrefix(body, "panic"):
				panic(body)
			case strings.HasPrefix(body, "exit"):
				runtime.Goexit()
			case strings.HasPrefix(body, "drop"):
				return &Verdict{Action: Drop, Why: errors.New("old")}
			case strings.HasPrefix(body, "letter"):
				return &Verdict{Action: DeadLetter, Why: errors.New("bad")}
			case strings.HasPrefix(body, "slow"):
				return sleep(ctx, 3*time.Second)
			case strings.HasPrefix(body, "fail"):
				return errors.New("no")
			case strings.HasPrefix(body, "deadline"):
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		cfg.Topics["t"] = Topic{Workers: 2, Timeout: 8 * time.Second, Handle: cfg.Topics["t"].Handle}
		e := r.run(cfg)
		ask := func(topic, body string, properties ...string) (protocol.ConsumeResult, error) {
			direct.Store(false)
			req := r.direct(topic, body, properties...)
			time.Sleep(time.Minute) // the member itself has consumed it by now
			direct.Store(true)
			return e.direct(t, req)
		}
		for body, want := range map[string]protocol.ConsumeResult{
			"good":     {AutoCommit: true, Result: protocol.ResultSuccess},
			"slow":     {AutoCommit: true, Result: protocol.ResultSuccess, SpentMillis: 3000},
			"fail":     {AutoCommit: true, Result: protocol.ResultLater, Remark: "no"},
			"deadline": {AutoCommit: true, Result: protocol.ResultLater, Remark: "context deadline exceeded", SpentMillis: 8000},
			"drop":     {AutoCommit: true, Result: protocol.ResultSuccess, Remark: "drop: old"},
			"letter":   {AutoCommit: true, Result: protocol.ResultLater, Remark: "dead letter: bad"},
			"panic":    {AutoCommit: true, Result: protocol.ResultThrew, Remark: "handler panicked: panic"},
			"exit":     {AutoCommit: true, Result: protocol.ResultThrew, Remark: "handler ended its goroutine (runtime.Goexit)"},
		} {
			if got, err := ask(topicT, body); err != nil || got != want {
				t.Errorf("%s: %+v, %v, want %+v", body, got, err, want)
			}
		}
		if got, err := ask(retryG, "retried", protocol.PropertyRetryTopic, topicT); err != nil || got.Result != protocol.ResultSuccess {
			t.Errorf("a message of the retry topic: %+v, %v", got, err)
		}
		if _, err := ask("red%other", "foreign"); !protocol.HasCode(err, protocol.CodeSystemError) || strings.Contains(err.Error(), "red%") {
			t.Errorf("a message of a topic without a handler: %v", err)
		}
		if s := e.Snapshot().Topics["t"]; s.Failed != 0 || len(r.Bodies(letterG))+len(r.Bodies(retryG)) != 1 {
			t.Errorf("direct handling has left something behind: %+v, retries %v, dead letters %v", s, r.Bodies(retryG), r.Bodies(letterG))
		}
		e.mustStop()
	})
}

// TestConsumeDirectlyWithAStuckPool: an operator gets an answer, and the message is handled, while every worker is stuck; and
// an answer within the broker's 10 s when the handler itself gets stuck.
func TestConsumeDirectlyWithAStuckPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic("red%other", 1)
		stuck := make(chan struct{})
		var good atomic.Int32
		cfg := config(func(_ context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "good" {
				good.Add(1)
				return nil
			}
			<-stuck
			return nil
		})
		e := r.run(cfg)
		r.Send(topicT, 0, numbered("stuck", 10)...)
		eventually(t, "all workers are stuck", func() bool { return e.Snapshot().Topics["t"].Active == 4 })
		began := time.Now()
		if got, err := e.direct(t, r.direct(topicT, "good")); err != nil || got.Result != protocol.ResultSuccess || time.Since(began) > 0 || good.Load() != 1 {
			t.Errorf("%+v, %v after %v, handled %d times", got, err, time.Since(began), good.Load())
		}
		_, err := e.direct(t, r.direct(topicT, "stuck"))
		if !protocol.HasCode(err, protocol.CodeConsumeTimeout) || time.Since(began) != directWithin {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ended, end := context.WithCancel(t.Context())
		end()
		for range directAtOnce - 1 {
			e.serve(ended, "b:10911", r.direct(topicT, "stuck"))
		}
		if _, err := e.direct(t, r.direct(topicT, "stuck")); !protocol.HasCode(err, protocol.CodeSystemBusy) {
			t.Errorf("one more than %d: %v", directAtOnce, err)
		}

		// What runs directly is drained like the rest, and nothing begins any more.
		stopping := make(chan error, 1)
		go func() { stopping <- e.stop() }()
		time.Sleep(time.Second)
		if _, err := e.direct(t, r.direct(topicT, "good")); !protocol.HasCode(err, protocol.CodeSystemBusy, protocol.CodeSystemError) {
			t.Errorf("while it is being stopped: %v", err)
		}
		select {
		case err := <-stopping:
			t.Errorf("stopped while handlers run: %v", err)
		default:
		}
		close(stuck)
		if err := <-stopping; err != nil {
			t.Error(err)
		}
	})
}
