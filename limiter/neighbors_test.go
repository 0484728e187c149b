package limiter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"golang.org/x/time/rate"
)

// The tests here hold what the package's documentation says of its neighbors, and that this package does better. One that fails on
// a neighbor's part means that the neighbor has changed: then the documentation has to follow.

// acquirer is what the three have in common.
type acquirer func(context.Context) error

// after makes one call, and returns how long it took; 0 too if it failed.
func (a acquirer) after(ctx context.Context) time.Duration {
	begin := time.Now()
	_ = a(ctx)
	return time.Since(begin).Round(time.Millisecond)
}

// behind starts a call, and returns where it tells how long it took.
func (a acquirer) behind(ctx context.Context) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	go func() { took <- a.after(ctx) }()
	synctest.Wait()
	return took
}

// newPair returns x/time/rate's limiter and ours, at a rate and with an empty burst of 1.
func newPair(t *testing.T, perSecond float64) (*rate.Limiter, *Limiter) {
	t.Helper()
	theirs := rate.NewLimiter(rate.Limit(perSecond), 1)
	theirs.Allow()
	return theirs, empty(t, Config{Rate: perSecond, Burst: 1})
}

func compare(t *testing.T, what string, theirs, ours, wantTheirs, wantOurs time.Duration) {
	t.Helper()
	if theirs != wantTheirs {
		t.Errorf("%s: the neighbor took %v, and is said to take %v", what, theirs, wantTheirs)
	}
	if ours != wantOurs {
		t.Errorf("%s: ours took %v, want %v", what, ours, wantOurs)
	}
}

func TestBesideRateSetLimitWakesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := newPair(t, 1.0/3600)
		a, b := acquirer(theirs.Wait).behind(t.Context()), acquirer(ours.Wait).behind(t.Context())
		theirs.SetLimit(1000)
		set(t, ours.SetRate(1000))
		compare(t, "a waiter whose rate rises", <-a, <-b, time.Hour, time.Millisecond)
	})
}

func TestBesideRateNobodyMovesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := newPair(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var a, b <-chan time.Duration
		for range 9 {
			acquirer(theirs.Wait).behind(ctx)
			acquirer(ours.Wait).behind(ctx)
		}
		a, b = acquirer(theirs.Wait).behind(t.Context()), acquirer(ours.Wait).behind(t.Context())
		cancel()
		compare(t, "a waiter behind nine that were canceled", <-a, <-b, 10*time.Second, time.Second)
	})
}

func TestBesideRateFailsEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := newPair(t, 1.0/3600)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := theirs.Wait(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("the neighbor is said to fail at once: %v, with a context that has %v", err, ctx.Err())
		}
		took := acquirer(ours.Wait).behind(ctx)
		set(t, ours.SetRate(1))
		if d := <-took; d != time.Second || ctx.Err() != nil {
			t.Errorf("ours took %v", d)
		}
		if theirs.WaitN(t.Context(), 2) == nil {
			t.Error("the neighbor waits for more than its burst, and is said to fail")
		}
		if err := ours.WaitN(t.Context(), 2); err != nil {
			t.Error(err)
		}
	})
}

// A process that didn't run for 5 s has 5,000 permits coming at once, or 25.
func TestBesideRateAfterAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := newPair(t, 1000)
		for range 6000 {
			theirs.Reserve() // each a sleeper
		}
		time.Sleep(5 * time.Second)
		if d := theirs.Reserve().Delay().Round(time.Millisecond); d != 1001*time.Millisecond {
			t.Errorf("the neighbor's sleepers have %v left, and are said to have 1 s: the others pass at once", d)
		}
		ours.Take(6000)
		time.Sleep(5 * time.Second)
		if n, _ := ours.Take(6000); n != 26 {
			t.Errorf("ours lets %d pass at once", n)
		}
	})
}

func TestBesideFailsafeKeepsCanceledPermits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := ratelimiter.NewSmooth[any](1, time.Second), empty(t, Config{Rate: 1, Burst: 1})
		theirs.TryAcquirePermit()
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			a, b := acquirer(theirs.AcquirePermit).behind(ctx), acquirer(ours.Wait).behind(ctx)
			cancel()
			<-a
			<-b
		}
		a, b := acquirer(theirs.AcquirePermit).behind(t.Context()), acquirer(ours.Wait).behind(t.Context())
		compare(t, "a wait after five that were canceled", <-a, <-b, 6*time.Second, time.Second)
	})
}
