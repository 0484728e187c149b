//go:build unix

package limiter

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// neighbor is x/time/rate's limiter under our names.
type neighbor struct{ *rate.Limiter }

func (n neighbor) TryTake(permits int) bool { return n.AllowN(time.Now(), permits) }

// limits is what both can do.
type limits interface {
	Wait(ctx context.Context) error
	TryTake(n int) bool
}

// both runs a benchmark on ours and on x/time/rate's, by turns.
func both(b *testing.B, perSecond float64, burst int, run func(*testing.B, limits)) {
	b.Helper()
	b.Run("ours", func(b *testing.B) {
		l, err := New(Config{Rate: perSecond, Burst: burst})
		if err != nil {
			b.Fatal(err)
		}
		run(b, l)
	})
	b.Run("x-time-rate", func(b *testing.B) {
		limit := rate.Limit(perSecond)
		if math.IsInf(perSecond, 1) {
			limit = rate.Inf
		}
		run(b, neighbor{rate.NewLimiter(limit, burst)})
	})
}

// BenchmarkUncontended is what a call costs that finds its permit, or no limit.
func BenchmarkUncontended(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	for _, c := range []struct {
		name string
		rate float64
	}{{"no-limit", math.Inf(1)}, {"limit", 1e9}} {
		b.Run(c.name+"/Wait", func(b *testing.B) {
			both(b, c.rate, 1e9, func(b *testing.B, l limits) {
				b.Helper()
				b.ReportAllocs()
				for b.Loop() {
					if err := l.Wait(ctx); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run(c.name+"/TryTake", func(b *testing.B) {
			both(b, c.rate, 1e9, func(b *testing.B, l limits) {
				b.Helper()
				b.ReportAllocs()
				for b.Loop() {
					l.TryTake(1)
				}
			})
		})
	}
	b.Run("limit/refused", func(b *testing.B) {
		both(b, 1e-9, 1, func(b *testing.B, l limits) {
			b.Helper()
			b.ReportAllocs()
			for b.Loop() {
				l.TryTake(1)
			}
		})
	})
}

// BenchmarkContended is the same from all sides at once.
func BenchmarkContended(b *testing.B) {
	both(b, 1e9, 1e9, func(b *testing.B, l limits) {
		b.Helper()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.TryTake(1)
			}
		})
	})
}

// BenchmarkWaiting is callers who wait for their permits, one behind the other. What counts is whether the rate is kept, and the processor's
// time for each permit.
func BenchmarkWaiting(b *testing.B) {
	for _, c := range []struct {
		waiters int
		rate    float64
	}{{1, 1e4}, {100, 1e3}, {100, 1e5}, {100, 1e6}} {
		b.Run(fmt.Sprintf("%d-waiters/%.0f-a-second", c.waiters, c.rate), func(b *testing.B) {
			both(b, c.rate, 1, func(b *testing.B, l limits) {
				b.Helper()
				b.ReportAllocs()
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				used, begin := processor(b), time.Now()
				for range c.waiters {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							_ = l.Wait(context.Background())
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "permits/s")
				b.ReportMetric(float64(processor(b)-used)/float64(b.N), "cpu-ns/op")
			})
		})
	}
}

// BenchmarkSetRate is a change that nobody and that 100 wait through.
func BenchmarkSetRate(b *testing.B) {
	for _, waiters := range []int{0, 100} {
		b.Run(fmt.Sprintf("%d-waiters", waiters), func(b *testing.B) {
			l, err := New(Config{Rate: 1e-6})
			if err != nil {
				b.Fatal(err)
			}
			l.TryTake(1)
			ctx, cancel := context.WithCancel(b.Context())
			var all sync.WaitGroup
			for range waiters {
				all.Go(func() { _ = l.Wait(ctx) })
			}
			for l.Stats().Waiters < waiters {
				time.Sleep(time.Millisecond)
			}
			for i := 0; b.Loop(); i++ {
				if err := l.SetRate(float64(1+i%2) * 1e-6); err != nil {
					b.Fatal(err)
				}
			}
			cancel()
			all.Wait()
		})
	}
}

// processor is the processor's time that the process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
