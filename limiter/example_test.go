package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rocketkit/rocketkit/limiter"
)

func Example() {
	l, err := limiter.New(limiter.Config{Rate: 1000, Burst: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	begin := time.Now()
	for range 51 {
		if err := l.Wait(context.Background()); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("51 permits came in 50 ms or more:", time.Since(begin) >= 50*time.Millisecond-time.Microsecond)
	// Output:
	// 51 permits came in 50 ms or more: true
}

// Who waits for an hour is awake at once when the rate says so.
func ExampleLimiter_SetRate() {
	l, _ := limiter.New(limiter.Config{Rate: 1.0 / 3600})
	l.TryTake(1)

	served := make(chan error)
	go func() { served <- l.Wait(context.Background()) }()
	if err := l.SetRate(1e6); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-served)

	fmt.Println(l.SetRate(0))
	// Output:
	// <nil>
	// limiter: rate: a rate is above 0: to let nothing pass, Pause; for no limit, give +Inf
}

// A wait that ends early has taken nothing.
func ExampleLimiter_Wait() {
	l, _ := limiter.New(limiter.Config{Rate: 1.0 / 60})
	l.TryTake(1)

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := l.Wait(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), l.Stats().Waiters)
	// Output:
	// true 0
}

// After a release the rate rises from a tenth to the whole in half a minute, and not while the work fails.
func ExampleLimiter_Ramp() {
	l, _ := limiter.New(limiter.Config{Rate: 500})
	if err := l.Ramp(0.1, 30*time.Second); err != nil {
		fmt.Println(err)
		return
	}
	l.HoldRamp()
	s := l.Stats()
	fmt.Printf("%.0f of %.0f a second\n", s.Rate*s.Share, s.Rate)
	l.ReleaseRamp()
	// Output:
	// 50 of 500 a second
}

// A loop that has other things to wait for takes what is there, and sleeps by itself.
func ExampleLimiter_Take() {
	l, _ := limiter.New(limiter.Config{Rate: 1e5, Burst: 10})
	for left := 25; left > 0; {
		changed := l.Changed() // before Take, so that no change is missed
		n, next := l.Take(left)
		left -= n
		if n == 0 {
			select {
			case <-time.After(next):
			case <-changed:
			}
		}
	}
	fmt.Println("done")

	var unlimited limiter.Limiter
	n, _ := unlimited.Take(math.MaxInt32)
	fmt.Println(n)
	// Output:
	// done
	// 2147483647
}
