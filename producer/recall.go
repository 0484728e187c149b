package producer

import (
	"context"
	"fmt"
	"strings"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Recall has a message that waits for its time ([Message].Delay or DeliverAt) not be delivered. topic is the one that it
// was sent to, handle its [Receipt].RecallHandle, and the id that it returns the Receipt's ID. Like Send it is tried again
// until ctx has ended, and [Retryable] tells whether that may help.
//
// A broker looks for no message: it notes the id, and leaves out what bears it when its time comes. So a handle may be
// recalled twice, and nil doesn't mean that there was such a message. One that is due is an error. So are brokers that
// can't recall: those before 5.3.2, and those whose setting recallMessageEnable is off, as it is by default.
func (p *Producer) Recall(ctx context.Context, topic, handle string) (id string, err error) {
	if !p.sends.enter() {
		return "", fmt.Errorf("producer: recall: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	t, err := p.topic(topic)
	if err != nil {
		return "", fmt.Errorf("producer: recall: %w", err)
	}
	if handle == "" {
		return "", fmt.Errorf("producer: recall %s: there is no handle: its message had no Delay or DeliverAt that lay ahead, "+
			"or was stored by a broker before 5.3.2, which can't recall", topic)
	}
	id, err = t.Recall(ctx, p.group, handle)
	p.endedRecall(topic, handle, err)
	if err != nil {
		return "", fmt.Errorf("producer: %w", err)
	}
	return strings.Clone(id), nil
}

// endedRecall tells the hooks of a recall that a broker could be asked for.
func (p *Producer) endedRecall(topic, handle string, err error) {
	is, bad := protocol.ParseRecallHandle(handle)
	if of, _ := p.view.Names.LogicalTopic(is.Topic); bad != nil || of != topic {
		return
	}
	p.ended(&hook.Ended{End: hook.Recall, Group: p.cfg.Group, Topic: topic, ID: is.ID, Err: err})
}
