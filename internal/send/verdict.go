package send

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/route"
)

// verdict is what a failed attempt means for the next; the package's comment has the table.
type verdict int

const (
	refused verdict = iota // sending it again changes nothing
	denied                 // not by this broker
	missing                // this broker doesn't have the topic
	moved                  // this broker doesn't have the queue
	absent                 // the broker is well, but isn't connected with the client that a reply is for, or that didn't take it
	busy                   // not now
	down                   // not by this broker now, or it can't be reached, or there is none
)

func verdictOf(err error) verdict {
	if answer := (*protocol.Error)(nil); errors.As(err, &answer) {
		return verdictOfAnswer(answer)
	}
	if errors.Is(err, errNoTimers) {
		return denied
	}
	for _, final := range []error{remoting.ErrClosed, frame.ErrTooLarge, route.ErrNoRoute, protocol.ErrMalformed, errNoSuchQueue, errDelivered} {
		if errors.Is(err, final) {
			return refused
		}
	}
	return down
}

func verdictOfAnswer(e *protocol.Error) verdict {
	switch e.Code {
	case protocol.CodeSystemError:
		switch {
		case tooLarge(e), timersOff(e):
			return refused
		case IsAbsent(e):
			return absent
		}
		return busy
	case protocol.CodeSystemBusy, protocol.CodeFlowControl:
		return busy
	case protocol.CodeServiceNotAvailable, protocol.CodeNotLeaderForQueue, protocol.CodeGoAway:
		return down
	case protocol.CodeTopicNotExist:
		return missing
	case protocol.CodeInvalidParameter:
		return moved
	case protocol.CodeNoPermission:
		return denied
	}
	return refused
}

// IsAbsent tells whether a broker took a reply and couldn't hand it on (ReplyMessageProcessor.pushReplyMessage).
func IsAbsent(err error) bool {
	answer := (*protocol.Error)(nil)
	return errors.As(err, &answer) && answer.Code == protocol.CodeSystemError && strings.HasPrefix(answer.Remark, "push reply message")
}

// tooLarge tells whether a broker refused a message for its size. A batch over the limit makes it throw, which comes
// as SYSTEM_ERROR and would be so each time.
func tooLarge(e *protocol.Error) bool {
	return e.Code == protocol.CodeMessageIllegal && !tooLate(e) ||
		e.Code == protocol.CodeSystemError && strings.Contains(e.Remark, "message body size exceeded")
}

// tooLate tells whether a broker refused a message because it was to be delivered later than its timers reach.
func tooLate(e *protocol.Error) bool {
	return e.Code == protocol.CodeMessageIllegal && strings.Contains(e.Remark, "timer message illegal")
}

// timersOff tells whether a broker refused a timed message because it is set to have no timers.
func timersOff(e *protocol.Error) bool {
	return e.Code == protocol.CodeSystemError && strings.Contains(e.Remark, "timerWheelEnable")
}

const (
	avoidDown = time.Second
	avoidBusy = 100 * time.Millisecond
	slow      = 500 * time.Millisecond // a broker that leaves a caller waiting so long is down for the next one
)

// avoidance is how long other sends should leave a broker alone that failed one; 0 when it isn't to blame.
func avoidance(ctx context.Context, err error, waited time.Duration) time.Duration {
	if ctx.Err() != nil && (waited < slow || !errors.Is(ctx.Err(), context.DeadlineExceeded)) {
		return 0 // the caller gave up too early to tell
	}
	switch verdictOf(err) {
	case down:
		return avoidDown
	case busy:
		return avoidBusy
	}
	return 0
}

const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = time.Second
)

// backoff is the pause after a round, the first being 0: 10 ms doubling to 1 s, of which the second half is chance.
func backoff(round int) time.Duration {
	d := maxBackoff
	if round < 7 { // 10 ms << 7 is above 1 s
		d = minBackoff << round
	}
	return d/2 + rand.N(d/2+1)
}

// pause waits for d or ctx's end.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
