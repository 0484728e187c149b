package producer

import (
	"context"
	"testing"

	"github.com/rocketkit/rocketkit/internal/hook"
)

// ends is a hook that notes what was decided of messages.
type ends struct {
	off  bool
	seen []hook.End
}

func (e *ends) On() bool                                                   { return !e.off }
func (*ends) Sending(ctx context.Context, _ *hook.Sending) context.Context { return ctx }
func (*ends) Sent(context.Context, *hook.Sending, *hook.Sent)              {}
func (e *ends) Ended(d *hook.Ended)                                        { e.seen = append(e.seen, d.End) }

// What is decided of a message later is told to the hooks that watch for it and are on, and to no other.
func TestEndsAreToldToWhoWatchesForThem(t *testing.T) {
	t.Parallel()
	on, off := &ends{}, &ends{off: true}
	p := &Producer{hooks: []hook.Sender{off, struct{ hook.Sender }{on}, on}}
	p.ended(&hook.Ended{End: hook.Rollback})
	if len(on.seen) != 1 || on.seen[0] != hook.Rollback || off.seen != nil {
		t.Errorf("told %v, and %v to the one that is off", on.seen, off.seen)
	}
}
