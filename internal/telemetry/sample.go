package telemetry

import (
	"sync/atomic"
	"time"
)

// Histograms get every measurement of a series up to sampledFrom in a sampleWindow, so 10,000 a second, and every nth of more.
const (
	sampleWindow = 100 * time.Millisecond
	sampledFrom  = 1000
)

// sample picks the measurements of one series that its histogram gets. OpenTelemetry's SDK takes some 400 ns for one, which
// a consumer of hundreds of thousands of messages a second would spend a quarter of its processor time on; quantiles and
// means of thousands a second are as good. How many of a window it takes follows from how many there were in the last one.
type sample struct {
	state  atomic.Uint64 // the window's number in the upper half, and how many came in it
	stride atomic.Uint32 // every how many-th is picked; 0 is 1
}

// pick tells whether the histogram gets the measurement that was made so long after the series began.
func (s *sample) pick(at time.Duration) bool {
	window := uint64(at/sampleWindow) & (1<<32 - 1)
	for {
		old := s.state.Load()
		last, came := old>>32, old&(1<<32-1)
		if window <= last { // one that comes late is counted with those of now
			if s.state.CompareAndSwap(old, old+1) {
				return came%uint64(max(s.stride.Load(), 1)) == 0
			}
			continue
		}
		if s.state.CompareAndSwap(old, window<<32|1) {
			if window != last+1 {
				came = 0
			}
			s.stride.Store(uint32((came + sampledFrom - 1) / sampledFrom))
			return true
		}
	}
}
