package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// TestDrainRepeatsNothing: stopped under load and started again, a group neither repeats nor loses a message.
func TestDrainRepeatsNothing(t *testing.T) {
	t.Parallel()
	const queues, perQueue, cycles = 8, 500, 6
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, queues)
		var all []string
		for q := range queues {
			bodies := numbered(fmt.Sprint("q", q, "-"), perQueue)
			s.Send(topicT, q, bodies...)
			all = append(all, bodies...)
		}
		g := &got{}
		handle := func(ctx context.Context, m *rocketkit.Message) error {
			if err := sleep(ctx, time.Duration(rand.IntN(4000))*time.Microsecond); err != nil {
				return err
			}
			if m.Attempt() == 1 && rand.IntN(50) == 0 {
				return &Verdict{Action: Retry, Delay: time.Second}
			}
			g.add(m)
			return nil
		}
		for cycle := range cycles {
			r := rigOn(t, s, fmt.Sprint("i", cycle))
			cfg := config(handle)
			cfg.Topics = map[string]Topic{"t": {Workers: 16, Timeout: time.Minute, Handle: handle}}
			e := r.run(cfg)
			if cycle < cycles-1 {
				time.Sleep(time.Duration(20+rand.IntN(40)) * time.Millisecond)
			} else {
				eventually(t, "all handled", func() bool { return g.len() >= len(all) })
				time.Sleep(time.Minute)
			}
			e.mustStop()
			if held := e.Snapshot().Topics["t"].Active; held != 0 {
				t.Errorf("%d handlers after the drain", held)
			}
		}
		slices.Sort(all)
		if got := g.sorted(); !slices.Equal(got, all) {
			t.Errorf("%d handled, want %d once each; first difference: %s", len(got), len(all), difference(got, all))
		}
		for q := range queues {
			if got := s.Offset(groupG, topicT, q); got != perQueue {
				t.Errorf("queue %d: committed %d, want %d", q, got, perQueue)
			}
		}
	})
}

func difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%s, want %s", got[i], want[i])
		}
	}
	return "in length"
}

// TestKillLosesNothing: a Client that is closed under a running consumer, as good as a kill, repeats but doesn't lose.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 4)
		var all []string
		for q := range 4 {
			bodies := numbered(fmt.Sprint("q", q, "-"), 300)
			s.Send(topicT, q, bodies...)
			all = append(all, bodies...)
		}
		g := &got{}
		handle := func(ctx context.Context, m *rocketkit.Message) error {
			if err := sleep(ctx, time.Duration(rand.IntN(4000))*time.Microsecond); err != nil {
				return err
			}
			g.add(m)
			return nil
		}
		killed := rigOn(t, s, "killed")
		e := killed.run(config(handle))
		time.Sleep(50 * time.Millisecond)
		_ = killed.client.Close(context.Background())
		select {
		case err := <-e.result:
			e.result <- err
			if !errors.Is(err, rocketkit.ErrClosed) {
				t.Errorf("Run returned %v, want %v", err, rocketkit.ErrClosed)
			}
		case <-time.After(2 * time.Minute):
			t.Error("Run goes on without a Client")
		}
		_ = e.stop()

		r := rigOn(t, s, "next")
		e = r.run(config(handle))
		eventually(t, "everything committed", func() bool {
			for q := range 4 {
				if s.Offset(groupG, topicT, q) != 300 {
					return false
				}
			}
			return true
		})
		e.mustStop()
		slices.Sort(all)
		if got := slices.Compact(g.sorted()); !slices.Equal(got, all) {
			t.Errorf("%d of %d handled: %s", len(got), len(all), difference(got, all))
		}
	})
}

// TestClosedClientEndsRun wherever Run waits.
func TestClosedClientEndsRun(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(r *rig){
		"no name server": func(r *rig) { r.down[nameServer] = true },
		"no broker":      func(r *rig) { r.Topic(topicT, 1); r.Stop("b") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				prepare(r)
				e := r.start(config(new(got).handle))
				time.Sleep(10 * time.Second)
				_ = r.client.Close(context.Background())
				select {
				case err := <-e.result:
					e.result <- err
					if !errors.Is(err, rocketkit.ErrClosed) {
						t.Errorf("Run returned %v, want %v", err, rocketkit.ErrClosed)
					}
				case <-time.After(5 * time.Minute):
					t.Error("Run waits on without a Client")
				}
			})
		})
	}
}

