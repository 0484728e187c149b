package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"
)

// Action is what becomes of a message whose handler did not simply succeed.
type Action int

// The actions of a [Verdict].
const (
	Retry      Action = iota // deliver again, after the broker's own backoff or Delay
	Drop                     // done: never deliver again
	DeadLetter               // store in the group's dead-letter topic now
)

// Verdict is the error by which a handler says what becomes of its message; package consumer makes them.
type Verdict struct {
	Action Action
	Delay  time.Duration // of Retry; negative leaves it to the broker, which waits longer each time
	Why    error         // may be nil
}

// Error tells the verdict and its reason.
func (v *Verdict) Error() string {
	text := "retry"
	switch {
	case v.Action == Drop:
		text = "drop"
	case v.Action == DeadLetter:
		text = "dead letter"
	case v.Delay >= 0:
		text = fmt.Sprintf("retry in %v", v.Delay)
	}
	if v.Why == nil {
		return text
	}
	return text + ": " + v.Why.Error()
}

// Unwrap returns the reason.
func (v *Verdict) Unwrap() error { return v.Why }

// outcome is what came of a handler's run that did not simply succeed, read from its error once.
type outcome struct {
	Action
	Delay time.Duration // of Retry; negative leaves it to the broker
	why   string
	stack string // of a panic
}

func outcomeOf(err error) *outcome {
	o := &outcome{Delay: -1, why: err.Error()}
	if v := (*Verdict)(nil); errors.As(err, &v) {
		o.Action, o.Delay = v.Action, v.Delay
	}
	return o
}

// panicked is what a panic of somebody's code comes to. It is called while the panic is recovered.
func panicked(who string, p any) *outcome {
	return &outcome{Delay: -1, why: fmt.Sprintf("%s panicked: %v", who, p), stack: string(debug.Stack())}
}

func endedItsGoroutine() *outcome {
	return &outcome{Delay: -1, why: "handler ended its goroutine (runtime.Goexit)"}
}

// delays are the broker's delay levels, 1 and up (MessageStoreConfig.messageDelayLevel as RocketMQ ships it).
var delays = [...]time.Duration{ //nolint:gochecknoglobals // a table of constants
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	1 * time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute, 6 * time.Minute,
	7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	1 * time.Hour, 2 * time.Hour,
}

// What ConsumerSendMsgBackRequestHeader.delayLevel means beside a level.
const (
	levelByBroker   = 0  // 3 + the retries so far
	levelDeadLetter = -1 // store in the dead-letter topic at once
)

// LevelDelay is how long a delay level takes, from 1 up; beyond the last it is the last.
func LevelDelay(level int) time.Duration { return delays[min(max(level, 1), len(delays))-1] }

func levelText(level int32) string { return strconv.Itoa(int(min(level, int32(len(delays))))) }

// delayLevel rounds d up to a delay level; beyond the last it is the last.
func delayLevel(d time.Duration) int32 {
	for i, delay := range delays {
		if d <= delay {
			return int32(i + 1)
		}
	}
	return int32(len(delays))
}
