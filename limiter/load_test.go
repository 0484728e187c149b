package limiter

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// An unlimited call, one that finds its permit and a steady wait allocate nothing.
func TestAllocatesNothing(t *testing.T) {
	ctx := t.Context()
	unlimited, ample, busy := &Limiter{}, limiter(t, Config{Rate: 1e9, Burst: 1e9}), limiter(t, Config{Rate: 1e5, Burst: 1})
	for what, call := range map[string]func(){
		"no limit": func() { _ = unlimited.Wait(ctx) },
		"at once":  func() { _ = ample.Wait(ctx) },
		"take":     func() { ample.Take(32) },
		"waiting":  func() { _ = busy.WaitN(ctx, 2) },
	} {
		if n := testing.AllocsPerRun(200, call); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

// Callers of all kinds from all sides, while everything changes: permits are neither lost nor made, and nobody is left behind.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	const burst, callers, each = 100, 16, 300
	l := limiter(t, Config{Rate: 1e5, Burst: burst})
	begin := time.Now()
	var taken atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for k := range each {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(k%5)*50*time.Microsecond)
				switch n := 1 + (i+k)%3; (i + k) % 4 {
				case 0:
					if l.TryTake(n) {
						taken.Add(int64(n))
					}
				case 1:
					if l.WaitN(ctx, n) == nil {
						taken.Add(int64(n))
					}
				case 2:
					if l.WaitN(t.Context(), n) == nil {
						taken.Add(int64(n - 1))
						l.Return(1)
					}
				default:
					got, _ := l.Take(n)
					taken.Add(int64(got))
				}
				cancel()
			}
		})
	}
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			set(t, l.SetRate([]float64{1e5, 1, 5e4, 10}[i%4]))
			if i%3 == 0 {
				l.Pause()
				runtime.Gosched()
				l.Resume()
			}
			set(t, l.Ramp(0.5, time.Millisecond))
			l.Stats()
			runtime.Gosched()
		}
	})
	all.Wait()
	close(stop)
	changing.Wait()
	if most := burst + 1 + 1e5*(time.Since(begin)+grace).Seconds(); float64(taken.Load()) > most {
		t.Errorf("%d permits were taken, of at most %.0f", taken.Load(), most)
	}
	if s := l.Stats(); s.Waiters != 0 || l.line.wanted != 0 || l.line.head != nil || l.line.tail != nil {
		t.Errorf("%+v, %+v", s, l.line)
	}
}

// What a late sleeper has left is there for those who come next, and more comes in meanwhile; but not for who comes later.
func TestLatePermitsDoNotStay(t *testing.T) {
	t.Parallel()
	for rest, want := range map[time.Duration]int{0: 10, 10 * time.Millisecond: 20, 24 * time.Millisecond: 26, 26 * time.Millisecond: 1} {
		synctest.Test(t, func(t *testing.T) {
			l := empty(t, Config{Rate: 1000, Burst: 1})
			took := waits(t.Context(), l, 1)
			l.mu.Lock()
			l.bucket.last -= 10 * time.Millisecond
			l.mu.Unlock()
			<-took
			time.Sleep(rest)
			if n, _ := l.Take(100); n != want {
				t.Errorf("%d after %v, want %d", n, rest, want)
			}
		})
	}
}

// Whoever looks serves those who are due, and then the next in line is woken when it is due in its turn.
func TestServedByOthers(t *testing.T) {
	t.Parallel()
	for what, look := range map[string]func(*Limiter){
		"TryTake": func(l *Limiter) { l.TryTake(1) },
		"Take":    func(l *Limiter) { l.Take(1) },
		"Return":  func(l *Limiter) { l.Return(1) },
		"Stats":   func(l *Limiter) { l.Stats() },
		"SetRate": func(l *Limiter) { _ = l.SetRate(999) },
		"a cancel": func(l *Limiter) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(0, cancel)
			_ = l.Wait(ctx)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := empty(t, Config{Rate: 1000, Burst: 1})
			var all sync.WaitGroup
			var served atomic.Int64
			for range 20 {
				all.Go(func() {
					_ = l.Wait(t.Context())
					served.Add(1)
				})
			}
			synctest.Wait()
			l.mu.Lock()
			l.bucket.last -= 5 * time.Millisecond
			l.mu.Unlock()
			look(l)
			synctest.Wait()
			if n := served.Load(); n < 5 {
				t.Errorf("%s: %d were served", what, n)
			}
			time.Sleep(17 * time.Millisecond)
			synctest.Wait()
			if n := served.Load(); n < 20 {
				t.Errorf("%s: only %d were served", what, n)
			}
			l.Stats()
			all.Wait()
		})
	}
}

// A limiter that nobody waits for has no timer that runs.
func TestIdleCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1})
		ctx, cancel := context.WithCancel(t.Context())
		took := waits(ctx, l, 1)
		ringing := func() bool { return l.line.head != nil && l.line.head.set || l.line.spare != nil && l.line.spare.set }
		if !ringing() {
			t.Error("somebody waits and nothing will ring")
		}
		l.Pause()
		if ringing() {
			t.Error("paused, and something will ring")
		}
		l.Resume()
		cancel()
		<-took
		if ringing() {
			t.Error("nobody waits and something will ring")
		}
	})
}

// Those in line lose nothing to a timer that rings late, up to 25 ms. What a process missed that stood still for longer is gone.
func TestWaitersAfterAStall(t *testing.T) {
	t.Parallel()
	for stall, want := range map[time.Duration]int{3 * time.Millisecond: 4, 20 * time.Millisecond: 21, 5 * time.Second: 26} {
		synctest.Test(t, func(t *testing.T) {
			l := empty(t, Config{Rate: 1000, Burst: 1})
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { _ = l.Wait(ctx) })
			}
			synctest.Wait()
			l.mu.Lock()
			l.bucket.last -= stall // so much more has passed for the limiter, and for no timer
			l.mu.Unlock()
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if s := l.Stats(); 100-s.Waiters != want {
				t.Errorf("after %v %d passed at once, want %d", stall, 100-s.Waiters, want)
			}
			cancel()
			all.Wait()
		})
	}
}

// A loop that sleeps by itself keeps the rate though it is always late, with the smallest burst.
func TestTakeMakesUpForLateness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{0.5, 20, 1000, 100_000} {
			l := empty(t, Config{Rate: rate, Burst: 1})
			begin, total := time.Now(), 0
			for i := 0; time.Since(begin) < time.Minute; i++ {
				n, next := l.Take(math.MaxInt)
				total += n
				time.Sleep(next + time.Duration(i%20)*time.Millisecond)
			}
			if wanted := rate * time.Since(begin).Seconds(); math.Abs(float64(total)-wanted) > 1+rate*0.025 {
				t.Errorf("%v a second: %d in %v", rate, total, time.Since(begin))
			}
			time.Sleep(time.Hour) // but not for an hour
			if n, _ := l.Take(math.MaxInt); float64(n) > 1+rate*0.025 {
				t.Errorf("%v a second: %d after an hour", rate, n)
			}
		}
	})
}