// TestStartPositions on a topic so young that brokers would answer 0 for a group they don't know.
func TestStartPositions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		where StartWhere
		want  []string
	}{
		"latest":   {StartLatest, []string{"after-0", "after-1"}},
		"earliest": {StartEarliest, []string{"after-0", "after-1", "late-0", "late-1", "old-0", "old-1"}},
		"time":     {StartTime, []string{"after-0", "after-1", "late-0", "late-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScripted("b")
				s.Topic(topicT, 2)
				send := func(what string) {
					for q := range 2 {
						s.Send(topicT, q, fmt.Sprint(what, "-", q))
					}
				}
				send("old")
				time.Sleep(time.Hour)
				begin := time.Now()
				time.Sleep(time.Minute)
				send("late")
				g := &got{}
				cfg := config(g.handle)
				cfg.Start = Start{Where: test.where, Time: begin}
				r := rigOn(t, s, "one")
				e := r.run(cfg)
				send("after")
				time.Sleep(time.Minute)
				e.mustStop()
				if got := g.sorted(); !slices.Equal(got, test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
				// A stop of any length later nothing is skipped.
				send("stopped")
				time.Sleep(time.Hour)
				e = rigOn(t, s, "two").run(cfg)
				time.Sleep(time.Minute)
				e.mustStop()
				if got, want := g.len(), len(test.want)+2; got != want {
					t.Errorf("%d messages after the second run, want %d", got, want)
				}
			})
		})
	}
}

// TestStartOfEmptyQueuesIsKept: a group that began at the end of a queue and received nothing has still begun there.
func TestStartOfEmptyQueuesIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 2)
		s.Send(topicT, 0, "old")
		s.Send(topicT, 1, "old")
		cfg := config(new(got).handle)
		cfg.Start.Where = StartLatest
		rigOn(t, s, "one").run(cfg).mustStop()
		for q := range 2 {
			if got := s.Offset(groupG, topicT, q); got != 1 {
				t.Errorf("queue %d: stored %d, want 1", q, got)
			}
		}
	})
}

// TestStartWhileABrokerIsAway: its queues begin as configured when it comes back, and that beginning is stored like the
// others': were it not, the next process would take them for new queues and replay them.
func TestStartWhileABrokerIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("a", "b")
		s.Topic(topicT, 1)
		s.Send(topicT, 0, "old") // on a
		s.Stop("a")
		g := &got{}
		cfg := config(g.handle)
		cfg.Start.Where = StartLatest
		r := rigOn(t, s, "one")
		e := r.run(cfg)
		s.Start("a")
		eventually(t, "a pull from a", func() bool {
			for _, q := range e.Snapshot().Topics["t"].Queues {
				if q.Queue.Broker == "a" && q.Position == 1 {
					return true
				}
			}
			return false
		})
		time.Sleep(time.Minute)
		e.mustStop()
		if got := s.Offset(groupG, topicT, 0); got != 1 {
			t.Errorf("stored %d, want 1", got)
		}
		e = rigOn(t, s, "two").run(cfg)
		time.Sleep(time.Minute)
		e.mustStop()
		if g.len() != 0 {
			t.Errorf("got %v, which was sent before the group began", g.sorted())
		}
	})
}

// TestHalfSeeded: where a group has offsets of some queues, the others are newer than it and begin at their oldest.
func TestHalfSeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 2)
		s.Send(topicT, 0, "x", "y")
		s.Send(topicT, 1, "z")
		s.brokers["b"].groups[groupG] = true
		s.brokers["b"].offsets[offsetKey{groupG, topicT, 0}] = 1
		g := &got{}
		cfg := config(g.handle)
		cfg.Start.Where = StartLatest
		e := rigOn(t, s, "one").run(cfg)
		time.Sleep(time.Minute)
		e.mustStop()
		if want := []string{"y", "z"}; !slices.Equal(g.sorted(), want) {
			t.Errorf("got %v, want %v", g.sorted(), want)
		}
	})
}

// TestTwoStartAtOnce: members that find each other seeding end with one start.
func TestTwoStartAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 4)
		for q := range 4 {
			s.Send(topicT, q, "old")
		}
		g := &got{}
		cfg := config(g.handle)
		cfg.Start.Where = StartLatest
		one, two := rigOn(t, s, "one").start(cfg), rigOn(t, s, "two").start(cfg)
		<-one.Ready()
		<-two.Ready()
		time.Sleep(time.Minute)
		one.mustStop()
		two.mustStop()
		if g.len() != 0 {
			t.Errorf("got %v", g.sorted())
		}
	})
}

