package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// SetOffsets commits offsets for a group, as one of its consumers would: the offset of the next message wanted of each
// queue. The group has to exist (since 5.3 a broker refuses others, with an error that wraps [ErrNoGroup]). Stop its
// consumers first: a running one knows nothing of it and commits its own progress over it within seconds. A broker takes
// any offset that isn't negative; one beyond the queue's end is corrected by the next consumer that pulls.
//
// A queue on which an earlier reset still waits keeps that one, and fails with [ErrResetPending].
func (a *Admin) SetOffsets(ctx context.Context, group string, offsets map[rocketkit.Queue]int64) error {
	op := "set offsets of group " + shown(group)
	physicalGroup, err := a.group(op, "group", group)
	if err != nil {
		return err
	}
	if len(offsets) == 0 {
		return invalid(op, "offsets", errNothingSet)
	}
	queues := slices.SortedFunc(maps.Keys(offsets), func(x, y rocketkit.Queue) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Broker, y.Broker), cmp.Compare(x.ID, y.ID))
	})
	topics := map[string]string{} // physical by logical name
	for _, q := range queues {
		if topics[q.Topic], err = a.changeable(op, "offsets", q.Topic); err != nil {
			return err
		}
		if q.ID < 0 || q.ID > math.MaxInt32 || q.Broker == "" || offsets[q] < 0 {
			return invalid(op, "offsets", fmt.Errorf("queue %s, offset %d: the broker has to be named, and neither number is negative", q, offsets[q]))
		}
	}
	addresses := map[string]map[string]string{} // by topic and broker
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		servers, err := a.topicMasters(ctx, op, topics[topic])
		if err != nil {
			return fmt.Errorf("%w (topic %s)", err, topic)
		}
		addresses[topic] = map[string]string{}
		for _, s := range servers {
			addresses[topic][s.name] = s.address
		}
	}
	targets := make([]server, len(queues))
	for i, q := range queues {
		address, known := addresses[q.Topic][q.Broker]
		if !known {
			return invalid(op, "offsets", fmt.Errorf("queue %s: the topic isn't on that broker", q))
		}
		targets[i] = server{name: q.String(), address: address}
	}
	_, outcomes := onEach(ctx, queues, func(ctx context.Context, q rocketkit.Queue) (struct{}, error) {
		s := server{name: q.Broker, address: addresses[q.Topic][q.Broker]}
		return struct{}{}, a.setOffset(ctx, s, protocol.UpdateOffset{
			Group: physicalGroup, Topic: topics[q.Topic], QueueID: int32(q.ID), Offset: offsets[q], BrokerName: q.Broker,
		})
	})
	t := &tally{op: op}
	t.add(targets, outcomes)
	return t.err()
}

func (a *Admin) setOffset(ctx context.Context, s server, r protocol.UpdateOffset) error {
	answer, err := a.ask(ctx, s, r.Frame())
	if err != nil {
		return err
	}
	pending, err := protocol.ParseUpdateOffset(answer)
	if err == nil && pending {
		err = ErrResetPending
	}
	return err
}
