package limiter

import (
	"fmt"
	"time"
)

// SetRate changes how many permits a second pass, to a number above 0, or +Inf for no limit. It is exact from the moment at which it
// returns: what those who wait had come to counts, the rest comes at the new rate. The same rate again changes nothing. A limit
// where there was none begins with a full burst. An error means that rate is none, and that the old one stays.
func (l *Limiter) SetRate(rate float64) error {
	if err := checkRate(rate); err != nil {
		return fmt.Errorf("limiter: rate: %w", err)
	}
	l.set(func() { l.bucket.setRate(rate, l.need()) })
	return nil
}

// SetBurst changes the burst, as [Config] has it. Permits that no longer have room are lost. An error means that burst is none,
// and that the old one stays.
func (l *Limiter) SetBurst(burst int) error {
	if err := checkBurst(burst); err != nil {
		return fmt.Errorf("limiter: burst: %w", err)
	}
	l.set(func() {
		l.bucket.burst = burst
		l.bucket.clamp(l.need())
	})
	return nil
}

// Pause lets nothing pass until [Limiter.Resume], with a limit or without one. Time stands still meanwhile, for permits and for a
// ramp. Who waits stays in line.
func (l *Limiter) Pause() { l.set(func() { l.bucket.paused = true }) }

// Resume goes on where Pause has stopped: with as many permits as there were then, and a first in line that has as long to wait as
// it had then.
func (l *Limiter) Resume() { l.set(func() { l.bucket.paused = false }) }

// Ramp lets the rate rise evenly from a share of it, above 0 and at most 1, to the whole, beginning now. The burst rises with it,
// from at least 1. A ramp that is under way is replaced. With over 0 it is at its end at once. An error means that an argument
// is out of range, and that nothing has changed.
//
// A ramp stands still while the limiter is paused, or the ramp held. The rate may change meanwhile: a ramp is a share of it.
func (l *Limiter) Ramp(from float64, over time.Duration) error {
	if err := checkRamp(from, over); err != nil {
		return err
	}
	l.set(func() {
		l.bucket.ramp = ramp{from: from, over: over, held: l.bucket.ramp.held}
		l.bucket.clamp(l.need())
	})
	return nil
}

// HoldRamp keeps the share at what it is until [Limiter.ReleaseRamp]. A ramp that begins meanwhile stays at its beginning.
func (l *Limiter) HoldRamp() { l.set(func() { l.bucket.ramp.held = true }) }

// ReleaseRamp lets a ramp that was held go on from there.
func (l *Limiter) ReleaseRamp() { l.set(func() { l.bucket.ramp.held = false }) }

// Changed returns a channel that is closed at the next change of the rate, the burst, a pause or a ramp. It is for loops around
// [Limiter.Take], which get it before they take, so that no change falls between.
func (l *Limiter) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.change == nil {
		l.change = make(chan struct{})
	}
	return l.change
}

// set makes a change at this moment, and wakes whom it concerns.
func (l *Limiter) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.count()
	before := l.bucket
	change()
	if l.bucket == before {
		return
	}
	l.limited.Store(!l.bucket.free())
	l.serve(now)
	l.arm()
	if l.change != nil {
		close(l.change)
		l.change = nil
	}
}

// count counts permits up to this moment, also where there has been no limit yet. Callers hold mu.
func (l *Limiter) count() time.Duration {
	if l.epoch.IsZero() {
		l.epoch = time.Now()
	}
	now := l.now()
	l.advance(now)
	return now
}