// TestNewQueueBeginsAtItsOldest: a topic that grows loses nothing, whatever Start says.
func TestNewQueueBeginsAtItsOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		g := &got{}
		cfg := config(g.handle)
		cfg.Start.Where = StartLatest
		e := r.run(cfg)
		r.Topic(topicT, 3)
		r.Send(topicT, 2, "first")
		time.Sleep(2 * time.Minute)
		r.Send(topicT, 1, "second")
		time.Sleep(time.Minute)
		e.mustStop()
		if want := []string{"first", "second"}; !slices.Equal(g.sorted(), want) {
			t.Errorf("got %v, want %v", g.sorted(), want)
		}
	})
}

// TestQueueTheTopicLost is let go when the route no longer has it.
func TestQueueTheTopicLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 3)
		e := r.run(config(new(got).handle))
		r.mu.Lock()
		r.brokers["b"].topics[topicT] = r.brokers["b"].topics[topicT][:1]
		r.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if n := len(e.Snapshot().Topics["t"].Queues); n != 1 {
			t.Errorf("%d queues, want 1", n)
		}
		e.mustStop()
	})
}

// ownedQueues counts the queues of t.
func ownedQueues(e *running) int { return len(e.Snapshot().Topics["t"].Queues) }

// TestMemberList: only a good list with ourselves in it changes what we own.
func TestMemberList(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*frame.Frame{
		"refused":           refuse(protocol.CodeSystemError, "no consumer for this group"),
		"without ourselves": body(map[string]any{"consumerIdList": []string{"other"}}),
		"empty":             body(map[string]any{"consumerIdList": []string{}}),
		"no JSON":           {Body: []byte("oh")},
		"no body":           {},
		"none at all":       noAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 4)
				g := &got{}
				e := r.run(config(g.handle))
				r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
					if req.Code == protocol.ReqConsumerList {
						return answer
					}
					return nil
				})
				r.AddMember(groupG, "zz")
				time.Sleep(3 * time.Minute)
				if n := ownedQueues(e); n != 4 {
					t.Errorf("%d queues kept, want 4", n)
				}
				r.Send(topicT, 3, "m")
				eventually(t, "a message received", func() bool { return g.len() == 1 })
				r.Script(nil)
				eventually(t, "half the queues given up", func() bool { return ownedQueues(e) == 2 })
				e.mustStop()
			})
		})
	}
}

// TestRebalance: queues are given up as soon as another member joins, behind what was finished, and taken back.
func TestRebalance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 4)
		for q := range 4 {
			r.Send(topicT, q, numbered(fmt.Sprint("q", q, "-"), 50)...)
		}
		g := &got{}
		e := r.run(config(func(ctx context.Context, m *rocketkit.Message) error {
			if err := sleep(ctx, 3*time.Millisecond); err != nil {
				return err
			}
			g.add(m)
			return nil
		}))
		time.Sleep(20 * time.Millisecond)
		r.AddMember(groupG, "zz") // it pulls nothing
		eventually(t, "half the queues given up", func() bool { return ownedQueues(e) == 2 })
		time.Sleep(time.Minute)
		r.RemoveMember(groupG, "zz")
		eventually(t, "all handled", func() bool { return g.len() >= 200 })
		time.Sleep(time.Minute)
		if n := g.len(); n != 200 {
			t.Errorf("%d handled, want 200, once each", n)
		}
		e.mustStop()
	})
}

// TestQueueLostAndRegainedTwice: a queue that comes back while an earlier ownership is still being let go begins only when
// that has ended, however often it went and came.
func TestQueueLostAndRegainedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Send(topicT, 1, "slow")
		g := &got{}
		e := r.run(config(func(ctx context.Context, m *rocketkit.Message) error {
			g.add(m)
			return sleep(ctx, 4*time.Second) // within Drain
		}))
		eventually(t, "the message begun", func() bool { return g.len() == 1 })
		for range 2 {
			r.AddMember(groupG, "zz") // takes queue 1
			eventually(t, "queue given up", func() bool { return ownedQueues(e) == 1 })
			r.RemoveMember(groupG, "zz")
			eventually(t, "queue regained", func() bool { return ownedQueues(e) == 2 })
		}
		time.Sleep(time.Minute)
		if n := g.len(); n != 1 {
			t.Errorf("delivered %d times, want once: its first ownership was still being let go", n)
		}
		e.mustStop()
	})
}

