package telemetry

import (
	"context"
	"errors"
	"strings"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// failureOf is the kind of an error of a send, one of few: RocketMQ's name of the broker's answer, or one of ours.
func failureOf(err error) string {
	if err == nil {
		return ""
	}
	if code, _, ok := rocketkit.Code(err); ok {
		name, _, known := strings.Cut(protocol.CodeName(int32(code)), " (")
		if !known {
			return other // anybody's number
		}
		return name
	}
	switch {
	case errors.Is(err, rocketkit.ErrNoRoute):
		return "no_route"
	case errors.Is(err, rocketkit.ErrClosed):
		return "closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return other
}

// failed is the kind of a message's failure; empty when it was acknowledged.
func failed(o *hook.Outcome) string {
	switch {
	case o.Verdict == hook.Done:
		return ""
	case o.Panicked:
		return "panic"
	case o.TimedOut:
		return "timeout"
	case o.Verdict == hook.Drop:
		return "drop"
	case o.Verdict == hook.DeadLetter:
		return "dead_letter"
	}
	return "retry"
}
