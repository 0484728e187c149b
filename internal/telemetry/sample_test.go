package telemetry

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// picked puts so many measurements a second into s, from a moment on for a while, and counts what is picked of the last second.
func picked(s *sample, from, long time.Duration, perSecond int) (n int) {
	gap := time.Second / time.Duration(perSecond)
	for at := from; at < from+long; at += gap {
		if s.pick(at) && at >= from+long-time.Second {
			n++
		}
	}
	return n
}

func TestHistogramsGetAllUpToAThousandInAWindow(t *testing.T) {
	t.Parallel()
	var s sample
	from := time.Duration(0)
	for _, c := range []struct{ rate, least, most int }{
		{50, 50, 50},
		{10_000, 10_000, 10_000},
		{20_000, 9_000, 10_000},
		{500_000, 9_000, 10_000},
		{7, 7, 7}, // a second after a storm all count again
		{1_000_000, 9_000, 10_000},
	} {
		if n := picked(&s, from, 3*time.Second, c.rate); n < c.least || n > c.most {
			t.Errorf("at %d a second %d are picked, not %d to %d", c.rate, n, c.least, c.most)
		}
		from += 3 * time.Second
	}
}

// Measurements of one moment come in any order.
func TestSampleTakesWhatComesLate(t *testing.T) {
	t.Parallel()
	var s sample
	for at := range 10 {
		if !s.pick(time.Duration(10-at) * sampleWindow) {
			t.Errorf("%d windows late, it isn't picked", at)
		}
	}
	if state := s.state.Load(); state>>32 != 10 || state&(1<<32-1) != 10 {
		t.Errorf("window %d has %d, not all 10 of them", state>>32, state&(1<<32-1))
	}
}

func TestSampleCountsEachOnce(t *testing.T) {
	t.Parallel()
	var s sample
	var all sync.WaitGroup
	var got atomic.Int64
	for range 8 {
		all.Go(func() {
			for range 100 {
				if s.pick(time.Millisecond) {
					got.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got.Load() != 800 || s.state.Load() != 800 {
		t.Errorf("%d picked of 800, %d counted", got.Load(), s.state.Load())
	}
}
