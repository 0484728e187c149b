package limiter

import (
	"fmt"
	"math"
	"time"
)

// ramp is a share of the rate that rises evenly from one value to 1. The zero ramp is at its end.
type ramp struct {
	from float64
	over time.Duration // 0: there is none
	done time.Duration // how much of over has passed
	held bool          // stands still; outlives a ramp's end, for the next
}

// share is the part of the rate that is in force.
func (r *ramp) share() float64 {
	if r.over == 0 {
		return 1
	}
	return r.from + (1-r.from)*float64(r.done)/float64(r.over)
}

// advance lets time pass. It returns in how many seconds the full rate brings as much as the ramp has brought meanwhile.
func (r *ramp) advance(passed time.Duration) float64 {
	if r.over == 0 {
		return float64(passed) / 1e9
	}
	before := r.share()
	if r.held {
		return before * passed.Seconds()
	}
	rising := min(passed, r.over-r.done)
	r.done += rising
	seconds := (before+r.share())/2*rising.Seconds() + (passed - rising).Seconds()
	if r.done == r.over {
		*r = ramp{held: r.held}
	}
	return seconds
}

// stretch is the reverse of advance: how long it takes until the ramp has brought what the full rate brings in so many seconds.
func (r *ramp) stretch(seconds float64) time.Duration {
	share := r.share()
	switch {
	case r.over == 0:
	case r.held:
		seconds /= share
	default:
		rest := (r.over - r.done).Seconds()
		if rising := (share + 1) / 2 * rest; seconds >= rising {
			seconds += rest - rising
			break
		}
		// The share rises by steep each second, so x seconds bring share*x + steep*x*x/2. This form of the root keeps its digits.
		steep := (1 - r.from) / r.over.Seconds()
		seconds = 2 * seconds / (share + math.Sqrt(share*share+2*steep*seconds))
	}
	if nanos := math.Ceil(seconds * 1e9); nanos < float64(never) {
		return time.Duration(nanos)
	}
	return never
}

func checkRamp(from float64, over time.Duration) error {
	if !(from > 0 && from <= 1) { // NaN, too
		return fmt.Errorf("limiter: ramp from %v: a share is above 0 and at most 1", from)
	}
	if over < 0 {
		return fmt.Errorf("limiter: ramp over %v: give how long it takes to the full rate, or 0 for that at once", over)
	}
	return nil
}
