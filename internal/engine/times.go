package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// What of a topic's recent past is shown: the last minute, in steps, so that it is 50 to 60 s.
const (
	recentStep  = 10 * time.Second
	recentSteps = 6
)

// Times are how often and how long something was done within about the last minute.
type Times struct {
	Count     int64
	Mean, Max time.Duration // 0 when Count is
	Over      time.Duration // what "recently" is: 50 to 60 s, less when Run has just begun
}

// rate is how often a second; 0 when nothing can be said yet.
func (t Times) rate(n int64) float64 {
	if t.Over <= 0 {
		return 0
	}
	return float64(n) / t.Over.Seconds()
}

// millis is the mean in the unit of RocketMQ's tools.
func (t Times) millis() float64 { return float64(t.Mean) / float64(time.Millisecond) }

// times counts what takes time. Who adds pays two atomic additions: totals are kept since the beginning, and at the first
// addition within each step it is noted what they were.
type times struct {
	epoch   time.Time
	outcome func() (ok, failed int64) // totals that are noted along

	count, spent atomic.Int64 // spent: ns
	longest      atomic.Int64 // within the present step, ns
	step         atomic.Int64 // the present one's number, counted from the epoch

	mu    sync.Mutex
	marks [recentSteps + 1]mark // a ring, by step
}

// mark is what the totals were when a step began.
type mark struct {
	step int64
	totals
	longest time.Duration // within the step
}

type totals struct{ count, spent, ok, failed int64 }

func newTimes(outcome func() (ok, failed int64)) *times {
	s := &times{epoch: time.Now(), outcome: outcome}
	s.step.Store(-1)
	for i := range s.marks {
		s.marks[i].step = -1
	}
	return s
}

func (s *times) add(now time.Time, took time.Duration) {
	if step := int64(now.Sub(s.epoch) / recentStep); step != s.step.Load() {
		s.turn(step)
	}
	s.count.Add(1)
	s.spent.Add(int64(took))
	for longest := s.longest.Load(); int64(took) > longest; longest = s.longest.Load() {
		if s.longest.CompareAndSwap(longest, int64(took)) {
			return
		}
	}
}

// turn begins a step.
func (s *times) turn(step int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.step.Load()
	if step <= last {
		return
	}
	if last >= 0 {
		s.at(last).longest = time.Duration(s.longest.Swap(0))
	}
	*s.at(step) = mark{step: step, totals: s.now()}
	s.step.Store(step)
}

func (s *times) at(step int64) *mark { return &s.marks[step%int64(len(s.marks))] }

func (s *times) now() totals {
	t := totals{count: s.count.Load(), spent: s.spent.Load()}
	t.ok, t.failed = s.outcome()
	return t
}

// recent sums up what ended within the last minute; ok and failed are the outcomes in that time. Run began at began.
func (s *times) recent(now, began time.Time) (sum Times, ok, failed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := s.now()
	begin := end
	last := s.step.Load()
	oldest := max(int64(now.Sub(s.epoch)/recentStep)-recentSteps+1, 0)
	for step := last; step >= oldest; step-- {
		if m := s.at(step); m.step == step {
			begin = m.totals // between its step and one before it nothing was added
			sum.Max = max(sum.Max, m.longest)
		}
	}
	if last >= oldest {
		sum.Max = max(sum.Max, time.Duration(s.longest.Load()))
	}
	if sum.Count = end.count - begin.count; sum.Count > 0 {
		sum.Mean = time.Duration((end.spent - begin.spent) / sum.Count)
	}
	from := s.epoch.Add(time.Duration(oldest) * recentStep)
	if from.Before(began) {
		from = began
	}
	sum.Over = now.Sub(from)
	return sum, end.ok - begin.ok, end.failed - begin.failed
}

// hour counts what happened within about the last hour, minute by minute.
type hour struct {
	mu      sync.Mutex
	minutes [60]struct{ minute, count int64 }
}

func (h *hour) add(now time.Time) {
	minute := now.Unix() / 60
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &h.minutes[minute%int64(len(h.minutes))]
	if m.minute != minute {
		m.minute, m.count = minute, 0
	}
	m.count++
}

func (h *hour) sum(now time.Time) (count int64) {
	oldest := now.Unix()/60 - int64(len(h.minutes))
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.minutes {
		if m.minute > oldest {
			count += m.count
		}
	}
	return count
}
