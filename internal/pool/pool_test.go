package pool

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestItemsStartInOrder(t *testing.T) {
	t.Parallel()
	var got []int
	p := New(Config{Core: 1}, func(i int) { got = append(got, i) })
	var want []int
	for i := 0; i < 10_000; {
		n := i%7 + 1
		batch := make([]int, n)
		for k := range batch {
			batch[k] = i
			i++
		}
		want = append(want, batch...)
		if !p.Put(batch...) {
			t.Fatal("a running pool refused items")
		}
		clear(batch) // the pool has its own copy
	}
	rest := stop(t, p)
	if got = append(got, rest...); !slices.Equal(got, want) {
		t.Error("items started or came back in another order than they were put")
	}
}

// What Stop gives back is a tail: everything before it has started.
func TestStopGivesBackATail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, items = 8, 100
		var mu sync.Mutex
		started := make(map[int]bool)
		p := New(Config{Core: workers}, func(i int) {
			mu.Lock()
			started[i] = true
			mu.Unlock()
			time.Sleep(time.Duration(1+i*7%5) * time.Second)
		})
		for i := range items {
			p.Put(i)
		}
		time.Sleep(9500 * time.Millisecond)
		synctest.Wait()
		rest := p.Stop()
		mu.Lock()
		n := len(started)
		mu.Unlock()
		if n+len(rest) != items || len(rest) == 0 {
			t.Fatalf("%d of %d items have started and %d came back", n, items, len(rest))
		}
		for k, i := range rest {
			if i != n+k {
				t.Fatalf("item %d came back at place %d behind %d that started", i, k, n)
			}
		}
		if again := p.Stop(); again != nil {
			t.Errorf("a second Stop gave back %v", again)
		}
		if p.Put(1) || p.Stats().Waiting != 0 {
			t.Error("a stopped pool took an item")
		}
		p.Resize(100, 0)
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(started) != n || p.Stats().Active != 0 {
			t.Errorf("%d items started after Stop, %d run after Wait", len(started)-n, p.Stats().Active)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 4})
		p.Put(time.Second, time.Hour, time.Hour)
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("drained long enough"))
		defer cancel()
		p.Stop()
		err := p.Wait(ctx)
		if err == nil || !strings.Contains(err.Error(), "2 items still running: drained long enough") {
			t.Errorf("Wait said %v", err)
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if err := p.Wait(ctx); err != nil {
			t.Errorf("all have returned, yet with an ended context Wait says %v", err)
		}
	})
}

// Wait is about a stopped pool; an idle one is not at its end.
func TestWaitWaitsForStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Core: 1}, func(int) {})
		p.Put(1)
		begin := time.Now()
		time.AfterFunc(time.Minute, func() { p.Stop() })
		if err := p.Wait(t.Context()); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("Wait returned %v after %v, want nil after the minute that Stop came at", err, time.Since(begin))
		}
		unused := New(Config{Core: 3}, func(int) {})
		unused.Stop()
		if err := unused.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkersStartOnDemand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 200})
		if n := workers(p); n != 0 {
			t.Errorf("a new pool has %d workers", n)
		}
		for range 100 {
			p.Put(time.Millisecond)
			time.Sleep(time.Second)
		}
		if n := workers(p); n != 1 {
			t.Errorf("items that come one by one brought up %d workers", n)
		}
		p.Put(time.Hour, time.Hour, time.Hour, time.Hour, time.Hour)
		if n := workers(p); n != 5 {
			t.Errorf("5 items at once brought up %d workers", n)
		}
		p.Put(slices.Repeat([]time.Duration{time.Hour}, 500)...)
		if n, s := settled(p); n != 200 {
			t.Errorf("505 items brought up %d workers, %+v", n, s)
		}
		time.Sleep(5 * time.Hour)
		if n := workers(p); n != 200 {
			t.Errorf("after its work a pool of 200 has kept %d workers", n)
		}
		p.Resize(3, 0)
		if n := workers(p); n != 3 {
			t.Errorf("an idle pool of 3 has kept %d workers", n)
		}
		p.Stop()
		if n := workers(p); n != 0 {
			t.Errorf("a stopped pool has kept %d workers", n)
		}
	})
}

func TestShrinkingInterruptsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most, finished atomic.Int64
		p := New(Config{Core: 8}, func(i int) {
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			time.Sleep(time.Duration(2+i%3) * time.Second)
			running.Add(-1)
			finished.Add(1)
		})
		for i := range 60 {
			p.Put(i)
		}
		time.Sleep(1500 * time.Millisecond)
		check := func(size int, active int) {
			t.Helper()
			if s := p.Stats(); s.Workers != size || s.Active != active || running.Load() != int64(active) {
				t.Errorf("%+v and %d running, want %d active of %d", s, running.Load(), active, size)
			}
		}
		check(8, 8)
		p.Resize(3, 0)
		check(3, 8)
		time.Sleep(3 * time.Second) // all 8 have returned
		most.Store(0)
		check(3, 3)
		time.Sleep(10 * time.Second)
		if most.Load() > 3 {
			t.Errorf("%d ran at once after a reduction to 3", most.Load())
		}
		p.Resize(0, 0)
		time.Sleep(10 * time.Second)
		check(0, 0)
		p.Resize(-1, 0)
		check(0, 0)
		p.Resize(8, 0)
		synctest.Wait()
		check(8, 8)
		time.Sleep(time.Minute)
		if finished.Load() != 60 {
			t.Errorf("%d of 60 items finished", finished.Load())
		}
		p.Stop()
	})
}

func TestOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 1})
		if s := p.Stats(); !s.Oldest.IsZero() {
			t.Errorf("an empty pool's oldest is of %v", s.Oldest)
		}
		p.Put(time.Minute)
		time.Sleep(time.Second)
		second := time.Now()
		p.Put(time.Minute)
		time.Sleep(time.Second)
		p.Put(0)
		if s := p.Stats(); !s.Oldest.Equal(second) || s.Waiting != 2 || s.Active != 1 {
			t.Errorf("%+v, want the oldest of %v", s, second)
		}
		time.Sleep(time.Minute)
		if s := p.Stats(); !s.Oldest.Equal(second.Add(time.Second)) {
			t.Errorf("%+v, want the oldest of %v", s, second.Add(time.Second))
		}
		time.Sleep(time.Minute)
		if s := p.Stats(); !s.Oldest.IsZero() {
			t.Errorf("%+v, want no oldest", s)
		}
		p.Stop()
	})
}

// A handler that calls t.FailNow ends its goroutine. The pool goes on with another.
func TestGoexit(t *testing.T) {
	t.Parallel()
	var ran atomic.Int64
	p := New(Config{Core: 2}, func(int) {
		ran.Add(1)
		runtime.Goexit()
	})
	for range 100 {
		p.Put(1)
	}
	for ran.Load() < 100 {
		runtime.Gosched()
	}
	stop(t, p)
	if s := p.Stats(); s.Active != 0 {
		t.Errorf("%+v", s)
	}
}

func stop[T any](t *testing.T, p *Pool[T]) []T {
	t.Helper()
	rest := p.Stop()
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	return rest
}

// Withdraw takes what waits, and nothing that runs.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ran []int
		p := New(Config{Core: 1}, func(i int) {
			time.Sleep(time.Second)
			ran = append(ran, i)
		})
		p.Put(0, 1, 2, 3, 4, 5)
		synctest.Wait()
		if out := p.Withdraw(func(i *int) bool { return *i%2 == 0 }); !slices.Equal(out, []int{2, 4}) {
			t.Errorf("took %v", out)
		}
		time.Sleep(time.Minute)
		stop(t, p)
		if !slices.Equal(ran, []int{0, 1, 3, 5}) {
			t.Errorf("ran %v", ran)
		}
		if out := p.Withdraw(func(*int) bool { return true }); out != nil {
			t.Errorf("took %v of a stopped pool", out)
		}
	})
}
