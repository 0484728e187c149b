package consumer

import (
	"time"

	"github.com/rocketkit/rocketkit/internal/engine"
)

// RetryIn returns an error that has the message delivered again in d, rounded up to the broker's next delay level: 1 s,
// 5 s, 10 s, 30 s, each minute from 1 to 10, 20 min, 30 min, 1 h, 2 h (MessageStoreConfig.messageDelayLevel as RocketMQ
// ships it); beyond 2 h it is 2 h. It counts as one of the group's retries. why, which may be nil, is logged.
//
// On a topic with an [Order] the message is delivered again where it stands in exactly d, but in no less than 10 ms; a
// longer pause than the process lives, or keeps the queue, begins anew with its next owner.
func RetryIn(d time.Duration, why error) error {
	return &engine.Verdict{Action: engine.Retry, Delay: max(d, 0), Why: why}
}

// Drop returns an error that ends the message: it is never delivered again and not kept. why, which may be nil, is
// logged.
func Drop(why error) error { return &engine.Verdict{Action: engine.Drop, Why: why} }

// DeadLetter returns an error that moves the message to the group's dead-letter topic, %DLQ%group, now. why, which may
// be nil, is logged.
func DeadLetter(why error) error { return &engine.Verdict{Action: engine.DeadLetter, Why: why} }
