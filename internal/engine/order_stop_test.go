package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// TestStopWithFailingMessages: at a stop a message that waits for its retry is tried once more when that is soon; then, or
// when it isn't, its lane is left to who comes next, who begins with it.
func TestStopWithFailingMessages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		delay    time.Duration
		succeeds int // the attempt that does
		attempts int
		took     time.Duration
		offset   int64
	}{
		"soon, and then it works":  {3 * time.Second, 2, 2, 3 * time.Second, 3},
		"soon, and fails again":    {3 * time.Second, 9, 2, 3 * time.Second, 0},
		"in an hour":               {time.Hour, 2, 1, 0, 0},
		"soon, and fails for ever": {50 * time.Millisecond, 1000, 3, 50 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				var came []string
				e := r.run(inOrder(OrderKey, 1, func(_ context.Context, m *rocketkit.Message) error {
					came = append(came, string(m.Body()))
					if string(m.Body()) == "bad" && m.Attempt() < test.succeeds {
						return &Verdict{Action: Retry, Delay: test.delay}
					}
					return nil
				}))
				r.sendKey(0, "a", "bad")
				r.sendKey(0, "a", "behind") // has a ticket below the next one's, and so is still to come
				r.sendKey(0, "b", "other")
				time.Sleep(60 * time.Millisecond) // the last kind has failed twice by then
				start := time.Now()
				e.mustStop()
				if took := time.Since(start).Round(10 * time.Millisecond); took > test.took {
					t.Errorf("the stop took %v, want %v at most", took, test.took)
				}
				want := append([]string{"bad", "other"}, slices.Repeat([]string{"bad"}, test.attempts-1)...)
				if test.offset == 3 {
					want = append(want, "behind")
				}
				if !slices.Equal(came, want) {
					t.Errorf("came %v, want %v", came, want)
				}
				if got := r.Offset(groupG, topicT, 0); got != test.offset {
					t.Errorf("committed %d, want %d", got, test.offset)
				}
				if held := e.Snapshot().Topics["t"].Cached; held != 0 {
					t.Errorf("%d messages held", held)
				}
			})
		})
	}
}

// TestStopFinishesWhatStandsBelow: what stands behind others of its key, below a message that has begun, is handled before
// a stop is done, so that nothing comes twice; what lies above is not begun.
func TestStopFinishesWhatStandsBelow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 1)
		var all []string
		check := newOrderCheck(byKey)
		g := &got{}
		handle := func(ctx context.Context, m *rocketkit.Message) error {
			check.begin(m)
			defer check.end(m, true)
			if m.ShardingKey() == "slow" {
				_ = sleep(ctx, 100*time.Millisecond)
			}
			_ = sleep(ctx, time.Millisecond)
			g.add(m)
			return nil
		}
		r := rigOn(t, s, "one")
		for i := range 600 {
			all = append(all, fmt.Sprintf("%03d", i))
			r.sendKey(0, []string{"slow", "a", "b", "c"}[i%4], all[i])
		}
		e := r.run(inOrder(OrderKey, 4, handle))
		time.Sleep(70 * time.Millisecond)
		e.mustStop()
		first := g.len()
		if offset := s.Offset(groupG, topicT, 0); offset != int64(first) {
			t.Errorf("%d handled at the stop, committed %d", first, offset)
		}
		if first < 100 || first > 500 {
			t.Errorf("%d handled before the stop: this tests nothing", first)
		}
		e = rigOn(t, s, "two").run(inOrder(OrderKey, 4, handle))
		eventually(t, "the rest", func() bool { return g.len() >= 600 })
		e.mustStop()
		if got := g.sorted(); !slices.Equal(got, all) {
			t.Errorf("%d handled, want %d once each: %s", len(got), len(all), difference(got, all))
		}
		check.report(t)
	})
}

// TestDrainGivesUpOnLanes: handlers that don't return within Drain end it; of their lanes nothing more begins.
func TestDrainGivesUpOnLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		var came atomic.Int32
		cfg := inOrder(OrderKey, 2, func(ctx context.Context, m *rocketkit.Message) error {
			came.Add(1)
			if m.ShardingKey() == "a" {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		cfg.Drain = 20 * time.Second
		e := r.run(cfg)
		for i := range 10 {
			r.sendKey(0, []string{"a", "b"}[i%2], fmt.Sprint(i))
		}
		eventually(t, "b's handled", func() bool { return came.Load() == 6 })
		start := time.Now()
		e.mustStop()
		if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("the stop took %v, want Drain", took)
		}
		if came.Load() != 6 || r.Offset(groupG, topicT, 0) != 0 {
			t.Errorf("%d came, committed %d, want 6 and 0", came.Load(), r.Offset(groupG, topicT, 0))
		}
	})
}

