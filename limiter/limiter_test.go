package limiter

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
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

// Where permits have come before the context ends, though nobody has looked yet, the wait has them.
func TestPermitsThatCameInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := empty(t, Config{Rate: 1, Burst: 1})
		ctx, cancel := context.WithCancel(t.Context())
		took := waits(ctx, l, 1)
		time.Sleep(time.Second / 2)
		l.mu.Lock()
		l.bucket.last -= time.Second // so the timer is late
		l.mu.Unlock()
		cancel()
		want(t, "a wait whose permit was there", took, time.Second/2)
		l.Take(1)

		for range 100 { // both at the same moment
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			took := waits(ctx, l, 1)
			left := 0
			if <-took < 0 {
				left = 1
			}
			if n, _ := l.Take(2); n != left {
				t.Fatalf("%d permits are there, want %d", n, left)
			}
			l.short = false
			cancel()
		}
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
