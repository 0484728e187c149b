package limiter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// workers wait for permits and then take up to 50 ms for each, as handlers do, until d has passed. They return when each permit came.
func workers(t *testing.T, l *Limiter, n int, d time.Duration) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var mu sync.Mutex
	var times []time.Duration
	var all sync.WaitGroup
	begin := time.Now()
	for i := range n {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		all.Go(func() {
			for l.Wait(ctx) == nil {
				mu.Lock()
				times = append(times, time.Since(begin))
				mu.Unlock()
				time.Sleep(time.Duration(random.IntN(50_000)) * time.Microsecond)
			}
		})
	}
	all.Wait()
	return times
}

// extremes are the fewest and the most of times, which ascend, in any window that lies between the first and end.
func extremes(times []time.Duration, window, end time.Duration) (fewest, most int) {
	fewest = len(times)
	first := 0
	for i, at := range times {
		for times[first] <= at-window {
			first++
		}
		most = max(most, i-first+1)
	}
	// Windows with the fewest begin just after a permit and end just before one.
	next := 0
	for i, at := range times {
		if at+window > end {
			break
		}
		for next < len(times) && times[next] < at+window {
			next++
		}
		fewest = min(fewest, next-i-1)
	}
	return fewest, most
}

// From one a minute to 10,000 a second: in any 5 s within 3 % or 1 of the rate, in no 1 s above it by more than 5 % or the burst.
func TestEveryWindowHoldsTheRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate    float64
		workers int
		d       time.Duration
	}{{1.0 / 60, 4, 2 * time.Hour}, {1, 4, 5 * time.Minute}, {7.3, 16, time.Minute}, {100, 16, time.Minute}, {10_000, 400, 11 * time.Second}} {
		t.Run(fmt.Sprintf("%.3g a second", c.rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := limiter(t, Config{Rate: c.rate})
				holds(t, workers(t, l, c.workers, c.d), c.rate, float64(l.Stats().Burst), c.d)
			})
		})
	}
}

func holds(t *testing.T, times []time.Duration, rate, burst float64, d time.Duration) {
	t.Helper()
	fewest, most := extremes(times, 5*time.Second, d)
	if off := max(0.15*rate, 1); float64(fewest) < 5*rate-off || float64(most) > 5*rate+off {
		t.Errorf("%d to %d in 5 s, at %v a second", fewest, most, rate)
	}
	if _, most := extremes(times, time.Second, d); float64(most) > rate+max(0.05*rate, burst) {
		t.Errorf("%d in a second, at %v a second", most, rate)
	}
	if total := float64(len(times)); total < rate*d.Seconds()-1 || total > rate*d.Seconds()+burst+1 {
		t.Errorf("%v in %v, at %v a second", total, d, rate)
	}
}

// A million a second, by who takes several at once; and nothing adds up to a drift over a day at any rate.
func TestNoDrift(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{1.0 / 60, 1.0 / 3, 0.7, 3, 997, 1e4 / 3, 1e6} {
			l := empty(t, Config{Rate: rate})
			n := max(1, int(rate/3))
			begin := time.Now()
			for i := 1; i <= 20_000; i++ {
				if err := l.WaitN(t.Context(), n); err != nil {
					t.Fatal(err)
				}
				l.TryTake(n) // looks at the clock, which must not cost or bring anything
				if late := time.Since(begin).Seconds() - float64(i*n)/rate; late < -1e-6/rate || late > 1e-8+1e-6/rate {
					t.Fatalf("%v a second: permit %d was off by %v s", rate, i*n, late)
				}
			}
		}
	})
}
