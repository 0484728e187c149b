package limiter

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func limiter(t *testing.T, cfg Config) *Limiter {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// empty is a limiter whose burst was taken.
func empty(t *testing.T, cfg Config) *Limiter {
	t.Helper()
	l := limiter(t, cfg)
	l.Take(math.MaxInt)
	l.short = false
	return l
}

// waits starts a WaitN and returns where it tells how long it took, negative if it got nothing.
func waits(ctx context.Context, l *Limiter, n int) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	begin := time.Now()
	go func() {
		if l.WaitN(ctx, n) != nil {
			took <- -time.Since(begin)
			return
		}
		took <- time.Since(begin)
	}()
	synctest.Wait() // in line
	return took
}

func want(t *testing.T, what string, took <-chan time.Duration, d time.Duration) {
	t.Helper()
	if got := <-took; got.Round(time.Microsecond) != d {
		t.Errorf("%s: %v, want %v", what, got, d)
	}
}

func set(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestServedInTheOrderOfTheirCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 10, Burst: 5})
		var order []int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if err := l.WaitN(t.Context(), 1+i%7); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			})
			synctest.Wait()
			if n, _ := l.Take(1); n > 0 || l.TryTake(1) {
				t.Fatal("somebody has overtaken those in line")
			}
		}
		all.Wait()
		if !slices.IsSorted(order) || len(order) != 50 {
			t.Errorf("%v", order)
		}
	})
}

// Rates rise and fall while somebody waits, and what was waited for already counts.
func TestSetRateReachesWhoWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1.0 / 3600})
		first, second := waits(t.Context(), l, 1), waits(t.Context(), l, 1)
		time.Sleep(30 * time.Minute) // half a permit
		set(t, l.SetRate(1000))
		want(t, "the first", first, 30*time.Minute+500*time.Microsecond)
		set(t, l.SetRate(1))
		want(t, "the second", second, 30*time.Minute+500*time.Microsecond+time.Second)

		third := waits(t.Context(), l, 1)
		time.Sleep(time.Second / 2)
		set(t, l.SetRate(0.1))
		want(t, "one for whom it gets slower", third, time.Second/2+5*time.Second)

		fourth := waits(t.Context(), l, 4)
		set(t, l.SetRate(math.Inf(1)))
		want(t, "one whose limit is lifted", fourth, 0)
		if err := l.WaitN(t.Context(), 1e9); err != nil {
			t.Error(err)
		}
	})
}

// 100, 10,000 and 10 a second, each in force in the very next second.
func TestRateHoldsFromTheChangeOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Rate: 100})
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		var passed atomic.Int64
		for range 300 {
			go func() {
				for l.Wait(ctx) == nil {
					passed.Add(1)
				}
			}()
		}
		for _, rate := range []float64{100, 10_000, 10, 5000, 10} {
			set(t, l.SetRate(rate))
			before := passed.Load()
			time.Sleep(time.Second)
			synctest.Wait()
			got, most := float64(passed.Load()-before), rate+max(rate/20, float64(l.Stats().Burst))
			if got < rate-1 || got > most {
				t.Errorf("%v passed in the second after the rate became %v", got, rate)
			}
		}
	})
}

func TestCanceledWaitCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1})
		ctx, cancel := context.WithCancelCause(t.Context())
		var gone []<-chan time.Duration
		first := waits(t.Context(), l, 1)
		for range 5 {
			gone = append(gone, waits(ctx, l, 3))
		}
		last := waits(t.Context(), l, 1)
		time.Sleep(time.Second / 4)
		reason := errors.New("enough")
		cancel(reason)
		for _, took := range gone {
			want(t, "canceled", took, -time.Second/4)
		}
		want(t, "the one before", first, time.Second)
		want(t, "the one behind", last, 2*time.Second)

		err := l.Wait(ctx)
		if !errors.Is(err, reason) || !strings.HasPrefix(err.Error(), "limiter: ") {
			t.Errorf("Wait said %v", err)
		}
		time.Sleep(time.Second)
		if err := l.Wait(ctx); err == nil || !l.TryTake(1) {
			t.Errorf("a context that had ended before was given a permit: %v", err)
		}
	})
}

// Who is first and goes leaves what it had come to to those behind, but for what has no room.
func TestThoseBehindMoveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1, Burst: 3})
		ctx, cancel := context.WithCancel(t.Context())
		gone := waits(ctx, l, 100)
		var behind []<-chan time.Duration
		for range 5 {
			behind = append(behind, waits(t.Context(), l, 1))
		}
		time.Sleep(50 * time.Second)
		cancel()
		want(t, "canceled", gone, -50*time.Second)
		for i, took := range behind {
			want(t, "behind", took, 50*time.Second+time.Duration(max(i-2, 0))*time.Second)
		}
	})
}

