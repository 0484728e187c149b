package mqtest

import (
	"container/heap"
	"sync"
	"time"
)

// schedule runs functions at their time, one after the other, on a single goroutine: what is due at the same moment
// runs in the order it was planned in. It is where all of a cluster's delays, time-outs and scans come from, so that
// Close has one thing to stop and synctest one clock to own.
type schedule struct {
	mu    sync.Mutex
	plans plans
	next  uint64
	poke  chan struct{} // cap 1: the first plan may have changed
	stop  chan struct{}
	done  sync.WaitGroup
}

type plan struct {
	at    time.Time
	order uint64
	do    func()
	index int // in the heap; -1 once run or canceled
}

func newSchedule() *schedule {
	s := &schedule{poke: make(chan struct{}, 1), stop: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

// after plans do to run once wait has passed. do may take locks and plan more, but mustn't wait for anything.
func (s *schedule) after(wait time.Duration, do func()) *plan {
	p := &plan{at: time.Now().Add(wait), do: do}
	s.mu.Lock()
	p.order = s.next
	s.next++
	heap.Push(&s.plans, p)
	first := p.index == 0
	s.mu.Unlock()
	if first {
		token(s.poke)
	}
	return p
}

// cancel takes a plan back. One that is running or has run is left alone.
func (s *schedule) cancel(p *plan) {
	if p == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.index >= 0 {
		heap.Remove(&s.plans, p.index)
	}
}

// close stops the schedule and waits for what is running. Plans that are left never run.
func (s *schedule) close() {
	close(s.stop)
	s.done.Wait()
}

func (s *schedule) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Stop() // with no plan left, time needn't pass
		do, wait := s.due()
		if isClosed(s.stop) {
			return
		}
		if do != nil {
			do()
			continue
		}
		if wait >= 0 {
			timer.Reset(wait)
		}
		select {
		case <-s.stop:
			return
		case <-s.poke:
		case <-timer.C:
		}
	}
}

// due takes the first plan off, or says how long there is to wait for it; below 0 when there is none.
func (s *schedule) due() (func(), time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.plans) == 0 {
		return nil, -1
	}
	if wait := time.Until(s.plans[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&s.plans).(*plan).do, 0 //nolint:errcheck // a heap of plans
}

// plans is a heap by time, then order.
type plans []*plan

func (p plans) Len() int { return len(p) }

func (p plans) Less(i, j int) bool {
	if c := p[i].at.Compare(p[j].at); c != 0 {
		return c < 0
	}
	return p[i].order < p[j].order
}

func (p plans) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].index, p[j].index = i, j
}

func (p *plans) Push(x any) {
	last := x.(*plan) //nolint:errcheck // a heap of plans
	last.index = len(*p)
	*p = append(*p, last)
}

func (p *plans) Pop() any {
	old := *p
	last := old[len(old)-1]
	last.index = -1
	old[len(old)-1] = nil
	*p = old[:len(old)-1]
	return last
}
