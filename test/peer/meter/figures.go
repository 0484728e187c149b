package meter

import (
	"strconv"
	"time"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// Figures are what a stretch of work took. What a program can't tell is zero.
type Figures struct {
	Messages    int64         `json:"messages"`
	Elapsed     time.Duration `json:"elapsed_ns"`
	CPU         time.Duration `json:"cpu_ns"`      // of the process
	Allocations int64         `json:"allocations"` // Go only
	Bytes       int64         `json:"bytes"`       // allocated; Go only
	RSS         int64         `json:"rss_bytes"`   // resident memory at the end
	P50         time.Duration `json:"p50_ns"`      // latencies, of those measures that take them
	P99         time.Duration `json:"p99_ns"`
	Max         time.Duration `json:"max_ns"`
}

// Rate returns messages a second.
func (f Figures) Rate() float64 {
	if f.Elapsed <= 0 {
		return 0
	}
	return float64(f.Messages) / f.Elapsed.Seconds()
}

// CPUPerMillion returns the seconds of processor time that a million messages cost.
func (f Figures) CPUPerMillion() float64 { return per(f.CPU.Seconds()*1e6, f.Messages) }

// PerMessage returns the allocations that a message cost.
func (f Figures) PerMessage() float64 { return per(float64(f.Allocations), f.Messages) }

func per(total float64, n int64) float64 {
	if n <= 0 {
		return 0
	}
	return total / float64(n)
}

// fields lists the figures by their names on a line.
func (f *Figures) fields() map[string]*int64 {
	return map[string]*int64{
		"n": &f.Messages, "ns": (*int64)(&f.Elapsed), "cpu": (*int64)(&f.CPU), "mallocs": &f.Allocations, "bytes": &f.Bytes,
		"rss": &f.RSS, "p50": (*int64)(&f.P50), "p99": (*int64)(&f.P99), "max": (*int64)(&f.Max),
	}
}

// Line writes the figures as the answer to the measurement numbered seq.
func (f Figures) Line(seq string) line.Line {
	l := line.New(line.Measured, "seq", seq)
	for name, value := range f.fields() {
		l.Values.Set(name, strconv.FormatInt(*value, 10))
	}
	return l
}

// FiguresOf reads them.
func FiguresOf(l line.Line) (f Figures) {
	for name, value := range f.fields() {
		*value = l.Int(name)
	}
	return f
}
