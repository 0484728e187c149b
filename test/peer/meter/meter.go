// Package meter measures a stretch of work inside the program that does it: between two counts, the time, the processor
// time and the allocations. Programs that are compared in benchmarks serve measurements over their standard input and
// output, in the words of package line, and stay alive in between: that is what makes them warm.
package meter

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Meter counts messages and notes the moments at which the count passes two marks. It is safe for concurrent use.
type Meter struct {
	from, to, all int64
	mark          func()

	n        atomic.Int64
	first    sample
	last     sample
	marks    sync.WaitGroup // samples to be taken
	finished chan struct{}
}

// sample is the state of the process at one moment.
type sample struct {
	n           int64
	at          time.Time
	cpu         time.Duration
	allocations uint64
	bytes       uint64
}

// New returns a Meter of the stretch between the counts from and to; the count all ends the work. mark, which may be
// nil, is called on a goroutine of its own at both.
func New(from, to, all int64, mark func()) *Meter {
	m := &Meter{from: from, to: to, all: all, mark: mark, finished: make(chan struct{})}
	m.marks.Add(2)
	return m
}

// Add counts messages. It costs one atomic addition, except at the marks.
func (m *Meter) Add(messages int64) {
	n := m.n.Add(messages)
	before := n - messages
	if n >= m.from && before < m.from {
		m.pass(&m.first, n)
	}
	if n >= m.to && before < m.to {
		m.pass(&m.last, n)
	}
	if n >= m.all && before < m.all {
		close(m.finished)
	}
}

func (m *Meter) pass(s *sample, n int64) {
	*s = take(n)
	m.marks.Done()
	if m.mark != nil {
		go m.mark()
	}
}

// Wait waits until all messages were counted, and returns what the stretch took. When ctx ends before, the error says how
// far it came.
func (m *Meter) Wait(ctx context.Context) (Figures, error) {
	select {
	case <-m.finished:
		m.marks.Wait()
		return m.last.since(m.first), nil
	case <-ctx.Done():
		return Figures{}, fmt.Errorf("%d of %d messages: %w", m.n.Load(), m.all, context.Cause(ctx))
	}
}

// Stretch measures for a while rather than between counts: it leaves the work warm-up time, then a stretch. mark is called at both
// ends of that; count is asked how many messages there were until now.
func Stretch(ctx context.Context, warm, stretch time.Duration, mark func(), count func() int64) (Figures, error) {
	if err := Pause(ctx, warm); err != nil {
		return Figures{}, err
	}
	first := take(count())
	mark()
	if err := Pause(ctx, stretch); err != nil {
		return Figures{}, err
	}
	last := take(count())
	mark()
	return last.since(first), nil
}

// Pause waits, and returns the cause of ctx's end when that comes first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func take(n int64) sample {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return sample{n: n, at: time.Now(), cpu: processorTime(), allocations: mem.Mallocs, bytes: mem.TotalAlloc}
}

func (s sample) since(first sample) Figures {
	return Figures{
		Messages:    s.n - first.n,
		Elapsed:     s.at.Sub(first.at),
		CPU:         s.cpu - first.cpu,
		Allocations: int64(s.allocations - first.allocations),
		Bytes:       int64(s.bytes - first.bytes),
	}
}
