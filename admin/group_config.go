package admin

import (
	"fmt"
	"math"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// check validates all but the name.
func (c GroupConfig) check(op string) error {
	switch {
	case c.MaxRetries < NoRetries || c.MaxRetries > math.MaxInt32:
		return invalid(op, "MaxRetries", fmt.Errorf("%d is neither a count, nor NoRetries (%d)", c.MaxRetries, NoRetries))
	case c.RetryQueues < 0 || c.RetryQueues > maxQueues:
		return invalid(op, "RetryQueues", fmt.Errorf("%d is not from 1 to %d, or 0 for what the group has or gets by default; "+
			"without retry queues brokers drop what is sent back", c.RetryQueues, maxQueues))
	case c.Consume < 0 || c.Consume > Off:
		return invalid(op, "Consume", fmt.Errorf("%d is neither On nor Off", int(c.Consume)))
	}
	return nil
}

// apply gives a broker's settings with what c sets.
func (c GroupConfig) apply(now protocol.GroupConfig) protocol.GroupConfig {
	switch {
	case c.MaxRetries == NoRetries:
		now.RetryMaxTimes = 0
	case c.MaxRetries > 0:
		now.RetryMaxTimes = int32(c.MaxRetries)
	}
	if c.RetryQueues > 0 {
		now.RetryQueues = int32(c.RetryQueues)
	}
	if c.Consume != 0 {
		now.ConsumeEnable = c.Consume == On
	}
	now.Attributes = nil // a request names changes only; a broker keeps those it has
	return now
}

// differs tells the first setting of c that a broker has otherwise.
func (c GroupConfig) differs(now protocol.GroupConfig) (has, wants string) {
	want := c.apply(now)
	switch {
	case want.RetryMaxTimes != now.RetryMaxTimes:
		return fmt.Sprintf("at most %d retries", now.RetryMaxTimes), fmt.Sprint(want.RetryMaxTimes)
	case want.RetryQueues != now.RetryQueues:
		return fmt.Sprintf("%d retry queues", now.RetryQueues), fmt.Sprint(want.RetryQueues)
	case want.ConsumeEnable != now.ConsumeEnable:
		return fmt.Sprintf("consuming enabled=%t", now.ConsumeEnable), fmt.Sprint(want.ConsumeEnable)
	}
	return "", ""
}
