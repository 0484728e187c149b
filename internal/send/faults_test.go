package send

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFailedBrokerIsProbedByOneCallerAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f faults
		want := func(broker string, want standing) {
			t.Helper()
			if got := f.standing(broker, time.Now()); got != want {
				t.Errorf("standing of %s is %d, want %d", broker, got, want)
			}
		}
		if !f.none() {
			t.Error("there are faults at first")
		}
		f.failed("a", avoidDown, io.EOF)
		f.failed("a", avoidBusy, io.EOF) // doesn't shorten it
		want("a", avoided)
		want("b", well)
		time.Sleep(avoidDown)
		want("a", probe)
		want("a", avoided)
		time.Sleep(probeFor)
		want("a", probe)
		f.worked("a")
		want("a", well)
		if !f.none() {
			t.Error("there are faults after the last broker worked")
		}

		f.failed("gone", avoidDown, io.EOF) // a broker that was taken away for good
		f.failed("a", avoidDown, io.EOF)
		time.Sleep(forgetAfter + avoidDown + 1)
		f.worked("a")
		if !f.none() {
			t.Error("a broker that nobody asks about was not forgotten")
		}
	})
}

func TestBackoffDoublesToASecond(t *testing.T) {
	t.Parallel()
	full := 10 * time.Millisecond
	for round := range 100 {
		if d := backoff(round); d < full/2 || d > full {
			t.Errorf("backoff(%d) = %v, want %v to %v", round, d, full/2, full)
		}
		full = min(2*full, time.Second)
	}
}