// TestDeadLetterAtTheStop: a stop doesn't wait for a broker that takes no dead letters.
func TestDeadLetterAtTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 1)
		s.Send(topicT, 0, "m", "n")
		r := rigOn(t, s, "one")
		s.Script(refuseSendBack("", refuse(protocol.CodeSystemError, "disk full")))
		g := &got{}
		handle := func(_ context.Context, m *rocketkit.Message) error {
			g.add(m)
			if string(m.Body()) == "m" {
				return &Verdict{Action: DeadLetter}
			}
			return nil
		}
		e := r.run(inOrder(OrderQueue, 1, handle))
		eventually(t, "one unsettled", func() bool { return e.Snapshot().Unsettled == 1 })
		start := time.Now()
		e.mustStop()
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("took %v", took)
		}
		if got := s.Offset(groupG, topicT, 0); got != 0 || g.len() != 1 {
			t.Errorf("committed %d, %d came", got, g.len())
		}
		s.Script(nil)
		e = rigOn(t, s, "two").run(inOrder(OrderQueue, 1, handle))
		eventually(t, "both done", func() bool { return s.Offset(groupG, topicT, 0) == 2 })
		if letters := s.Bodies(letterG); !slices.Equal(letters, []string{"m"}) {
			t.Errorf("dead letters %v", letters)
		}
		e.mustStop()
	})
}

// TestResetInOrder: when an operator moves the queue, a handler that still runs keeps its key: what comes anew of it waits,
// whatever waits for a retry is forgotten, and other keys go on at once.
func TestResetInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		release := make(chan struct{})
		var mu sync.Mutex
		var came []string
		running := map[string]int{}
		e := r.run(inOrder(OrderKey, 8, func(_ context.Context, m *rocketkit.Message) error {
			mu.Lock()
			key, body := m.ShardingKey(), string(m.Body())
			if running[key]++; running[key] > 1 {
				t.Errorf("two of key %s at once", key)
			}
			came = append(came, body)
			seen := 0
			for _, other := range came {
				if other == body {
					seen++
				}
			}
			mu.Unlock()
			if body == "hangs" && seen == 1 {
				<-release
			}
			mu.Lock()
			running[key]--
			mu.Unlock()
			if body == "fails" && seen == 1 {
				return &Verdict{Action: Retry, Delay: time.Hour}
			}
			return nil
		}))
		r.sendKey(0, "a", "hangs")
		r.sendKey(0, "b", "fails")
		r.sendKey(0, "a", "a2")
		r.sendKey(0, "b", "b2")
		r.sendKey(0, "c", "c")
		read := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(came)
		}
		eventually(t, "c handled", func() bool { return len(read()) == 3 })
		r.Reset(groupG, topicT, 0, 0)
		eventually(t, "b and c from the start", func() bool { return len(read()) == 6 })
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := read()[3:]; !slices.Contains(got, "fails") || !slices.Contains(got, "b2") || !slices.Contains(got, "c") {
			t.Errorf("after the reset, while a's handler hangs, %v came", got)
		}
		close(release)
		eventually(t, "all done", func() bool { return r.Offset(groupG, topicT, 0) == 5 })
		if got := read()[6:]; !slices.Equal(got, []string{"hangs", "a2"}) {
			t.Errorf("then %v, want hangs and a2", got)
		}
		if held := e.Snapshot().Topics["t"].Cached; held != 0 {
			t.Errorf("%d messages held", held)
		}
		e.mustStop()
	})
}

// TestLaneWaitsForTheLock: while another member may hold the queue nothing of it begins, and no worker is taken.
func TestLaneWaitsForTheLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		g := &got{}
		e := r.run(inOrder(OrderKey, 1, g.handle))
		var held atomic.Bool
		for _, q := range e.allQueues() {
			if q.lanes != nil {
				q.lanes.held = held.Load // nothing has been sent yet
			}
		}
		for i := range 10 {
			r.sendKey(0, fmt.Sprint(i%3), fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := e.Snapshot().Topics["t"]; g.len() != 0 || s.Active != 0 {
			t.Errorf("%d came without the lock, %d active", g.len(), s.Active)
		}
		held.Store(true)
		start := time.Now()
		eventually(t, "all handled", func() bool { return g.len() == 10 })
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v after the lock was back", took)
		}
		held.Store(false)
		r.sendKey(0, "a", "more")
		time.Sleep(time.Second)
		synctest.Wait()
		e.mustStop()
		if g.len() != 10 || r.Offset(groupG, topicT, 0) != 10 {
			t.Errorf("%d came, committed %d", g.len(), r.Offset(groupG, topicT, 0))
		}
	})
}

// TestShrinkInOrder: a pool that is made smaller is so as soon as handlers return, and within a burst of those that take
// no time; one of no workers stands.
func TestShrinkInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		for i := range 4000 {
			r.sendKey(0, fmt.Sprint(i%8), fmt.Sprint(i))
		}
		var running, most, came atomic.Int32
		e := r.run(inOrder(OrderKey, 8, func(ctx context.Context, _ *rocketkit.Message) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			came.Add(1)
			return sleep(ctx, 10*time.Millisecond)
		}))
		time.Sleep(100 * time.Millisecond)
		if most.Load() != 8 {
			t.Errorf("at most %d handlers, want 8", most.Load())
		}
		e.topics[topicT].pool.Resize(2, 2)
		time.Sleep(10 * time.Millisecond)
		most.Store(0)
		time.Sleep(time.Second)
		synctest.Wait()
		if most.Load() != 2 {
			t.Errorf("at most %d handlers, want 2", most.Load())
		}
		e.topics[topicT].pool.Resize(0, 0)
		time.Sleep(10 * time.Millisecond)
		before := came.Load()
		time.Sleep(time.Minute)
		synctest.Wait()
		if came.Load() != before {
			t.Errorf("%d more came without workers", came.Load()-before)
		}
		e.topics[topicT].pool.Resize(8, 8)
		eventually(t, "all handled", func() bool { return came.Load() == 4000 })
		e.mustStop()
	})
}

