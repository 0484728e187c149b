package limiter

import "time"

// Stats is a limiter at one moment.
type Stats struct {
	Rate    float64       // permits a second, without a ramp's share; 0 means no limit
	Burst   int           // permits that may pass at once, likewise; 0 without a limit
	Tokens  float64       // permits that are there; while somebody waits, what the first in line has come to
	Share   float64       // of the rate and the burst in force: 1 but for ramps
	Held    bool          // by HoldRamp
	Paused  bool          // nothing passes
	Waiters int           // calls that wait
	Longest time.Duration // how long the first of them has waited; 0 when none does
	Waited  time.Duration // for how long there has been a waiter, since New: by that much the limit held somebody back
}

// Stats returns the limiter's figures, all of the same moment. Who calls Take is not among the waiters.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.count()
	b := &l.bucket
	s := Stats{
		Rate: b.rate, Share: b.ramp.share(), Held: b.ramp.held, Paused: b.paused,
		Waiters: l.line.len, Waited: l.line.waited(now),
	}
	if b.rate > 0 {
		s.Burst, s.Tokens = b.limit(), max(b.tokens, 0)
	}
	if l.line.head != nil {
		s.Longest = max(now-l.line.head.since, 0)
	}
	return s
}
