package mqtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dueTest is a test that go test gives up at a certain time.
type dueTest struct {
	testing.TB
	at time.Time
}

func (t dueTest) Deadline() (time.Time, bool) { return t.at, true }

// A wait for what never comes says what is missing before go test gives up.
func TestWaitEndsBeforeTheTestDoes(t *testing.T) {
	t.Parallel()
	c := New(dueTest{t, time.Now().Add(reportTime + 50*time.Millisecond)}, Config{})
	err := c.WaitMessages(context.Background(), "ordres", 1)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "ordres") {
		t.Errorf("error %v", err)
	}
}

// A bubble's T panics when it is asked for its deadline.
func TestNewInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if c := New(t, Config{}); !c.deadline.IsZero() {
			t.Errorf("deadline %v", c.deadline)
		}
	})
}
