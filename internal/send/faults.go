package send

import (
	"sync"
	"sync/atomic"
	"time"
)

// faults remembers brokers that failed just now, so that one send's trouble isn't met by every other. The zero value is
// ready. Safe for concurrent use.
type faults struct {
	count atomic.Int32 // len(of), so that a cluster without trouble takes no lock
	mu    sync.Mutex
	of    map[string]fault // by broker
}

type fault struct {
	until time.Time
	why   error
}

type standing int

const (
	well    standing = iota
	avoided          // failed just now
	probe            // its time is up: this caller, and no other for a while, shall try it
)

const (
	probeFor    = time.Second // how long one caller has to find out
	forgetAfter = time.Minute // of a broker that nobody asks about any more
)

// none tells that every broker is well.
func (f *faults) none() bool { return f.count.Load() == 0 }

// failed takes a broker out of use for d.
func (f *faults) failed(broker string, d time.Duration, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[string]fault{}
	}
	if until := time.Now().Add(d); until.After(f.of[broker].until) {
		f.of[broker] = fault{until, why}
	}
	f.count.Store(int32(len(f.of)))
}

// Avoided tells whether the broker failed just now, and why; it is so until a send to it has worked.
func (s *Sender) Avoided(broker string) (avoided bool, why error) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	one, ok := s.faults.of[broker]
	return ok, one.why
}

// worked brings a broker back into use.
func (f *faults) worked(broker string) {
	if f.none() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, broker)
	for b, one := range f.of {
		if time.Since(one.until) > forgetAfter {
			delete(f.of, b)
		}
	}
	f.count.Store(int32(len(f.of)))
}

// standing tells what to do about a broker. Who is told to probe must try it.
func (f *faults) standing(broker string, now time.Time) standing {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, ok := f.of[broker]
	switch {
	case !ok:
		return well
	case now.Before(one.until):
		return avoided
	}
	f.of[broker] = fault{now.Add(probeFor), one.why}
	return probe
}