// TestDrainWaitsForLostQueues too, as long as Drain says.
func TestDrainWaitsForLostQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Send(topicT, 1, "slow")
		var mu sync.Mutex
		var ended error
		began := make(chan struct{})
		e := r.run(config(func(ctx context.Context, _ *rocketkit.Message) error {
			close(began)
			err := sleep(ctx, 20*time.Second)
			mu.Lock()
			defer mu.Unlock()
			ended = err
			return err
		}))
		<-began
		r.AddMember(groupG, "zz")
		eventually(t, "queue given up", func() bool { return ownedQueues(e) == 1 })
		if err := e.stop(); err != nil {
			t.Errorf("Run returned %v, though its handler needs 20 s and Drain is 30 s", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if ended != nil {
			t.Errorf("the handler's context ended within Drain: %v", ended)
		}
	})
}

// TestDrainGivesUp on handlers that outlive it: first their context ends, then they are left.
func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handle func(ctx context.Context, release chan struct{}) error
		took   time.Duration
		fails  bool
	}{
		"heeds its context":   {func(ctx context.Context, _ chan struct{}) error { <-ctx.Done(); return ctx.Err() }, 5 * time.Second, false},
		"ignores its context": {func(_ context.Context, release chan struct{}) error { <-release; return nil }, 7 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, "m")
				began, release := make(chan struct{}), make(chan struct{})
				cfg := config(func(ctx context.Context, _ *rocketkit.Message) error {
					close(began)
					return test.handle(ctx, release)
				})
				cfg.Drain = 5 * time.Second
				cfg.Topics = map[string]Topic{"t": {Workers: 1, Handle: cfg.Topics["t"].Handle}}
				e := r.run(cfg)
				<-began
				start := time.Now()
				err := e.stop()
				if (err != nil) != test.fails {
					t.Errorf("Run returned %v", err)
				}
				if took := time.Since(start); took < test.took || took > test.took+time.Second {
					t.Errorf("took %v, want %v", took, test.took)
				}
				close(release)
				if test.fails && !strings.Contains(fmt.Sprint(err), "1 messages") {
					t.Errorf("the error doesn't say how many: %v", err)
				}
				want := int64(1) // it went to be retried
				if test.fails {
					want = 0
				}
				if got := r.Offset(groupG, topicT, 0); got != want {
					t.Errorf("committed %d, want %d", got, want)
				}
			})
		})
	}
}

// TestStopAtAnyMoment of the start: nothing stays, and stopping is no error.
func TestStopAtAnyMoment(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int32{
		"asking for routes":  protocol.ReqGetRoute,
		"joining":            protocol.ReqHeartbeat,
		"looking at offsets": protocol.ReqQueryConsumerOffset,
		"storing the start":  protocol.ReqUpdateConsumerOffset,
		"asking for members": protocol.ReqConsumerList,
		"pulling":            protocol.ReqPullMessage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 4)
				r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
					if req.Code == code {
						return noAnswer
					}
					return nil
				})
				e := r.start(config(new(got).handle))
				time.Sleep(time.Second)
				start := time.Now()
				e.mustStop()
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				if s := e.Snapshot(); s.State != Stopped {
					t.Errorf("state %v", s.State)
				}
			})
		})
	}
}

