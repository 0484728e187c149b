package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// inMode is a test of one way in which a topic may be handled; mode gives its Topic, of one worker.
type inMode struct {
	*testing.T
	mode func(handle func(context.Context, *rocketkit.Message) error) Topic
}

// inEachMode runs a test for each.
func inEachMode(t *testing.T, test func(t inMode)) {
	t.Helper()
	for name, order := range map[string]Order{"none": OrderNone, "key": OrderKey, "queue": OrderQueue, "batches": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test(inMode{t, func(handle func(context.Context, *rocketkit.Message) error) Topic {
					if order >= 0 {
						return Topic{Workers: 1, Timeout: time.Minute, Order: order, Handle: handle}
					}
					return Topic{Workers: 1, Timeout: time.Minute, HandleBatch: oneByOne(handle), BatchSize: 5, BatchWait: 20 * time.Millisecond}
				}})
			})
		})
	}
}

// oneByOne handles each message of a batch.
func oneByOne(handle func(context.Context, *rocketkit.Message) error) func(context.Context, []rocketkit.Message, *Verdicts) error {
	return func(ctx context.Context, messages []rocketkit.Message, verdicts *Verdicts) error {
		for i := range messages {
			verdicts.Set(i, handle(ctx, &messages[i]))
		}
		return nil
	}
}

// atOnceCount counts handlers, and the most that ran at once.
type atOnceCount struct{ now, most, came atomic.Int32 }

func (c *atOnceCount) begin() {
	c.came.Add(1)
	c.most.Store(max(c.most.Load(), c.now.Add(1)))
}

func (c *atOnceCount) end() { c.now.Add(-1) }

// TestResizeInForce: as soon as Set has returned as many handlers begin as there may be, and no more, whatever keeps the
// order of messages; those that run aren't interrupted.
func TestResizeInForce(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t inMode) {
		r := newRig(t)
		r.Topic(topicT, 32)
		for q := range 32 {
			for i := range 200 {
				r.sendKey(q, fmt.Sprint(i%8), fmt.Sprint(q, "-", i))
			}
		}
		var count atOnceCount
		cfg := config(nil)
		cfg.Topics["t"] = t.mode(func(ctx context.Context, _ *rocketkit.Message) error {
			count.begin()
			defer count.end()
			return sleep(ctx, 100*time.Millisecond)
		})
		e := r.run(cfg)
		for _, size := range []int{1, 20, 3, 16, 1} {
			synctest.Wait()
			before := int(count.now.Load())
			if !e.Set("t", Live{Workers: size, Timeout: time.Minute}) {
				t.Fatal("no such topic")
			}
			synctest.Wait()
			if now := int(count.now.Load()); now != max(size, before) {
				t.Errorf("%d run as soon as there are %d workers, %d before", now, size, before)
			}
			time.Sleep(time.Second) // those that ran before return, batches too
			synctest.Wait()
			count.most.Store(0)
			time.Sleep(time.Second)
			if most := int(count.most.Load()); most != size {
				t.Errorf("at most %d at once, want %d", most, size)
			}
			if s := e.Snapshot().Topics["t"]; s.Workers != size || s.MaxWorkers != size {
				t.Errorf("shown: %+v", s.Live)
			}
		}
		if e.Set("nowhere", Live{Workers: 1}) || e.Set("%RETRY%g", Live{Workers: 1}) {
			t.Error("a topic without workers was set")
		}
		e.mustStop()
	})
}

// TestResizeUnderLoad: from one to 256 workers and back each 100 ms, with messages that fail on their first attempt and
// pauses between: nothing is lost, nothing comes twice, order is kept.
func TestResizeUnderLoad(t *testing.T) {
	t.Parallel()
	const queues, perQueue = 4, 1500
	inEachMode(t, func(t inMode) {
		r := newRig(t)
		r.Topic(topicT, queues)
		g := &got{}
		topic := t.mode(nil)
		lane := byKey
		if topic.Order == OrderQueue {
			lane = byQueue
		}
		check := newOrderCheck(lane)
		topic = t.mode(func(ctx context.Context, m *rocketkit.Message) error {
			if topic.Order != OrderNone {
				check.begin(m)
			}
			_ = sleep(ctx, time.Duration(rand.IntN(2000))*time.Microsecond)
			fails := m.Attempt() == 1 && rand.IntN(50) == 0
			if topic.Order != OrderNone {
				check.end(m, !fails)
			}
			if fails {
				return &Verdict{Action: Retry, Delay: 10 * time.Millisecond}
			}
			g.add(m)
			return nil
		})
		cfg := config(nil)
		cfg.Topics["t"] = topic
		e := r.run(cfg)
		go func() {
			for i := range perQueue {
				for q := range queues {
					r.sendKey(q, fmt.Sprint(i%50), fmt.Sprintf("%d-%05d", q, i))
				}
				time.Sleep(2 * time.Millisecond)
			}
		}()
		for i := range 40 {
			e.Set("t", Live{Workers: 256, Timeout: time.Minute})
			time.Sleep(100 * time.Millisecond)
			e.Set("t", Live{Workers: 1, MaxWorkers: 1 + i%3, Timeout: time.Minute, Paused: i%5 == 0})
			time.Sleep(100 * time.Millisecond)
		}
		e.Set("t", Live{Workers: 256, Timeout: time.Minute})
		eventually(t, "all handled", func() bool { return g.len() >= queues*perQueue })
		time.Sleep(time.Minute)
		if all := g.sorted(); len(all) != queues*perQueue || len(slices.Compact(all)) != queues*perQueue {
			t.Errorf("%d came, want %d once each", len(all), queues*perQueue)
		}
		check.report(t)
		for q := range queues {
			if at := r.Offset(groupG, topicT, q); at != perQueue {
				t.Errorf("queue %d: committed %d", q, at)
			}
		}
		e.mustStop() // and the bubble finds every goroutine that is left
	})
}

