package engine

import (
	"context"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// reallyStored resolves what a broker before 5.0 leaves open: it answers 0 for a queue that the group has no offset of, as
// long as the queue has lost no message yet. Its statistics (GET_CONSUME_STATS 208) leave out topics that the group has
// no offset of at all, but count every queue of one that it has some of. So a seeding that was cut short looks complete
// there, and its other queues begin at 0.
func (e *Engine) reallyStored(ctx context.Context, q protocol.Queue, answer *frame.Frame, offset int64) (bool, error) {
	if offset > 0 || answer.Version >= protocol.Version5 {
		return true, nil
	}
	stats, err := e.call(ctx, q.Broker, q.Topic, protocol.GetConsumeStats{Group: e.group}.Frame())
	if err != nil {
		return false, err
	}
	parsed, err := protocol.ParseConsumeStats(stats)
	if err != nil {
		return false, err
	}
	for known := range parsed.Queues {
		if known.Topic == q.Topic && known.Broker == q.Broker {
			return true, nil
		}
	}
	return false, nil
}