// TestWaitsSayWhy: what a consumer that isn't ready waits for is in its Snapshot and, once, in its log.
func TestWaitsSayWhy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(r *rig)
		repair  func(r *rig)
		want    string
	}{
		"name servers": {
			func(r *rig) { r.mu.Lock(); r.down[nameServer] = true; r.mu.Unlock() },
			func(r *rig) { r.mu.Lock(); delete(r.down, nameServer); r.mu.Unlock() },
			nameServer,
		},
		"brokers": {func(r *rig) { r.Stop("b") }, func(r *rig) { r.Start("b") }, "b:10911"},
		"members": {
			func(r *rig) {
				r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
					if req.Code == protocol.ReqConsumerList {
						return refuse(protocol.CodeSystemError, "no consumer for this group, red%g")
					}
					return nil
				})
			},
			func(r *rig) { r.Script(nil) },
			"no consumer for this group, g",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 4)
				test.prepare(r)
				e := r.start(config(new(got).handle))
				time.Sleep(10 * time.Minute)
				select {
				case <-e.Ready():
					t.Fatal("ready")
				default:
				}
				if s := e.Snapshot(); s.State != Starting || !strings.Contains(s.Waits, test.want) {
					t.Errorf("state %v, waits for %q, want %q in it", s.State, s.Waits, test.want)
				}
				if n := r.logs.count("level=WARN"); n == 0 || n > 60 {
					t.Errorf("%d warnings in 10 minutes; first lines:\n%s", n, strings.Join(r.logs.lines()[:min(12, len(r.logs.lines()))], "\n"))
				}
				test.repair(r)
				select {
				case <-e.Ready():
				case <-time.After(time.Minute):
					t.Fatalf("not ready a minute after the repair: %+v", e.Snapshot())
				}
				if s := e.Snapshot(); s.State != Running || s.Waits != "" {
					t.Errorf("state %v, waits for %q", s.State, s.Waits)
				}
				e.mustStop()
			})
		})
	}
}

// TestNoSuchTopic is an error at once.
func TestNoSuchTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.start(config(new(got).handle))
		err := <-e.result
		e.result <- err
		if !errors.Is(err, rocketkit.ErrNoRoute) || !strings.Contains(err.Error(), "topic t") || strings.Contains(err.Error(), "red%") {
			t.Errorf("Run returned %v", err)
		}
	})
}

// TestSecondMember of a group in one Client is an error.
func TestSecondMember(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		first := r.run(config(new(got).handle))
		second := r.start(config(new(got).handle))
		err := <-second.result
		second.result <- err
		if err == nil || strings.Contains(err.Error(), "red%") {
			t.Errorf("Run returned %v", err)
		}
		if n := ownedQueues(first); n != 1 {
			t.Errorf("the first member owns %d queues, want 1", n)
		}
		first.mustStop()
	})
}

// TestBrokerComesBack: a broker that was killed is pulled from again, having been told who we are before.
func TestBrokerComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("a", "b")
		s.Topic(topicT, 2)
		r := rigOn(t, s, "one")
		g := &got{}
		e := r.run(config(g.handle))
		s.Send(topicT, 0, "before")
		eventually(t, "the first message", func() bool { return g.len() == 1 })
		s.Stop("a")
		time.Sleep(10 * time.Minute)
		if n := ownedQueues(e); n != 4 {
			t.Errorf("%d queues while a broker is away, want 4", n)
		}
		if n := r.logs.count("level=WARN"); n > 120 {
			t.Errorf("%d warnings while a broker was away for 10 minutes", n)
		}
		s.Start("a")
		s.Send(topicT, 0, "after")
		start := time.Now()
		eventually(t, "a message from the broker that came back", func() bool { return g.len() == 2 })
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		e.mustStop()
		if got := s.Offset(groupG, topicT, 0); got != 2 {
			t.Errorf("committed %d, want 2", got)
		}
	})
}

// TestNewGroupOnALateBroker: a broker that comes up while Run waits for it may see our requests before our first heartbeat,
// which makes the group; that is no reason to give up.
func TestNewGroupOnALateBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Stop("b")
		r.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code == protocol.ReqHeartbeat { // slow, as its making of topics is
				time.AfterFunc(500*time.Millisecond, func() { c.handle(req) })
				return noAnswer
			}
			return nil
		})
		e := r.start(config(new(got).handle))
		time.Sleep(10 * time.Second)
		r.Start("b")
		select {
		case <-e.Ready():
		case err := <-e.result:
			e.result <- err
			t.Errorf("Run returned %v", err)
		case <-time.After(time.Minute):
			t.Error("not ready")
		}
		_ = e.stop()
	})
}

// TestGroupThatIsNotCreated: where brokers don't create groups, Run says so.
func TestGroupThatIsNotCreated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.brokers["b"].noGroup = true
		e := r.start(config(new(got).handle))
		select {
		case err := <-e.result:
			e.result <- err
			if !protocol.HasCode(err, protocol.CodeGroupNotExist) || strings.Contains(err.Error(), "red%") {
				t.Errorf("Run returned %v", err)
			}
		case <-time.After(5 * time.Minute):
			t.Errorf("Run goes on: %+v", e.Snapshot())
		}
	})
}

