package limiter

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how much a new Limiter lets pass. With none, the zero Config, there is no limit.
type Config struct {
	Rate float64 // permits a second, above 0; 0 or +Inf means no limit

	// Burst is how many permits gather while nobody wants them, so how many may pass at once after that. 0 means what the rate
	// brings in 25 ms, at least 1, and follows the rate when that changes. A new limiter begins with so many. Who wanted permits and
	// wakes up late gets what 25 ms bring, whatever the burst.
	Burst int
}

// Limiter lets permits pass at a rate. Create it with [New]; the zero Limiter has no limit and may be used, too. All methods are
// safe for concurrent use. A Limiter needs no closing and must not be copied.
type Limiter struct {
	limited atomic.Bool // there is a limit or a pause; while false everything passes without a look at the rest

	mu     sync.Mutex
	epoch  time.Time // what times are counted from; zero in a zero Limiter until something is set
	bucket bucket
	line   line
	short  bool          // the last Take got less than it wanted, so whoever called it comes again
	change chan struct{} // closed at the next change; nil while nobody asked for it
}

// New returns a Limiter. Its error names the field that is wrong.
func New(cfg Config) (*Limiter, error) {
	l := &Limiter{epoch: time.Now()}
	if cfg.Rate != 0 {
		if err := checkRate(cfg.Rate); err != nil {
			return nil, fmt.Errorf("limiter: Config.Rate: %w", err)
		}
	}
	if err := checkBurst(cfg.Burst); err != nil {
		return nil, fmt.Errorf("limiter: Config.Burst: %w", err)
	}
	l.bucket.burst = cfg.Burst
	l.bucket.setRate(cfg.Rate, 0)
	l.limited.Store(!l.bucket.free())
	return l, nil
}

// Wait waits for a permit: see [Limiter.WaitN].
func (l *Limiter) Wait(ctx context.Context) error { return l.WaitN(ctx, 1) }

// WaitN waits until it may take n permits, takes them and returns nil. Where ctx ends before that, it takes none and returns an
// error that wraps the cause of ctx's end. It stands in line behind those who came before, however few permits it wants. n may be
// larger than the burst: its permits then gather while it is the first in line. With n below 1 it takes none and doesn't wait.
//
// That ctx's deadline is nearer than the permits are is no reason to fail at once: the rate may rise.
func (l *Limiter) WaitN(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return ended(ctx, n)
	}
	if n <= 0 || !l.limited.Load() {
		return nil
	}
	now := l.now()
	l.mu.Lock()
	if l.take(now, n) {
		l.mu.Unlock()
		return nil
	}
	w := l.line.push(n, now)
	if l.line.len == 1 {
		l.arm()
	}
	l.mu.Unlock()

	for {
		select {
		case <-w.ready:
			l.mu.Lock()
			l.line.recycle(w)
			l.mu.Unlock()
			return nil
		case <-w.timer.C:
			if l.rung(w) {
				return nil
			}
		case <-ctx.Done():
			if l.leave(w) {
				return nil // the permits came just before ctx ended
			}
			return ended(ctx, n)
		}
	}
}

func ended(ctx context.Context, n int) error {
	return fmt.Errorf("limiter: wait ended before permits came (%d wanted): %w", n, context.Cause(ctx))
}

// TryTake takes n permits if they are there and nobody waits, and reports whether it did. It takes all or none; more than the
// burst are hardly ever there. With n below 1 it takes none and reports true.
func (l *Limiter) TryTake(n int) bool {
	if n <= 0 || !l.limited.Load() {
		return true
	}
	now := l.now()
	l.mu.Lock()
	ok := l.take(now, n)
	l.mu.Unlock()
	return ok
}

// Take takes as many permits as are there, up to most, without blocking, and says how long it is until there is another: 0 if there
// is one already, the longest Duration while the limiter is paused. While somebody waits it takes none, so beside callers who
// always wait it never gets any.
//
// It is for loops that have their own way to sleep. What next says holds as long as nothing changes: see [Limiter.Changed].
// A loop that comes back later than next loses no permits by that, up to what 25 ms bring.
func (l *Limiter) Take(most int) (n int, next time.Duration) {
	if !l.limited.Load() {
		return max(most, 0), 0
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bucket.free() {
		return max(most, 0), 0
	}
	l.advance(now)
	if l.line.len == 0 && !l.bucket.paused && most > 0 {
		n = min(most, l.bucket.whole())
		l.bucket.tokens -= float64(n)
	}
	l.short = n < most
	return n, l.bucket.until(float64(l.line.wanted) + 1)
}

// Return gives back n permits that were taken and turned out not to be needed. Who waits for them gets them at once; beyond
// the burst they are lost. With n below 1 it does nothing.
func (l *Limiter) Return(n int) {
	if n <= 0 || !l.limited.Load() {
		return
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bucket.free() {
		return
	}
	l.advance(now)
	before := l.bucket.tokens
	l.bucket.tokens += float64(n)
	l.serve(now)
	if l.line.len == 0 {
		l.bucket.tokens = min(l.bucket.tokens, max(before, l.bucket.top(0)))
	}
	l.arm()
}

// now is what time it is. Callers have seen limited set, so there is an epoch.
func (l *Limiter) now() time.Duration { return time.Since(l.epoch) }

// take takes n permits if they are there and nobody waits. Callers hold mu.
func (l *Limiter) take(now time.Duration, n int) bool {
	if l.bucket.free() {
		return true
	}
	l.advance(now)
	if l.line.len > 0 || l.bucket.paused || !l.bucket.has(float64(n)) {
		return false
	}
	l.bucket.tokens -= float64(n)
	return true
}

// advance counts the permits that have come by now, and gives those in line what is theirs. Callers hold mu.
func (l *Limiter) advance(now time.Duration) {
	l.bucket.advance(now, l.need())
	if l.line.len > 0 {
		l.serve(now)
	}
}

// need is how many permits somebody is about to take: 0 if nobody is known to. Callers hold mu.
func (l *Limiter) need() float64 {
	switch {
	case l.line.head != nil:
		return float64(l.line.head.n)
	case l.short:
		return 1
	}
	return 0
}

// never is so far away that no timer rings.
const never = time.Duration(math.MaxInt64)
