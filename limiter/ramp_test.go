package limiter

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// passes takes as soon as it can for d, and returns how many it got.
func passes(l *Limiter, d time.Duration) int {
	total := 0
	for end := time.Now().Add(d); ; {
		n, next := l.Take(math.MaxInt)
		total += n
		if next = max(next, time.Microsecond); time.Now().Add(next).After(end) {
			time.Sleep(time.Until(end))
			return total
		}
		time.Sleep(next)
	}
}

func about(t *testing.T, what string, got int, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 2+want/1000 {
		t.Errorf("%s: %d, want %.0f", what, got, want)
	}
}

// From 10 % to the whole in 30 s, second by second.
func TestRampRisesEvenly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Rate: 1000, Burst: 20})
		set(t, l.Ramp(0.1, 30*time.Second))
		if s := l.Stats(); s.Share != 0.1 || s.Rate != 1000 || s.Tokens != 2 {
			t.Errorf("%+v", s)
		}
		for second := range 30 {
			about(t, "rising", passes(l, time.Second), 1000*(0.1+0.03*(float64(second)+0.5)))
			if s := l.Stats(); math.Abs(s.Share-(0.1+0.03*float64(second+1))) > least {
				t.Errorf("after %d s: %+v", second+1, s)
			}
		}
		about(t, "the whole", passes(l, 10*time.Second), 10_000)
	})
}

func TestRampHeldAndReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1000, Burst: 1})
		set(t, l.Ramp(0.1, 30*time.Second))
		time.Sleep(10 * time.Second)
		l.TryTake(1)
		l.HoldRamp()
		about(t, "held", passes(l, 20*time.Second), 0.4*20_000)
		if s := l.Stats(); math.Abs(s.Share-0.4) > least || !s.Held {
			t.Errorf("%+v", s)
		}
		l.ReleaseRamp()
		about(t, "released", passes(l, 20*time.Second), 0.7*20_000)
		if s := l.Stats(); s.Share != 1 || s.Held {
			t.Errorf("%+v", s)
		}

		l.HoldRamp() // before there is a ramp
		about(t, "no ramp to hold", passes(l, time.Second), 1000)
		set(t, l.Ramp(0.5, time.Second))
		about(t, "held from the beginning", passes(l, 10*time.Second), 5000)
		set(t, l.Ramp(0.2, time.Second))
		about(t, "restarted, and still held", passes(l, 10*time.Second), 2000)
		l.ReleaseRamp()
		about(t, "let go", passes(l, time.Second), 600)
		set(t, l.Ramp(0.2, time.Hour))
		set(t, l.Ramp(0.2, 0))
		about(t, "given up", passes(l, time.Second), 1000)
	})
}

// A ramp is a share of the rate, whatever becomes of that, and stands still during a pause.
func TestRampWithOtherChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1000, Burst: 1})
		set(t, l.Ramp(0.2, 8*time.Second))
		about(t, "at first", passes(l, 4*time.Second), 0.4*4000)
		set(t, l.SetRate(100))
		about(t, "at another rate", passes(l, 2*time.Second), 0.7*200)
		l.Pause()
		about(t, "paused", passes(l, time.Hour), 0)
		l.Resume()
		about(t, "resumed", passes(l, 2*time.Second), 0.9*200)

		var unlimited Limiter
		set(t, unlimited.Ramp(0.1, 10*time.Second))
		time.Sleep(5 * time.Second)
		if s := unlimited.Stats(); s.Share != 0.55 || !unlimited.TryTake(1e9) {
			t.Errorf("%+v", s)
		}
		set(t, unlimited.SetRate(1000))
		unlimited.Take(math.MaxInt)
		about(t, "limited in the middle of a ramp", passes(&unlimited, 5*time.Second), 0.775*5000)
	})
}

// Who waits while the rate rises is served at the very moment, within a ramp and beyond its end. What has come after x seconds
// of this one is 0.5x + 0.025x².
func TestWaitsWithinARamp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1})
		set(t, l.Ramp(0.5, 10*time.Second))
		two, four, eight, eleven := waits(t.Context(), l, 2), waits(t.Context(), l, 2), waits(t.Context(), l, 4), waits(t.Context(), l, 3)
		want(t, "2 permits", two, 3416408*time.Microsecond)
		want(t, "4 permits", four, 6124515*time.Microsecond)
		want(t, "8 permits", eight, 10500*time.Millisecond)
		want(t, "11 permits", eleven, 13500*time.Millisecond)
	})
}

// When the next permit comes is known beforehand, before, within and beyond a ramp.
func TestTakeKnowsTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 0.5, Burst: 1})
		for i := range 60 {
			switch i {
			case 3:
				set(t, l.Ramp(0.1, time.Minute))
			case 10:
				l.HoldRamp()
			case 20:
				l.ReleaseRamp()
			}
			_, next := l.Take(0)
			time.Sleep(next - time.Microsecond)
			if n, _ := l.Take(1); n != 0 {
				t.Errorf("permit %d came before the %v that were said", i, next)
			}
			time.Sleep(time.Microsecond)
			if n, _ := l.Take(1); n != 1 {
				t.Errorf("permit %d didn't come in the %v that were said", i, next)
			}
		}
		if s := l.Stats(); s.Share != 1 {
			t.Errorf("%+v: the end of the ramp was not seen", s)
		}
	})
}
