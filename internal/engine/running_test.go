package engine

import (
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
)

// No two have one seat at a time, and there are no more seats than have been taken at once.
func TestSeats(t *testing.T) {
	t.Parallel()
	const sides = 8
	var s seats
	var taking sync.WaitGroup
	for range sides {
		taking.Go(func() {
			for i := range 5000 {
				me := &handlerContext{}
				seat := s.take()
				if !seat.taken.CompareAndSwap(nil, me) {
					t.Error("a seat was given away that is taken")
					return
				}
				if i%16 == 0 {
					runtime.Gosched()
				}
				if !seat.taken.CompareAndSwap(me, nil) {
					t.Error("another sits on a seat that is taken")
					return
				}
				s.leave(seat)
			}
		})
	}
	taking.Wait()
	if n := len(*s.all.Load()); n > sides {
		t.Errorf("%d seats for %d", n, sides)
	}
	s.running(func(*handlerContext) { t.Error("one sits though all have left") })
}

// A goroutine is found by its seat's label alone, also when the process has several members of a group.
func TestSeatsOfTwoMembersHaveTheirOwnLabels(t *testing.T) {
	t.Parallel()
	one, other := seats{group: "g", topic: "t"}, seats{group: "g", topic: "t"}
	if a, b := one.take().label, other.take().label; a == b {
		t.Errorf("both have %q", a)
	}
}

func TestSeatsCostNoMemoryOnceThereAreEnough(t *testing.T) {
	var s seats
	s.leave(s.take())
	if n := testing.AllocsPerRun(1000, func() { s.leave(s.take()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestStats: what an operator sees of topics and queues while handlers run, and when they have returned.
func TestStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		release := make(chan error)
		cfg := config(func(context.Context, *rocketkit.Message) error { return <-release })
		cfg.Topics["t"] = Topic{Workers: 2, MaxWorkers: 3, Handle: cfg.Topics["t"].Handle}
		e := r.run(cfg)
		look := func() TopicSnapshot { synctest.Wait(); return e.Snapshot().Topics["t"] }
		began := time.Now()
		r.Send(topicT, 0, numbered("a", 5)...)
		time.Sleep(100 * time.Millisecond)
		s := look()
		if s.Workers != 2 || s.MaxWorkers != 3 || s.Active != 2 || s.Waiting != 3 || s.Cached != 5 || s.Times.Count != 0 {
			t.Fatalf("%+v", s)
		}
		if want := (RunningHandler{"id-a00000", rocketkit.Queue{Topic: "t", Broker: "b", ID: 0}, 0, s.Longest.Since}); s.Longest != want || s.Longest.Since.Sub(began) > 20*time.Millisecond {
			t.Errorf("longest %+v, want %+v", s.Longest, want)
		}
		first, second := queueOf(s, 0), queueOf(s, 1)
		if first.Position != 5 || first.Lag != 5 || first.Cached != 5 || first.Active != 2 || first.Waiting != 3 || !first.RunningSince.Equal(s.Longest.Since) || first.HeldBy != "" {
			t.Errorf("first queue %+v", first)
		}
		if second.Position != 0 || second.Cached+second.Active+second.Waiting != 0 || second.Lag > 0 || !second.RunningSince.IsZero() || second.HeldBy != "" {
			t.Errorf("second queue %+v", second)
		}
		time.Sleep(400 * time.Millisecond)
		if s := look(); s.Active != 3 || queueOf(s, 0).Active != 3 || queueOf(s, 0).Waiting != 2 {
			t.Errorf("grown: %+v", s)
		}
		time.Sleep(time.Second)
		release <- nil
		release <- fmt.Errorf("no")
		failed := time.Now()
		time.Sleep(time.Second)
		s = look()
		if s.Handled != 1 || s.Failed != 1 || s.LastError != "no" || !s.LastErrorTime.Equal(failed) {
			t.Errorf("%+v", s)
		}
		if d := failed.Sub(began); s.Times.Count != 2 || s.Times.Max > d || s.Times.Max < d-20*time.Millisecond || s.Times.Mean > s.Times.Max || s.Times.Mean < d-20*time.Millisecond {
			t.Errorf("times %+v, want about %v", s.Times, d)
		}
		close(release)
		time.Sleep(20 * time.Second)
		s = look()
		if first = queueOf(s, 0); first.Lag != 0 || first.Cached != 0 || first.Active != 0 || !first.RunningSince.IsZero() || s.Longest != (RunningHandler{}) || s.Times.Count < 5 {
			t.Errorf("at the end %+v", s)
		}
		time.Sleep(time.Minute)
		if s = look(); s.Times.Count != 0 || s.Times.Max != 0 {
			t.Errorf("a minute later %+v", s.Times)
		}
	})
}

// queueOf finds a queue by its number.
func queueOf(s TopicSnapshot, id int) QueueSnapshot {
	for _, q := range s.Queues {
		if q.Queue.ID == id {
			return q
		}
	}
	return QueueSnapshot{}
}

// A running info names the handler that has run longest, with the stack of its goroutine before all others', also when the
// handler sets pprof labels of its own.
func TestStackOfTheLongestHandler(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(context.Context, func()){
		"plain":       func(_ context.Context, wait func()) { wait() },
		"with labels": labeled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Topic(topicT, 1)
			release, entered := make(chan struct{}), make(chan struct{}, 3)
			e := r.run(config(func(ctx context.Context, m *rocketkit.Message) error {
				switch string(m.Body()) {
				case "fast":
				case "stuck":
					handle(ctx, func() { entered <- struct{}{}; stuckHere(release) })
				default:
					entered <- struct{}{}
					<-release
				}
				return nil
			}))
			defer close(release)
			if text := e.stacks(); !strings.HasPrefix(text, "no handler runs\n") {
				t.Errorf("no handler runs, but: %.200s", text)
			}
			r.Send(topicT, 0, "fast", "stuck")
			<-entered
			r.Send(topicT, 0, "other", "another")
			<-entered
			<-entered
			head, rest, _ := strings.Cut(e.stacks(), "\n\n")
			lines := strings.SplitN(head, "\n", 2)
			if !strings.Contains(lines[0], "message id-stuck, offset 1 of t/b/0") || len(lines) < 2 || !strings.Contains(lines[1], "engine.stuckHere") || strings.Contains(lines[1], "Snapshot") {
				t.Errorf("%s", head)
			}
			if !strings.HasPrefix(rest, "all goroutines of the process\n") || !strings.Contains(rest, "TestStackOfTheLongestHandler") {
				t.Errorf("then %.300s", rest)
			}
		})
	}
}

//go:noinline
func stuckHere(release chan struct{}) { <-release }

func labeled(ctx context.Context, wait func()) {
	ctx, cancel := context.WithTimeout(ctx, time.Hour) // makes the handler's context a real one
	defer cancel()
	pprof.Do(ctx, pprof.Labels("own", "label"), func(context.Context) { wait() })
}
