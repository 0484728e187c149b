package pool

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// blocking is a pool whose items take as long as they say; it ends with the test.
func blocking(t *testing.T, cfg Config) *Pool[time.Duration] {
	t.Helper()
	p := New(cfg, func(d time.Duration) { time.Sleep(d) })
	t.Cleanup(func() {
		p.Stop()
		_ = p.Wait(context.Background())
	})
	return p
}

// settled gives how many workers there are once nothing moves, and the figures of that moment.
func settled(p *Pool[time.Duration]) (int, Stats) {
	synctest.Wait()
	p.mu.Lock()
	n := p.workers
	p.mu.Unlock()
	return n, p.Stats()
}

func workers(p *Pool[time.Duration]) int {
	n, _ := settled(p)
	return n
}

func hours(n int) []time.Duration { return slices.Repeat([]time.Duration{time.Hour}, n) }

// Items that wait too long get a worker each, all that have waited so long and no other, up to Max.
func TestGrowsForItemsThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 4, Max: 12})
		p.Put(hours(4)...)
		time.Sleep(time.Minute)
		if n := workers(p); n != 4 {
			t.Fatalf("%d workers though nothing waits", n)
		}
		p.Put(hours(3)...)
		time.Sleep(150 * time.Millisecond)
		p.Put(hours(2)...)
		time.Sleep(49 * time.Millisecond)
		if n := workers(p); n != 4 {
			t.Fatalf("%d workers 199 ms after items began to wait", n)
		}
		time.Sleep(time.Millisecond)
		if n, s := settled(p); n != 7 || s.Waiting != 2 || s.Workers != 7 || s.Core != 4 || s.Max != 12 {
			t.Fatalf("%d workers, %+v when 3 items have waited 200 ms, and 2 for less", n, s)
		}
		time.Sleep(150 * time.Millisecond)
		if n, s := settled(p); n != 9 || s.Waiting != 0 {
			t.Fatalf("%d workers, %+v when the others have waited as long", n, s)
		}
		p.Put(hours(20)...)
		time.Sleep(time.Second)
		if n, s := settled(p); n != 12 || s.Active != 12 || s.Waiting != 17 {
			t.Fatalf("%d workers, %+v when 29 items want 12", n, s)
		}
	})
}

// Items that wait, but for less than the limit, are no reason to grow, however many they are.
func TestShortWaitsDoNotGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 2, Max: 100, GrowAfter: time.Second})
		for range 200 {
			p.Put(slices.Repeat([]time.Duration{90 * time.Millisecond}, 22)...) // the last wait 900 ms
			time.Sleep(time.Second)
			if n := workers(p); n != 2 {
				t.Fatalf("%d workers", n)
			}
		}
	})
}

// What has grown stays while it is used, goes when it was idle for long enough, and never below Core.
func TestShrinksWhenIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 3, Max: 10})
		p.Put(slices.Repeat([]time.Duration{time.Second}, 10)...)
		time.Sleep(1100 * time.Millisecond) // 3 returned after 1 s, 7 run
		if n := workers(p); n != 10 {
			t.Fatalf("grew to %d workers", n)
		}
		time.Sleep(50 * time.Second)
		p.Put(slices.Repeat([]time.Duration{time.Second}, 6)...) // no growing: they take the idle ones
		if n, s := settled(p); n != 10 || s.Waiting > 0 {
			t.Fatalf("%+v", s)
		}
		time.Sleep(9 * time.Second) // 4 of them have not been used for 59 s, 6 have
		if n := workers(p); n != 10 {
			t.Fatalf("%d workers, none of them idle for 60 s", n)
		}
		time.Sleep(1200 * time.Millisecond)
		if n := workers(p); n != 6 {
			t.Fatalf("%d workers when 4 have been idle for 60 s", n)
		}
		time.Sleep(51 * time.Second)
		if n := workers(p); n != 3 {
			t.Fatalf("%d workers after a minute without work", n)
		}
		time.Sleep(time.Hour)
		if n, s := settled(p); n != 3 || s.Workers != 3 || s.Max != 10 {
			t.Fatalf("%d workers, %+v", n, s)
		}
	})
}

// An idle pool has no timer that runs, and neither has one that can't grow, whatever waits.
func TestIdleCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quiet := func(what string, p *Pool[time.Duration]) {
			t.Helper()
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.growth.set || p.shrinkage.set {
				t.Errorf("%s: growth %t, shrinkage %t", what, p.growth.set, p.shrinkage.set)
			}
		}
		p := blocking(t, Config{Core: 2, Max: 4})
		quiet("new", p)
		p.Put(time.Second, time.Second)
		quiet("nothing waits", p)
		p.Put(time.Second, time.Second)
		time.Sleep(time.Hour)
		quiet("after an hour", p)
		p.Put(hours(9)...)
		time.Sleep(time.Second)
		quiet("grown as far as it may", p)

		fixed := blocking(t, Config{Core: 2})
		fixed.Put(hours(9)...)
		quiet("fixed", fixed)
	})
}

// Both bounds change at once, in both directions, and no running item is interrupted.
func TestResizeOfAGrownPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 2, Max: 2})
		check := func(workers, active, waiting int) {
			t.Helper()
			synctest.Wait()
			if s := p.Stats(); s.Workers != workers || s.Active != active || s.Waiting != waiting {
				t.Errorf("%+v, want %d workers, %d active, %d waiting", s, workers, active, waiting)
			}
		}
		p.Put(hours(30)...)
		time.Sleep(time.Minute)
		check(2, 2, 28)
		p.Resize(2, 6) // they have waited long enough already
		check(6, 6, 24)
		p.Resize(8, 6) // as 8, 8
		check(8, 8, 22)
		p.Resize(1, 20)
		check(20, 20, 10)
		p.Resize(1, 4)
		check(4, 20, 10)
		time.Sleep(time.Hour - 2*time.Minute)
		check(4, 20, 10)
		time.Sleep(3 * time.Minute) // all have returned
		check(4, 4, 6)
		p.Resize(3, 9)
		check(9, 9, 1)
		p.Resize(0, 0)
		time.Sleep(2 * time.Hour)
		check(0, 0, 1)
		p.Resize(0, 1)
		check(1, 1, 0)
	})
}

// A smaller core takes effect on idle workers at once.
func TestResizeEndsIdleWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := blocking(t, Config{Core: 16})
		p.Put(slices.Repeat([]time.Duration{time.Second}, 16)...)
		time.Sleep(time.Minute)
		p.Put(time.Hour)
		p.Resize(4, 64)
		if n := workers(p); n != 4 {
			t.Errorf("%d workers", n)
		}
	})
}

// Items that end their goroutine take a worker of a grown pool with them; those that wait get another.
func TestGrownPoolSurvivesGoexit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ran := make(chan int, 100)
		p := New(Config{Core: 1, Max: 5}, func(i int) {
			defer func() { ran <- i }()
			time.Sleep(time.Second)
			if i%2 == 0 {
				runtime.Goexit()
			}
		})
		for i := range cap(ran) {
			p.Put(i)
		}
		for i := range cap(ran) {
			if got := <-ran; got < i-5 || got > i+5 {
				t.Errorf("item %d returned as number %d", got, i)
			}
		}
		if rest := stop(t, p); len(rest) > 0 {
			t.Errorf("%v never ran", rest)
		}
	})
}
