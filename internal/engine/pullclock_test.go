package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPullClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		var none *pullClock
		c := none.start(parent, time.Minute)
		for range 10 { // pulls that each take less than the time-out, and pauses between them that take longer
			time.Sleep(50 * time.Second)
			c.stop()
			time.Sleep(time.Hour)
			if again := c.start(parent, time.Minute); again != c || c.Err() != nil {
				t.Fatalf("another clock, or one that has ended: %v", c.Err())
			}
		}
		select {
		case <-c.Done():
		case <-time.After(2 * time.Minute):
			t.Fatal("a pull may take for ever")
		}
		if !errors.Is(c.Err(), context.DeadlineExceeded) {
			t.Errorf("after its time-out it says %v", c.Err())
		}
		c.stop()
		next := c.start(parent, time.Minute)
		if next == c || next.Err() != nil {
			t.Fatalf("after a time-out the next pull's clock has ended: %v", next.Err())
		}
		cancel()
		<-next.Done()
		if !errors.Is(next.Err(), context.Canceled) {
			t.Errorf("after its parent's end it says %v", next.Err())
		}
		next.stop()
		time.Sleep(time.Hour)
		if !errors.Is(next.Err(), context.Canceled) {
			t.Errorf("later it says %v", next.Err())
		}
	})
}
