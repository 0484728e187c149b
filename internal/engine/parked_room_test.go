package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// runWith runs the engine once its bounds are changed.
func (r *rig) runWith(cfg Config, change func(e *Engine)) *running {
	r.t.Helper()
	run := &running{Engine: r.engine(cfg), t: r.t, result: make(chan error, 1)}
	change(run.Engine)
	ctx, cancel := context.WithCancel(context.Background())
	run.cancel = cancel
	go func() { run.result <- run.Run(ctx) }()
	r.t.Cleanup(func() { _ = run.stop() })
	<-run.Ready()
	return run
}

// TestPausedRetriesStayWhenAllIsPaused: where there is nobody to make room for, retries that wait keep their attempts; as
// soon as another topic is resumed, its retries come.
func TestPausedRetriesStayWhenAllIsPaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(topicU, 1)
		r.Topic(retryG, 1)
		g, u := &got{}, &got{}
		e := r.runWith(pausable(Topic{Workers: 4, Timeout: time.Minute, Handle: g.handle}, u), func(e *Engine) { e.retry.budget.maxMessages = 100 })
		e.Set("t", paused(true))
		e.Set("u", paused(true))
		for i := range 300 {
			r.retried(topicT, fmt.Sprint("t", i))
		}
		r.retried(topicU, "other")
		time.Sleep(24 * time.Hour)
		if n := len(r.Requests(protocol.ReqSendBack)); n > 0 {
			t.Errorf("%d went back, for nobody", n)
		}
		e.Set("u", paused(false))
		time.Sleep(time.Minute)
		if got := u.sorted(); !slices.Equal(got, []string{"other"}) {
			t.Errorf("of the topic that was resumed came %v", got)
		}
		e.Set("t", paused(false))
		time.Sleep(time.Hour)
		if n := g.len(); n != 300 {
			t.Errorf("%d came, want 300", n)
		}
		e.mustStop()
	})
}

// TestPausedTopicsHoldAllBytes: retries of other topics come though paused topics hold as many bytes as a consumer may.
func TestPausedTopicsHoldAllBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(topicU, 1)
		r.Topic(retryG, 1)
		g, u := &got{}, &got{}
		first := make(chan struct{})
		topic := Topic{Workers: 1, Timeout: time.Minute, Handle: func(ctx context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "first" {
				<-first
			}
			return g.handle(ctx, m)
		}}
		e := r.runWith(pausable(topic, u), func(e *Engine) { e.bytes.max = 1000 })
		r.Send(topicT, 0, "first", strings.Repeat("x", 1000)) // its worker is busy, and the other is cached
		eventually(t, "cached", func() bool { return e.Snapshot().Topics["t"].Cached == 2 })
		e.Set("t", paused(true))
		close(first)
		r.retried(topicT, "parked")
		time.Sleep(time.Second)
		r.retried(topicU, "other")
		time.Sleep(time.Minute)
		if got := u.sorted(); !slices.Equal(got, []string{"other"}) {
			t.Errorf("of the other topic came %v", got)
		}
		e.Set("t", paused(false))
		time.Sleep(time.Hour)
		if got := g.len(); got != 3 {
			t.Errorf("%d came, want 3", got)
		}
		e.mustStop()
	})
}

// TestPausedLaneThatWaits: a stop doesn't wait for a message that is to be retried in its place, if its topic is paused.
func TestPausedLaneThatWaits(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]Order{"key": OrderKey, "queue": OrderQueue} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				g := &got{}
				e := r.run(inOrder(order, 1, func(_ context.Context, m *rocketkit.Message) error {
					g.add(m)
					return &Verdict{Action: Retry, Delay: 4 * time.Second}
				}))
				r.Send(topicT, 0, "m")
				eventually(t, "it has failed", func() bool { return g.len() == 1 })
				synctest.Wait()
				e.Set("t", paused(true))
				began := time.Now()
				e.mustStop()
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("the stop took %v", took)
				}
				if g.len() != 1 {
					t.Errorf("handled %d times", g.len())
				}
			})
		})
	}
}

// TestResetWhilePaused: an operator's reset, back or ahead, of a topic that is paused holds, whatever was cached; so does one
// of the retry topic.
func TestResetWhilePaused(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t inMode) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Topic(topicU, 1)
		r.Topic(retryG, 1)
		g, u := &got{}, &got{}
		e := r.run(pausable(t.mode(g.handle), u))
		for q := range 2 {
			for i := range 10 {
				r.sendKey(q, fmt.Sprint(i%3), fmt.Sprint(q, "-", i))
			}
		}
		eventually(t, "the first", func() bool { return g.len() == 20 })
		time.Sleep(10 * time.Second)
		e.Set("t", paused(true))
		synctest.Wait()
		e.Set("t", paused(false))
		r.Send(topicT, 0, "one more")
		eventually(t, "one more", func() bool { return g.len() == 21 })
		e.Set("t", paused(true))
		for i := 10; i < 20; i++ {
			r.sendKey(1, fmt.Sprint(i%3), fmt.Sprint("1-", i))
			r.retried(topicT, fmt.Sprint("retried ", i))
			r.retried(topicU, fmt.Sprint("u", i))
		}
		time.Sleep(time.Minute)
		r.Reset(groupG, topicT, 0, 3)
		r.Reset(groupG, topicT, 1, 18)
		r.Reset(groupG, retryG, 0, 4) // the third of t comes
		time.Sleep(time.Minute)
		if g.len() != 21 {
			t.Errorf("handled while paused: %v", g.sorted())
		}
		g.bodies = nil
		e.Set("t", paused(false))
		time.Sleep(time.Hour)
		want := []string{"0-3", "0-4", "0-5", "0-6", "0-7", "0-8", "0-9", "1-18", "1-19", "one more"}
		for i := 12; i < 20; i++ {
			want = append(want, fmt.Sprint("retried ", i))
		}
		if got := g.sorted(); !slices.Equal(got, want) {
			t.Errorf("came %v, want %v", got, want)
		}
		for q, want := range []int64{11, 20} {
			if at := r.Offset(groupG, topicT, q); at != want {
				t.Errorf("queue %d: committed %d, want %d", q, at, want)
			}
		}
		if at := r.Offset(groupG, retryG, 0); at != 20 {
			t.Errorf("retries: committed %d", at)
		}
		if held := e.Snapshot().Topics["%RETRY%g"].Cached + e.Snapshot().Topics["t"].Cached; held != 0 {
			t.Errorf("%d still held", held)
		}
		e.mustStop()
	})
}
