package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestDelayLevel(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int32{
		0: 1, time.Millisecond: 1, time.Second: 1, time.Second + 1: 2, 5 * time.Second: 2, 6 * time.Second: 3,
		10 * time.Second: 3, 11 * time.Second: 4, 30 * time.Second: 4, 31 * time.Second: 5, time.Minute: 5,
		2 * time.Minute: 6, 150 * time.Second: 7, 4 * time.Minute: 8, 5 * time.Minute: 9, 6 * time.Minute: 10,
		7 * time.Minute: 11, 8 * time.Minute: 12, 9 * time.Minute: 13, 10 * time.Minute: 14, 11 * time.Minute: 15,
		20 * time.Minute: 15, 30 * time.Minute: 16, time.Hour: 17, 90 * time.Minute: 18, 2 * time.Hour: 18, 48 * time.Hour: 18,
	} {
		if got := delayLevel(d); got != want {
			t.Errorf("delayLevel(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestVerdictError(t *testing.T) {
	t.Parallel()
	why := errors.New("ledger closed")
	for want, v := range map[string]*Verdict{
		"retry":                      {Action: Retry, Delay: -1},
		"retry in 5s":                {Action: Retry, Delay: 5 * time.Second},
		"retry in 0s: ledger closed": {Action: Retry, Why: why},
		"drop":                       {Action: Drop},
		"drop: ledger closed":        {Action: Drop, Why: why},
		"dead letter: ledger closed": {Action: DeadLetter, Why: why},
	} {
		if got := v.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	err := fmt.Errorf("order 7: %w", &Verdict{Action: Drop, Why: why})
	if !errors.Is(err, why) {
		t.Error("the reason is lost")
	}
}
