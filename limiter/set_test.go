package limiter

import (
	"context"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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