// TestLostQueueIsCommittedNoMore: once a lost queue was let go, its offset is its new owner's. A handler that outlived the
// release must not take it back to where this member was.
func TestLostQueueIsCommittedNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Send(topicT, 1, numbered("m", 100)...)
		began := make(chan struct{})
		var once sync.Once
		cfg := config(func(ctx context.Context, m *rocketkit.Message) error {
			if m.Offset() < 4 {
				once.Do(func() { close(began) })
				return sleep(ctx, 20*time.Second)
			}
			return nil
		})
		cfg.Drain = 5 * time.Second
		e := r.run(cfg)
		<-began
		r.AddMember(groupG, "zz") // takes queue 1
		eventually(t, "queue given up", func() bool { return ownedQueues(e) == 1 })
		time.Sleep(10 * time.Second) // longer than Drain
		r.mu.Lock()
		r.brokers["b"].offsets[offsetKey{groupG, topicT, 1}] = 100 // the new owner has handled and committed all
		r.mu.Unlock()
		time.Sleep(time.Minute)
		if got := r.Offset(groupG, topicT, 1); got != 100 {
			t.Errorf("the new owner's commit of 100 was overwritten with %d", got)
		}
		e.mustStop()
		if got := r.Offset(groupG, topicT, 1); got != 100 {
			t.Errorf("the new owner's commit of 100 was overwritten with %d at the stop", got)
		}
	})
}

// TestMemberListOfAFreshBroker: a broker that has just come back knows only the members that have reached it since. Taking
// its list for the group's would have us read queues that others own and still read.
func TestMemberListOfAFreshBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("a", "b")
		s.Topic(topicT, 2)
		r := rigOn(t, s, "one")
		e := r.run(config(new(got).handle))
		s.AddMember(groupG, "zz")
		eventually(t, "half the queues given up", func() bool { return ownedQueues(e) == 2 })
		s.Stop("a") // and with it a's memory of zz, which hasn't noticed yet
		time.Sleep(time.Second)
		s.Start("a")
		most := 0
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			most = max(most, ownedQueues(e))
		}
		if most > 2 {
			t.Errorf("owned up to %d queues of 4 while b lists another member", most)
		}
		e.mustStop()
	})
}

// TestStopAfterReset: a stop waits for the handlers too whose messages a reset has passed, and cancels them when Drain is
// over.
func TestStopAfterReset(t *testing.T) {
	t.Parallel()
	for name, drain := range map[string]time.Duration{"waits": 30 * time.Second, "cancels": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				var canceled, finished atomic.Bool
				cfg := config(func(ctx context.Context, _ *rocketkit.Message) error {
					if err := sleep(ctx, 40*time.Second); err != nil {
						canceled.Store(true)
					}
					finished.Store(true)
					return ctx.Err()
				})
				cfg.Drain = drain
				e := r.run(cfg)
				r.Send(topicT, 0, "slow")
				time.Sleep(time.Second)
				r.Reset(groupG, topicT, 0, 1)
				time.Sleep(holdPull + time.Second)
				synctest.Wait()
				if got := e.Snapshot().Topics["t"].Queues[0].Position; got != 1 {
					t.Fatalf("not reset: %d", got)
				}
				e.mustStop()
				if !finished.Load() || canceled.Load() != (name == "cancels") {
					t.Errorf("finished %v, canceled %v", finished.Load(), canceled.Load())
				}
			})
		})
	}
}

// TestStopCancelsWhatOutlastedItsQueue: a handler that still runs when Drain has passed since its queue was lost is waited
// for by a stop as any other, and canceled in the end.
func TestStopCancelsWhatOutlastedItsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		var canceled atomic.Bool
		cfg := config(func(ctx context.Context, _ *rocketkit.Message) error {
			<-ctx.Done()
			canceled.Store(true)
			return ctx.Err()
		})
		cfg.Topics["t"] = Topic{Workers: 4, Handle: cfg.Topics["t"].Handle}
		cfg.Drain = 5 * time.Second
		e := r.run(cfg)
		r.Send(topicT, 1, "hangs")
		time.Sleep(time.Second)
		r.AddMember(groupG, "zz") // takes queue 1
		eventually(t, "queue given up", func() bool { return ownedQueues(e) == 1 })
		time.Sleep(time.Minute)
		start := time.Now()
		e.mustStop()
		if took := time.Since(start); !canceled.Load() || took < 5*time.Second || took > 6*time.Second {
			t.Errorf("canceled %v after %v, want after Drain", canceled.Load(), took)
		}
	})
}
