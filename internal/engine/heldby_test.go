package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// held is what the Snapshot says of why queue 0 of t stands.
func (r *running) held() string {
	synctest.Wait()
	return queueOf(r.Snapshot().Topics["t"], 0).HeldBy
}

func (r *running) wantHeld(when string, parts ...string) {
	r.t.Helper()
	held := r.held()
	for _, part := range parts {
		if !strings.Contains(held, part) || held == "" != (part == "") {
			r.t.Errorf("%s: held by %q, want %q in it", when, held, part)
		}
	}
}

// TestHeldBy: the Snapshot says of a queue that stands what it waits for, and nothing of one that moves.
func TestHeldBy(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]func(r *rig){
		"failing pulls":   heldByPulls,
		"slow handler":    heldByHandler,
		"full budget":     heldByBudget,
		"full window":     heldByWindow,
		"busy workers":    heldByWorkers,
		"paused topic":    heldByPause,
		"failing message": heldByFailing,
		"being given up":  heldByGivingUp,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				try(r)
			})
		})
	}
}

// blockedBy consumes t on some workers, whose handlers wait for release where stuck says so.
func (r *rig) blockedBy(workers int, stuck func(m *rocketkit.Message) bool) (e *running, release func()) {
	released, free := context.WithCancel(context.Background())
	r.t.Cleanup(free)
	cfg := config(nil)
	cfg.Topics["t"] = Topic{Workers: workers, Handle: func(ctx context.Context, m *rocketkit.Message) error {
		if stuck(m) {
			select {
			case <-released.Done():
			case <-ctx.Done():
			}
		}
		return nil
	}}
	return r.run(cfg), free
}

func all(*rocketkit.Message) bool     { return true }
func first(m *rocketkit.Message) bool { return m.Offset() == 0 }

func heldByPulls(r *rig) {
	e := r.run(config((&got{}).handle))
	e.wantHeld("at its end", "")
	r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
		if req.Code == protocol.ReqPullMessage {
			return refuse(protocol.CodeSystemError, "disk of red%t broken")
		}
		return nil
	})
	r.Send(topicT, 0, "m")
	time.Sleep(time.Minute)
	e.wantHeld("pulls are refused", "pulls fail: ", "disk of t broken")
	r.Script(nil)
	time.Sleep(time.Minute)
	e.wantHeld("pulls work again", "")
}

func heldByHandler(r *rig) {
	e, release := r.blockedBy(4, first)
	r.Send(topicT, 0, "m0", "m1")
	time.Sleep(900 * time.Millisecond)
	e.wantHeld("the handler has just begun", "")
	time.Sleep(time.Minute)
	e.wantHeld("a handler runs", "handler of message id-m0, offset 0 of t/b/0, which has run for 1m0.")
	release()
	e.wantHeld("it has returned", "")
}

func heldByBudget(r *rig) {
	e, release := r.blockedBy(1, all)
	r.Send(topicT, 0, numbered("m", 2*minCached)...)
	eventually(r.t, "the budget full", func() bool { return e.Snapshot().Topics["t"].Cached >= minCached })
	e.wantHeld("the topic is full", "budget full: the topic holds 1024 messages, as many as it may; handler of message id-m00000")
	release()
	time.Sleep(time.Minute)
	e.wantHeld("all are handled", "")
}

func heldByWindow(r *rig) {
	e, release := r.blockedBy(2, first)
	r.Send(topicT, 0, numbered("m", maxSpan+100)...)
	time.Sleep(time.Minute)
	e.wantHeld("the window is full", "window full: 655", " messages received from offset 0 on", "; handler of message id-m00000, offset 0 of t/b/0")
	release()
	time.Sleep(time.Minute)
	e.wantHeld("all are handled", "")
}

func heldByWorkers(r *rig) {
	r.Topic(topicT, 2)
	e, release := r.blockedBy(2, func(m *rocketkit.Message) bool { return m.Queue().ID == 1 })
	r.Send(topicT, 1, "a", "b")
	time.Sleep(time.Minute)
	r.Send(topicT, 0, "m")
	time.Sleep(time.Minute)
	e.wantHeld("another queue's handlers have all workers",
		"1 messages wait for a worker, the first for 1m0s; 2 of at most 2 are busy, the longest with the handler of message id-a, offset 0 of t/b/1")
	release()
	e.wantHeld("they have returned", "")
}

func heldByPause(r *rig) {
	e := r.run(config((&got{}).handle))
	e.Set("t", Live{Workers: 1, Paused: true})
	e.wantHeld("paused, with nothing to do", "the topic is paused")
	r.Send(topicT, 0, "m")
	time.Sleep(time.Second)
	e.wantHeld("paused", "the topic is paused")
	e.Set("t", Live{Workers: 1})
	e.wantHeld("going on", "")
}

