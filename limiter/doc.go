// Package limiter lets so many permits a second pass, at a rate that may change while callers wait.
//
// A [Limiter] is a bucket: permits drop into it evenly, up to a burst, and callers take them out. Who finds too few waits in line.
// It stands alone: it knows nothing of messages, starts no goroutine and never polls. A timer runs only while somebody waits.
//
//	l, err := limiter.New(limiter.Config{Rate: 500})
//	...
//	if err := l.Wait(ctx); err != nil { // ctx has ended; nothing was taken
//		return err
//	}
//
// # What it promises
//
//   - Callers are served in the order in which they came. Nobody overtakes: while somebody waits, [Limiter.TryTake] and
//     [Limiter.Take] get nothing.
//   - A permit is taken at the moment at which it is given and never in advance. So a wait that is canceled has cost nothing, and
//     those behind it move up at once.
//   - [Limiter.SetRate] and every other change is exact from the moment at which it returns: what a waiter had come to under the old
//     rate counts, the rest comes at the new one. Who had an hour to sleep is awake in a millisecond if the new rate says so.
//   - The rate is kept, from one a minute to a million a second. While somebody always wants permits, as many pass in any five seconds
//     as the rate says, up to 3 % or 1 more or less. In no second pass more than the rate and the larger of 5 % and the burst.
//   - Sleepers wake up late, by a millisecond on an idle machine and by more on a busy one. What comes up to 25 ms late is made up
//     for, and no more: a program that was frozen for a minute doesn't let a minute's worth pass at once.
//
// # Rates
//
// A rate is a number of permits a second. No limit is +Inf, or 0 in a [Config], where it means that none was given.
// [Limiter.SetRate] refuses 0: a rate that was computed, as the share of one who owns nothing, must not lift a limit by accident, nor
// stop what waits for good. To let nothing pass is [Limiter.Pause]. Where there is no limit, a call costs a few nanoseconds.
//
// # Ramps
//
// What has just started should not meet all of its work at once. [Limiter.Ramp] lets the rate, and the burst with it, rise evenly from a
// share to the whole. [Limiter.HoldRamp] stops the rise, for as long as work fails, and [Limiter.ReleaseRamp] goes on with it. A ramp
// also runs where there is no limit: [Stats].Share then tells who sizes a pool by it.
//
// # Why not another
//
// Package golang.org/x/time/rate takes permits in advance: each waiter has a time to sleep until, and no change reaches it. One that
// has an hour to sleep sleeps that hour, though SetLimit has allowed a thousand a second meanwhile. Those behind a canceled wait don't
// move up. A wait whose context would end first, or for more than the burst, fails at once. After a stall everybody passes
// whose time has come. It has neither a pause nor a ramp.
//
// Package ratelimiter of github.com/failsafe-go/failsafe-go takes permits in advance, too, and keeps those of canceled waits: after five
// of them, at one a second, the next waits six seconds. Its rate can't be changed.
//
// The tests of this package hold both against it, so this text is known to be true of the versions in go.mod.
package limiter
