package send

import (
	"sync"
	"sync/atomic"
	"time"
)

// faults remembers brokers that failed just now, so that one send's trouble isn't met by every other. The zero value is
// ready. Safe for concurrent use.
type faults struct {
	count atomic.Int32 // len(until), so that a cluster without trouble takes no lock
	mu    sync.Mutex
	until map[string]time.Time
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
func (f *faults) failed(broker string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until == nil {
		f.until = map[string]time.Time{}
	}
	if until := time.Now().Add(d); until.After(f.until[broker]) {
		f.until[broker] = until
	}
	f.count.Store(int32(len(f.until)))
}

// worked brings a broker back into use.
func (f *faults) worked(broker string) {
	if f.none() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.until, broker)
	for b, until := range f.until {
		if time.Since(until) > forgetAfter {
			delete(f.until, b)
		}
	}
	f.count.Store(int32(len(f.until)))
}

// standing tells what to do about a broker. Who is told to probe must try it.
func (f *faults) standing(broker string, now time.Time) standing {
	f.mu.Lock()
	defer f.mu.Unlock()
	until, ok := f.until[broker]
	switch {
	case !ok:
		return well
	case now.Before(until):
		return avoided
	}
	f.until[broker] = now.Add(probeFor)
	return probe
}