func heldByFailing(r *rig) {
	r.Script(refuseSendBack("", refuse(protocol.CodeSystemError, "disk full")))
	cfg := config(func(_ context.Context, m *rocketkit.Message) error {
		if m.Attempt() == 1 {
			return errors.New("no")
		}
		return nil
	})
	e := r.run(cfg)
	r.Send(topicT, 0, "m")
	time.Sleep(time.Minute)
	e.wantHeld("the broker takes nothing back", "a failing message at offset 0")
	r.Script(nil)
	time.Sleep(time.Minute)
	e.wantHeld("the broker has taken it back", "")
}

func heldByGivingUp(r *rig) {
	e, release := r.blockedBy(4, all)
	r.Send(topicT, 0, "m0", "m1")
	time.Sleep(time.Second)
	q := e.allQueues()
	r.AddMember(groupG, "0.0.0.0@first") // sorts before ours, and gets the only queue
	time.Sleep(time.Second)
	for _, q := range q {
		if q.topic.physical == topicT {
			if held := q.heldBy(); !strings.HasPrefix(held, "given up: 2 messages are still to be finished; handler of message id-m0") {
				r.t.Errorf("held by %q", held)
			}
		}
	}
	release()
	e.mustStop()
}

// TestRunningInfo: what a tool is told of a member, in the form that RocketMQ's own tools read.
func TestRunningInfo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(topicU, 1)
		cfg := config(func(ctx context.Context, m *rocketkit.Message) error {
			switch string(m.Body()) {
			case "stuck":
				<-ctx.Done()
			case "bad":
				return &Verdict{Action: Drop, Why: errors.New(`of "no" use`)}
			default:
				return sleep(ctx, 20*time.Millisecond)
			}
			return nil
		})
		cfg.Topics["t"] = Topic{Workers: 3, MaxWorkers: 7, Handle: cfg.Topics["t"].Handle}
		cfg.Topics["u"] = Topic{Workers: 5, Handle: cfg.Topics["t"].Handle}
		cfg.Drain = time.Second
		e := r.run(cfg)
		r.Send(topicT, 0, "good", "bad", "stuck", "good")
		time.Sleep(25 * time.Second)
		ask := func(stack bool) protocol.ConsumerRunningInfo {
			info, err := protocol.ParseRunningInfo(e.serve(t.Context(), "b:10911", protocol.GetRunningInfo{Group: groupG, ClientID: "x", Stack: stack}.Frame()))
			if err != nil {
				t.Fatal(err)
			}
			return info
		}
		info := ask(false)
		for name, want := range map[string]string{
			protocol.RunningConsumeType: "CONSUME_PASSIVELY", protocol.RunningOrderly: "false", protocol.RunningCorePool: "8",
			protocol.RunningStartTime: fmt.Sprint(e.started.UnixMilli()),
			"pool t":                  "core=3 max=7 active=1 waiting=0 paused=false timeout=none", "pool u": "core=5 max=5 active=0 waiting=0 paused=false timeout=none",
		} {
			if got := info.Properties[name]; got != want {
				t.Errorf("property %s is %q, want %q", name, got, want)
			}
		}
		for name, want := range map[string]string{
			"state": "running", "error t": `drop: of "no" use`, "held t/b/0": "handler of message id-stuck, offset 2 of t/b/0",
			"topic t": "handled=2 failed=1 cached=1; last 25s: 3 returned, mean 13.333ms, max 20ms; longest running: message id-stuck, offset 2 of t/b/0, since 2000-",
			"topic u": "handled=0 failed=0 cached=0",
		} {
			if got := info.UserInfo[name]; !strings.Contains(got, want) {
				t.Errorf("user info %s is %q, want %q in it", name, got, want)
			}
		}
		if s := info.Statuses[topicT]; s.FailedMessages != 1 || s.OKTPS < 0.07 || s.OKTPS > 0.09 || s.FailedTPS < 0.03 || s.FailedTPS > 0.05 || s.PullTPS < 0.15 || s.PullTPS > 0.17 || s.ConsumeRT < 13 || s.ConsumeRT > 14 {
			t.Errorf("status %+v", s)
		}
		q := info.Queues[protocol.Queue{Topic: topicT, Broker: "b", ID: 0}]
		if q.CommitOffset != 2 || q.CachedMinOffset != 2 || q.CachedMaxOffset != 4 || q.CachedCount != 1 || time.Since(time.UnixMilli(q.LastConsumeTime)) > 26*time.Second || time.Since(time.UnixMilli(q.LastConsumeTime)) < 24*time.Second {
			t.Errorf("queue %+v", q)
		}
		if info.Stack != "" || len(info.Subscriptions) != 3 {
			t.Errorf("%d subscriptions, stack %q", len(info.Subscriptions), info.Stack)
		}
		if stack := ask(true).Stack; !strings.HasPrefix(stack, "handler of message id-stuck") || !strings.Contains(stack, "\n#\t") {
			t.Errorf("stack %.300s", stack)
		}
		_ = e.stop()
	})
}