// At the moment at which permits come and the context ends, a wait either has them and says so, or leaves them for the next.
func TestGrantedAsItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		served, failed := 0, 0
		for range 300 {
			l := empty(t, Config{Rate: 1, Burst: 1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			took := waits(ctx, l, 1)
			left := 0
			if time.Sleep(time.Second); <-took < 0 {
				failed++
				left = 1
			} else {
				served++
			}
			if n, _ := l.Take(2); n != left {
				t.Fatalf("%d permits are there, want %d", n, left)
			}
			cancel()
		}
		t.Logf("%d had their permit, %d didn't", served, failed)
	})
}

func TestMoreThanTheBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Rate: 10, Burst: 5})
		if l.TryTake(6) {
			t.Error("took 6 of 5")
		}
		want(t, "25 of which 5 are there", waits(t.Context(), l, 25), 2*time.Second)
		slow := waits(t.Context(), l, 30)
		time.Sleep(time.Second)
		set(t, l.SetBurst(1)) // takes nothing from who waits
		want(t, "30", slow, 3*time.Second)
	})
}

func TestBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			cfg  Config
			want int
		}{
			{Config{Rate: 10}, 1}, {Config{Rate: 1000}, 25}, {Config{Rate: 1e6}, 25_000},
			{Config{Rate: 1000, Burst: 7}, 7}, {Config{Rate: 0.1, Burst: 7}, 7},
		} {
			l := limiter(t, c.cfg)
			for range 2 { // at first, and after a rest
				if n, next := l.Take(1e6); n != c.want || next.Round(time.Microsecond) != time.Duration(1e9/c.cfg.Rate).Round(time.Microsecond) {
					t.Errorf("%+v: took %d at once, the next in %v", c.cfg, n, next)
				}
				l.short = false // it won't come back
				time.Sleep(time.Hour)
			}
			if s := l.Stats(); s.Burst != c.want || s.Tokens != float64(c.want) || s.Rate != c.cfg.Rate {
				t.Errorf("%+v", s)
			}
		}
		l := limiter(t, Config{Rate: 1000})
		set(t, l.SetBurst(100))
		if s := l.Stats(); s.Burst != 100 || s.Tokens != 25 {
			t.Errorf("a larger burst, and at once: %+v", s)
		}
		time.Sleep(time.Second)
		set(t, l.SetBurst(10))
		if s := l.Stats(); s.Tokens != 10 {
			t.Errorf("%+v", s)
		}
		set(t, l.SetBurst(0))
		set(t, l.SetRate(4000))
		if s := l.Stats(); s.Burst != 100 || s.Tokens != 10 {
			t.Errorf("the burst doesn't follow the rate: %+v", s)
		}
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1, Burst: 4})
		first, second := waits(t.Context(), l, 1), waits(t.Context(), l, 1)
		time.Sleep(time.Second / 4)
		l.Pause()
		l.Pause()
		set(t, l.SetRate(0.5))
		if n, next := l.Take(1); n != 0 || next != math.MaxInt64 || l.TryTake(1) {
			t.Errorf("a paused limiter let %d pass, and the next in %v", n, next)
		}
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		want(t, "while paused", waits(ctx, l, 1), -time.Minute)
		if s := l.Stats(); !s.Paused || s.Waiters != 2 || s.Longest != time.Hour+time.Minute+time.Second/4 {
			t.Errorf("%+v", s)
		}
		l.Resume()
		want(t, "the first", first, time.Hour+time.Minute+1750*time.Millisecond)
		want(t, "the second", second, time.Hour+time.Minute+3750*time.Millisecond)
	})
}

func TestPauseWithoutALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		if n, next := l.Take(3); n != 3 || next != 0 || !l.TryTake(1e9) || l.Wait(t.Context()) != nil {
			t.Errorf("the zero limiter gave %d of 3, and the next in %v", n, next)
		}
		l.Return(4)
		if s := l.Stats(); s != (Stats{Share: 1}) {
			t.Errorf("%+v", s)
		}
		l.Pause()
		if l.TryTake(1) {
			t.Error("passed")
		}
		held := waits(t.Context(), &l, 1e6)
		time.Sleep(time.Minute)
		l.Resume()
		want(t, "held", held, time.Minute)
		if !l.TryTake(1e9) || l.limited.Load() {
			t.Error("there is no limit, and yet one")
		}
		set(t, l.SetRate(2))
		if n, next := l.Take(9); n != 1 || next != time.Second/2 {
			t.Errorf("%d passed at once, and the next in %v", n, next)
		}
	})
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
			l.epoch = l.epoch.Add(-stall) // so much later it is for the limiter, and for no timer
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

func TestChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Rate: 1})
		for what, change := range map[string]func(){
			"rate":    func() { set(t, l.SetRate(2)) },
			"burst":   func() { set(t, l.SetBurst(9)) },
			"pause":   l.Pause,
			"resume":  l.Resume,
			"ramp":    func() { set(t, l.Ramp(0.5, time.Hour)) },
			"hold":    l.HoldRamp,
			"release": l.ReleaseRamp,
		} {
			if what == "resume" {
				l.Pause()
			}
			if what == "release" {
				l.HoldRamp()
			}
			changed := l.Changed()
			l.TryTake(1)
			l.Return(1)
			set(t, l.SetRate(l.Stats().Rate)) // the same
			time.Sleep(time.Minute)
			select {
			case <-changed:
				t.Errorf("%s: nothing has changed yet", what)
			default:
			}
			change()
			select {
			case <-changed:
			default:
				t.Errorf("%s: nobody was told", what)
			}
			*l = Limiter{epoch: time.Now(), bucket: bucket{rate: 1, tokens: 1}}
			l.limited.Store(true)
		}
	})
}

func TestReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Rate: 0.001, Burst: 4})
		l.TryTake(4)
		l.Return(3)
		l.Return(-2)
		if !l.TryTake(3) || l.TryTake(1) {
			t.Errorf("%+v", l.Stats())
		}
		l.Return(5) // 1 more than there is room for
		if l.TryTake(5) || !l.TryTake(4) {
			t.Errorf("%+v", l.Stats())
		}
		var got []<-chan time.Duration
		for range 6 {
			got = append(got, waits(t.Context(), l, 1))
		}
		l.Return(6) // to six, of whom each gets one
		for _, took := range got {
			want(t, "in line", took, 0)
		}
	})
}

func TestStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Rate: 1, Burst: 2})
		l.TryTake(1)
		if s := l.Stats(); s != (Stats{Rate: 1, Burst: 2, Tokens: 1, Share: 1}) {
			t.Errorf("%+v", s)
		}
		a := waits(t.Context(), l, 4)
		time.Sleep(2 * time.Second)
		b := waits(t.Context(), l, 2)
		time.Sleep(500 * time.Millisecond)
		if s := l.Stats(); s.Waiters != 2 || s.Longest != 2500*time.Millisecond || s.Waited != s.Longest || math.Abs(s.Tokens-3.5) > least {
			t.Errorf("%+v", s)
		}
		<-a
		time.Sleep(500 * time.Millisecond)
		if s := l.Stats(); s.Waiters != 1 || s.Longest != 1500*time.Millisecond || s.Waited != 3500*time.Millisecond {
			t.Errorf("%+v", s)
		}
		<-b
		time.Sleep(time.Hour)
		if s := l.Stats(); s.Waiters != 0 || s.Longest != 0 || s.Waited != 5*time.Second || s.Tokens != 2 {
			t.Errorf("%+v", s)
		}
		c := waits(t.Context(), l, 3)
		<-c
		if s := l.Stats(); s.Waited != 6*time.Second {
			t.Errorf("%+v", s)
		}
	})
}

// What is no rate, burst or ramp is refused in words that name it, and changes nothing.
func TestBadValuesChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nan := math.NaN()
		for _, cfg := range []Config{{Rate: -1}, {Rate: nan}, {Rate: math.Inf(-1)}, {Rate: 1, Burst: -1}} {
			if l, err := New(cfg); l != nil || err == nil || !strings.HasPrefix(err.Error(), "limiter: Config.") {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
		l := empty(t, Config{Rate: 10, Burst: 3})
		set(t, l.Ramp(0.5, time.Minute))
		before := l.Stats()
		for _, bad := range []error{
			l.SetRate(0), l.SetRate(-1), l.SetRate(nan), l.SetRate(math.Inf(-1)), l.SetBurst(-1),
			l.Ramp(0, time.Second), l.Ramp(-1, time.Second), l.Ramp(1.1, time.Second), l.Ramp(nan, 1), l.Ramp(0.5, -1),
		} {
			if bad == nil || !strings.HasPrefix(bad.Error(), "limiter: ") {
				t.Errorf("said %v", bad)
			}
		}
		if after := l.Stats(); after != before {
			t.Errorf("%+v became %+v", before, after)
		}
	})
}

// Rates at the ends of what a float64 holds neither pass too much nor ring all the time.
func TestExtremeRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{math.SmallestNonzeroFloat64, 1e-300} {
			l := empty(t, Config{Rate: rate})
			ctx, cancel := context.WithTimeout(t.Context(), 100*365*24*time.Hour)
			want(t, "almost never", waits(ctx, l, 1), -100*365*24*time.Hour)
			cancel()
		}
		l := limiter(t, Config{Rate: math.MaxFloat64, Burst: math.MaxInt})
		if n, _ := l.Take(1000); n != 1000 || l.WaitN(t.Context(), math.MaxInt) != nil {
			t.Errorf("%d of 1000", n)
		}
	})
}

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

// A limiter that nobody waits for has no timer that runs.
func TestIdleCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1})
		ctx, cancel := context.WithCancel(t.Context())
		took := waits(ctx, l, 1)
		if !l.alarm.set {
			t.Error("somebody waits and nothing will ring")
		}
		l.Pause()
		if l.alarm.set {
			t.Error("paused, and something will ring")
		}
		l.Resume()
		cancel()
		<-took
		if l.alarm.set {
			t.Error("nobody waits and something will ring")
		}
	})
}