// TestBudgetFollowsThePool: as many messages are held as the workers need, and no more are pulled than those after a
// reduction.
func TestBudgetFollowsThePool(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t inMode) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 12000)...)
		hold := make(chan struct{})
		cfg := config(nil)
		cfg.Topics["t"] = t.mode(func(context.Context, *rocketkit.Message) error { <-hold; return nil })
		e := r.run(cfg)
		held := func(want int) {
			t.Helper()
			time.Sleep(time.Second)
			if n := e.Snapshot().Topics["t"].Cached; n < want || n >= want+pullBatch {
				t.Errorf("%d held, want %d", n, want)
			}
		}
		held(minCached)
		e.Set("t", Live{Workers: 1, MaxWorkers: 1000})
		want := cachedPerWork * 1000
		if cfg.Topics["t"].HandleBatch != nil {
			want = 1001 * 5
		}
		held(want)
		e.Set("t", Live{Workers: 1})
		held(want) // what is there stays
		close(hold)
		eventually(t, "all handled", func() bool { return r.Offset(groupG, topicT, 0) == 12000 })
		e.mustStop()
	})
}

// TestTimeoutChanges: a handler keeps the time-out it began with, and who begins later has the new one.
func TestTimeoutChanges(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t inMode) {
		r := newRig(t)
		r.Topic(topicT, 1)
		var took []time.Duration
		cfg := config(nil)
		cfg.Topics["t"] = t.mode(func(ctx context.Context, _ *rocketkit.Message) error {
			began := time.Now()
			<-ctx.Done()
			took = append(took, time.Since(began))
			return nil
		})
		e := r.run(cfg)
		r.Send(topicT, 0, "old")
		time.Sleep(10 * time.Second)
		e.Set("t", Live{Workers: 1, Timeout: 5 * time.Second})
		time.Sleep(time.Minute)
		r.Send(topicT, 0, "new")
		time.Sleep(time.Minute)
		e.Set("t", Live{Workers: 1, Timeout: 2 * time.Minute})
		r.Send(topicT, 0, "newest")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if want := []time.Duration{time.Minute, 5 * time.Second, 2 * time.Minute}; !slices.Equal(took, want) {
			t.Errorf("they had %v, want %v", took, want)
		}
		e.mustStop()
	})
}

// TestRetriesChange: what fails from now on has the new number of attempts.
func TestRetriesChange(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]Order{"none": OrderNone, "queue": OrderQueue} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				g := &got{}
				e := r.run(inOrder(order, 1, func(_ context.Context, m *rocketkit.Message) error {
					g.add(m)
					return &Verdict{Action: Retry, Delay: time.Second}
				}))
				for retries, body := range []string{"none", "one", "two"} {
					e.SetRetries(retries)
					r.Send(topicT, 0, body)
					time.Sleep(10 * time.Second)
					synctest.Wait()
					if n := len(g.tries[body]); n != retries+1 {
						t.Errorf("with %d retries it came %d times", retries, n)
					}
				}
				if dead := r.Bodies(letterG); len(dead) != 3 {
					t.Errorf("dead letters %v", dead)
				}
				if n := e.Snapshot().Retries; n != 2 {
					t.Errorf("shown: %d", n)
				}
				e.mustStop()
			})
		})
	}
}

// TestSetBeforeRun and in a broadcasting group.
func TestSetBeforeRun(t *testing.T) {
	t.Parallel()
	for name, broadcast := range map[string]bool{"clustering": false, "broadcasting": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, numbered("m", 50)...)
				var count atOnceCount
				cfg := config(func(ctx context.Context, _ *rocketkit.Message) error {
					count.begin()
					defer count.end()
					return sleep(ctx, time.Second)
				})
				if cfg.Broadcast = broadcast; broadcast {
					cfg.Offsets = positions{}
				}
				e := &running{Engine: r.engine(cfg), t: t, result: make(chan error, 1)}
				e.Set("t", Live{Workers: 7, Paused: true})
				var ctx context.Context
				ctx, e.cancel = context.WithCancel(t.Context())
				go func() { e.result <- e.Run(ctx) }()
				<-e.Ready()
				time.Sleep(time.Minute)
				if count.came.Load() > 0 {
					t.Error("handled while paused")
				}
				e.Set("t", Live{Workers: 7})
				time.Sleep(500 * time.Millisecond)
				if n := count.now.Load(); n != 7 {
					t.Errorf("%d at once, want 7", n)
				}
				time.Sleep(time.Minute)
				if n := count.came.Load(); n != 50 {
					t.Errorf("%d came", n)
				}
				e.mustStop()
			})
		})
	}
}

// positions is an Offsets that has none.
type positions struct{}

func (positions) Load(context.Context, []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	return nil, nil
}

func (positions) Commit(context.Context, map[rocketkit.Queue]int64) error { return nil }

// retried stores a message in the retry topic that was first sent to another.
func (r *rig) retried(topic, body string) {
	r.SendWith(retryG, 0, body, protocol.PropertyRetryTopic, topic)
}
