package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// QueueRange is what one queue holds: the messages from Min to before Max.
type QueueRange struct {
	Queue  rocketkit.Queue
	Min    int64     // of the oldest message; messages below were deleted by age. Equal to Max in an empty queue
	Max    int64     // one past the newest message, so that of the next one
	Newest time.Time // when the newest message was stored; zero when unknown or when there never was one
}

// GroupOffset is how far a group has come in one queue.
type GroupOffset struct {
	QueueRange // its fields are the GroupOffset's

	// Committed is the offset of the next message the group wants, meaningless unless HasCommitted. It can lie below Min,
	// when messages were deleted before the group came to them, and above Max, when someone set it so.
	Committed int64

	// HasCommitted is false when the broker holds no offset for the group in this queue: none of the group's consumers
	// has committed here yet, and where one begins is for its own start position to say. Brokers before 5.0 don't tell
	// this from offset 0 in a queue that has lost no message yet: there it is true, with Committed 0.
	HasCommitted bool
}

// Lag returns how many messages the group has yet to consume: those that are still there from Committed on. It is false
// when nothing was committed, because then how many of the queue's messages the group wants isn't known to the broker.
func (o GroupOffset) Lag() (messages int64, known bool) {
	if !o.HasCommitted {
		return 0, false
	}
	return max(0, o.Max-max(o.Committed, o.Min)), true
}

// TopicOffsets returns what every queue of a topic holds, sorted by broker and id; what it could read when some brokers
// fail. Queues above ReadQueues are listed too, as they may hold messages. A topic that no name server knows gives an
// error that wraps [rocketkit.ErrNoRoute].
func (a *Admin) TopicOffsets(ctx context.Context, topic string) ([]QueueRange, error) {
	op := "read the offsets of topic " + shown(topic)
	physical, err := a.readable(op, topic)
	if err != nil {
		return nil, err
	}
	t := &tally{op: op}
	queues, err := a.topicQueues(ctx, t, topic, physical)
	if err != nil {
		return nil, err
	}
	result := make([]QueueRange, len(queues))
	for i, q := range queues {
		result[i] = q.QueueRange
	}
	return result, t.err()
}

// Offsets returns how far a group has come in every queue of a topic, sorted by broker and id; what it could read
// when some brokers fail. A group that doesn't exist has committed nothing. A topic that no name server knows gives an
// error that wraps [rocketkit.ErrNoRoute].
func (a *Admin) Offsets(ctx context.Context, group, topic string) ([]GroupOffset, error) {
	op := fmt.Sprintf("read the offsets of group %s in topic %s", shown(group), shown(topic))
	physicalGroup, err := a.group(op, "group", group)
	if err != nil {
		return nil, err
	}
	var result []GroupOffset
	err = onQueues(ctx, a, op, topic, func(ctx context.Context, q queueOn, physical string) (GroupOffset, error) {
		answer, err := a.ask(ctx, q.server, protocol.QueryOffset{
			Group: physicalGroup, Topic: physical, QueueID: int32(q.Queue.ID), BrokerName: q.Queue.Broker,
		}.Frame())
		if err != nil && !protocol.HasCode(err, protocol.CodeQueryNotFound) {
			return GroupOffset{}, err
		}
		o := GroupOffset{QueueRange: q.QueueRange}
		o.Committed, o.HasCommitted, err = protocol.ParseQueryOffset(answer)
		return o, err
	}, func(_ queueOn, o GroupOffset) { result = append(result, o) })
	return result, err
}

// SearchOffsets returns, for every queue of a topic, the offset of the first message that was stored at or after at, and
// Max where there is none; what it could find when some brokers fail. A topic that no name server knows gives an error
// that wraps [rocketkit.ErrNoRoute].
func (a *Admin) SearchOffsets(ctx context.Context, topic string, at time.Time) (map[rocketkit.Queue]int64, error) {
	op := "search the offsets of topic " + shown(topic)
	result := map[rocketkit.Queue]int64{}
	err := onQueues(ctx, a, op, topic, func(ctx context.Context, q queueOn, physical string) (int64, error) {
		if q.Min >= q.Max || !q.Newest.IsZero() && q.Newest.Before(at.Truncate(time.Millisecond)) {
			return q.Max, nil // what brokers say of a time after the newest message differs between versions
		}
		answer, err := a.ask(ctx, q.server, protocol.SearchOffset{
			Topic: physical, QueueID: int32(q.Queue.ID), Time: at.UnixMilli(), BrokerName: q.Queue.Broker,
		}.Frame())
		if err != nil {
			return 0, err
		}
		offset, err := protocol.ParseSearchOffset(answer)
		return min(max(offset, q.Min), q.Max), err
	}, func(q queueOn, offset int64) { result[q.Queue] = offset })
	return result, err
}

// queueOn is a queue and the master that has it.
type queueOn struct {
	QueueRange
	server server
}

func (q queueOn) asTarget() server { return server{name: q.Queue.String(), address: q.server.address} }

// onQueues asks something of the master of each queue of a topic, and gives keep what it could read, in the queues' order.
func onQueues[T any](ctx context.Context, a *Admin, op, topic string,
	ask func(_ context.Context, _ queueOn, physical string) (T, error), keep func(queueOn, T),
) error {
	physical, err := a.readable(op, topic)
	if err != nil {
		return err
	}
	t := &tally{op: op}
	queues, err := a.topicQueues(ctx, t, topic, physical)
	if err != nil {
		return err
	}
	answers, outcomes := onEach(ctx, queues, func(ctx context.Context, q queueOn) (T, error) { return ask(ctx, q, physical) })
	for i, q := range queues {
		t.add([]server{q.asTarget()}, outcomes[i:i+1])
		if outcomes[i] == nil {
			keep(q, answers[i])
		}
	}
	return t.err()
}

// topicQueues reads every queue of a topic from the masters, by one request to each (GET_TOPIC_STATS_INFO 202). Those
// that fail are entered in t.
func (a *Admin) topicQueues(ctx context.Context, t *tally, topic, physical string) ([]queueOn, error) {
	servers, err := a.topicMasters(ctx, t.op, physical)
	if err != nil {
		return nil, err
	}
	tables, outcomes := onEach(ctx, servers, func(ctx context.Context, s server) (map[protocol.Queue]protocol.TopicOffset, error) {
		answer, err := a.ask(ctx, s, protocol.GetTopicStats{Topic: physical}.Frame())
		if err != nil {
			return nil, err
		}
		return protocol.ParseTopicStats(answer)
	})
	var queues []queueOn
	for i, s := range servers {
		if outcomes[i] != nil {
			t.add(servers[i:i+1], outcomes[i:i+1])
		}
		for q, o := range tables[i] {
			found := queueOn{server: s}
			found.Queue = rocketkit.Queue{Topic: topic, Broker: s.name, ID: int(q.ID)}
			found.Min, found.Max = o.Min, o.Max
			if o.LastUpdate > 0 {
				found.Newest = time.UnixMilli(o.LastUpdate)
			}
			queues = append(queues, found)
		}
	}
	slices.SortFunc(queues, func(x, y queueOn) int {
		return cmp.Or(cmp.Compare(x.Queue.Broker, y.Queue.Broker), cmp.Compare(x.Queue.ID, y.Queue.ID))
	})
	return queues, nil
}
