package consumer

import (
	"time"

	"github.com/rocketkit/rocketkit/internal/engine"
)

// Start is where a group begins that has no offsets yet: Latest, Earliest or At.
type Start struct{ at engine.Start }

// Latest begins with what is sent after Run has joined the group. It is the zero Start.
func Latest() Start { return Start{} }

// Earliest begins with the oldest message that the brokers still have.
func Earliest() Start { return Start{engine.Start{Where: engine.StartEarliest}} }

// At begins with the first message stored at t or after, by the brokers' clocks. Brokers before 5.0 find the nearest
// message instead, so that a queue may begin with one that is earlier.
func At(t time.Time) Start { return Start{engine.Start{Where: engine.StartTime, Time: t}} }
