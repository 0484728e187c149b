package send

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

// Error is why a Send failed. It unwraps to the last attempt's failure, and to the context's end when that was the
// reason to stop.
type Error struct {
	Op        string // "send" or "recall"
	Topic     string // logical
	Attempts  int
	Took      time.Duration
	Last      error // of the last attempt; nil when the context had ended before the first
	Ended     error // the context's; nil when the last attempt was reason enough
	Retryable bool  // sending the same again may succeed
}

// Error gives the topic, how often and how long it was tried, and why it failed.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Op, e.Topic)
	if e.Attempts > 1 || e.Attempts == 1 && e.Ended != nil {
		plural := "s"
		if e.Attempts == 1 {
			plural = ""
		}
		fmt.Fprintf(&b, ": %d attempt%s in %v", e.Attempts, plural, e.Took)
	}
	if e.Last != nil {
		fmt.Fprintf(&b, ": %v", e.Last)
	}
	if e.Ended != nil && !errors.Is(e.Last, e.Ended) {
		fmt.Fprintf(&b, ": %v", e.Ended)
	}
	return b.String()
}

// Unwrap returns the causes.
func (e *Error) Unwrap() []error {
	causes := make([]error, 0, 2)
	for _, err := range []error{e.Last, e.Ended} {
		if err != nil {
			causes = append(causes, err)
		}
	}
	return causes
}

// ended is the error when ctx has.
func (s *sending) ended(ctx context.Context) *Error {
	err := s.failed(s.last)
	err.Ended, err.Retryable = ctx.Err(), true
	if cause := context.Cause(ctx); !errors.Is(cause, err.Ended) {
		err.Ended = fmt.Errorf("%w: %w", err.Ended, cause)
	}
	return err
}

// failed is the error when last is reason enough to stop.
func (s *sending) failed(last error) *Error {
	return &Error{
		Op:       "send",
		Topic:    s.topic.logical,
		Attempts: s.attempts,
		Took:     rounded(time.Since(s.begun)),
		Last:     s.explain(last),
	}
}

// explain adds what the failure alone doesn't say.
func (s *sending) explain(err error) error {
	if answer := (*protocol.Error)(nil); errors.As(err, &answer) && tooLarge(answer) {
		return fmt.Errorf("the broker takes no body of %d bytes with properties of %d; its setting maxMessageSize is the limit: %w",
			len(s.request.Body), len(s.request.Properties), err)
	}
	if answer := (*protocol.Error)(nil); errors.As(err, &answer) && tooLate(answer) {
		return fmt.Errorf("to be delivered later than the broker's timers reach, by its setting timerMaxDelaySec, which is 3 days by default: %w", err)
	}
	if errors.Is(err, remoting.ErrClosed) {
		return fmt.Errorf("the Client: %w", rocketkit.ErrClosed)
	}
	return err
}

// rounded makes a duration readable.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}