// TestBusyKeyStarvesNobody: with one worker, another key comes after a burst of the busy one, not after all of it.
func TestBusyKeyStarvesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		for i := range 500 {
			r.sendKey(0, "busy", fmt.Sprint(i))
		}
		var came, at atomic.Int32
		e := r.run(inOrder(OrderKey, 1, func(_ context.Context, m *rocketkit.Message) error {
			if n := came.Add(1); m.ShardingKey() == "other" {
				at.Store(n)
			} else if n == 1 { // all are held before the second comes
				r.sendKey(1, "other", "m")
				time.Sleep(time.Second)
			}
			return nil
		}))
		eventually(t, "all handled", func() bool { return came.Load() == 501 })
		if at := at.Load(); at > 2*burstMessages {
			t.Errorf("the other key's message came as number %d", at)
		}
		e.mustStop()
	})
}

// TestRunningInfoTellsOrder: RocketMQ's tools are told that a group consumes orderly when a topic is handled queue by
// queue.
func TestRunningInfoTellsOrder(t *testing.T) {
	t.Parallel()
	for order, want := range map[Order]string{OrderNone: "false", OrderKey: "false", OrderQueue: "true"} {
		e := newRig(t).engine(inOrder(order, 1, new(got).handle))
		if got := e.runningInfo().Properties[protocol.RunningOrderly]; got != want {
			t.Errorf("order %d: %s %s, want %s", order, protocol.RunningOrderly, got, want)
		}
	}
}

// TestKillInOrder: a Client that is closed under a consumer, as good as a kill -9, repeats what was done above the lowest
// message that wasn't, in order: with one that fails, everything of the other keys, and nothing where order is the queue's.
func TestKillInOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		order          Order
		before, repeat int
	}{
		"key": {OrderKey, 1 + 50, 50}, "queue": {OrderQueue, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScripted("b")
				s.Topic(topicT, 1)
				g := &got{}
				var fails atomic.Bool
				fails.Store(true)
				check := map[bool]*orderCheck{true: newOrderCheck(byKey), false: newOrderCheck(byKey)} // before and after
				handle := func(_ context.Context, m *rocketkit.Message) error {
					check := check[fails.Load()]
					check.begin(m)
					defer check.end(m, true)
					g.add(m)
					if fails.Load() && m.ShardingKey() == "bad" {
						return &Verdict{Action: Retry, Delay: time.Hour}
					}
					return nil
				}
				killed := rigOn(t, s, "killed")
				killed.sendKey(0, "bad", "bad")
				for i := range 50 {
					killed.sendKey(0, fmt.Sprint(i%5), fmt.Sprint(i))
				}
				e := killed.run(inOrder(test.order, 4, handle))
				eventually(t, "all but one done", func() bool { return g.len() == test.before })
				time.Sleep(time.Minute) // whatever can be committed is
				_ = killed.client.Close(context.Background())
				_ = e.stop()
				if got := s.Offset(groupG, topicT, 0); got != 0 {
					t.Errorf("committed %d over the message that fails", got)
				}
				fails.Store(false)
				next := rigOn(t, s, "next").run(inOrder(test.order, 4, handle))
				eventually(t, "everything committed", func() bool { return s.Offset(groupG, topicT, 0) == 51 })
				next.mustStop()
				if want := 1 + 51 + test.repeat; g.len() != want {
					t.Errorf("%d deliveries, want %d", g.len(), want)
				}
				check[true].report(t)
				check[false].report(t)
			})
		})
	}
}

// TestHandoverAfterReset: who gets an ordered queue next begins once the handler from before a reset has returned too.
func TestHandoverAfterReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		release := make(chan struct{})
		cfg := inOrder(OrderQueue, 4, func(context.Context, *rocketkit.Message) error { <-release; return nil })
		e := r.run(cfg)
		r.Send(topicT, 1, "slow", "behind")
		time.Sleep(time.Second)
		e.reset(map[protocol.Queue]int64{{Topic: topicT, Broker: "b", ID: 1}: 0})
		r.Send(topicT, 1, "more")
		time.Sleep(time.Second)
		r.AddMember(groupG, "zz") // takes queue 1
		eventually(t, "queue given up", func() bool { return ownedQueues(e) == 1 })
		time.Sleep(time.Minute)
		if n := len(r.Requests(protocol.ReqUnlockQueues)); n > 0 {
			t.Error("the queue was handed over while a handler of it runs")
		}
		close(release)
		eventually(t, "handed over", func() bool { return len(r.Requests(protocol.ReqUnlockQueues)) > 0 })
		e.mustStop()
	})
}
