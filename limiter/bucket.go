package limiter

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// grace is by how much a sleeper may be late and still get all that has come meanwhile. It is also what a burst is worth where none
// was given: large enough for a busy machine, and half of the 5 % by which a second may exceed the rate.
const grace = 25 * time.Millisecond

// least is below any share of a permit that matters: sums of fractions end within that of a whole.
const least = 1e-9

// bucket is the arithmetic of a limit, without clocks, locks and those who wait. Tokens are counted up to a moment and then up to a
// later one. Fractions are carried over, so nothing adds up to a drift.
type bucket struct {
	rate   float64 // permits a second once there is no ramp; 0: no limit
	burst  int     // as it was asked for: 0 follows the rate
	tokens float64
	last   time.Duration // when tokens was counted
	paused bool
	ramp   ramp
}

// free tells whether everything passes.
func (b *bucket) free() bool { return b.rate == 0 && !b.paused }

func (b *bucket) has(n float64) bool { return b.tokens+least >= n }

// whole is how many permits can be taken out.
func (b *bucket) whole() int { return int(max(min(b.tokens+least, math.MaxInt32), 0)) }

// limit is the burst in force at the full rate.
func (b *bucket) limit() int {
	if b.burst > 0 || b.rate == 0 {
		return b.burst
	}
	return int(min(max(b.rate*grace.Seconds(), 1), math.MaxInt32))
}

// top is up to how many permits gather. For who is about to take need of them, it is those and what may come while he wakes up.
func (b *bucket) top(need float64) float64 {
	share := b.ramp.share()
	top := max(float64(b.limit())*share, 1)
	if need > 0 {
		top = max(top, need+b.rate*share*grace.Seconds())
	}
	return top
}

// advance counts what has come by now. A moment before the last one changes nothing: callers look at the clock before they have
// the lock.
func (b *bucket) advance(now time.Duration, need float64) {
	passed := now - b.last
	if passed <= 0 {
		return
	}
	b.last = now
	if b.paused {
		return
	}
	seconds := b.ramp.advance(passed)
	if b.rate == 0 {
		return
	}
	top := b.top(need)
	if b.tokens > top { // somebody who was late has left them, and is still taking of them or has gone
		if passed > grace {
			b.tokens = top
			return
		}
		top = b.top(1)
	}
	if b.tokens < top {
		b.tokens = min(top, b.tokens+seconds*b.rate)
	}
}

// until is how long it is until there are n permits, if nobody takes any.
func (b *bucket) until(n float64) time.Duration {
	switch {
	case b.free() || !b.paused && b.has(n):
		return 0
	case b.paused:
		return never
	}
	return b.ramp.stretch((n - least/2 - b.tokens) / b.rate) // not a nanosecond later for the last digits of a sum
}

// setRate changes the rate from now on; tokens have been counted. What had no limit begins with a full bucket, as a new one does.
func (b *bucket) setRate(rate, need float64) {
	if math.IsInf(rate, 1) {
		rate = 0
	}
	was := b.rate
	if rate == was {
		return
	}
	if b.rate = rate; was == 0 {
		b.tokens = b.top(0)
	}
	b.clamp(need)
}

// clamp takes away what no longer has room.
func (b *bucket) clamp(need float64) { b.tokens = min(b.tokens, b.top(need)) }

func checkRate(rate float64) error {
	switch {
	case rate == 0:
		return errors.New("a rate is above 0: to let nothing pass, Pause; for no limit, give +Inf")
	case rate > 0:
		return nil
	}
	return fmt.Errorf("%v is no rate: it is the number of permits a second, above 0, or +Inf for no limit", rate) // NaN, too
}

func checkBurst(burst int) error {
	if burst < 0 {
		return fmt.Errorf("%d is below 0: give how many permits may pass at once, or 0 for what the rate brings in 25 ms", burst)
	}
	return nil
}
