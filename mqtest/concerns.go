package mqtest

import (
	"slices"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// concerns tells whether the fault is aimed at a request.
func (i *Injected) concerns(c *call) bool {
	f := &i.fault
	return (f.Request == 0 || int32(f.Request) == c.req.Code) &&
		(f.Server == "" || f.Server == c.conn.server.name) &&
		(f.Client == "" || c.conn.isOf(f.Client)) &&
		(f.Topic == "" || slices.Contains(topicsOf(c.req), f.Topic)) &&
		(f.Group == "" || slices.Contains(groupsOf(c.req), f.Group))
}

// topicsOf lists the topics that a request is about; what the field is called depends on the request.
func topicsOf(req *frame.Frame) []string {
	topics := values(req, "topic", "originTopic", "b")
	switch req.Code {
	case protocol.ReqHeartbeat:
		beat, _ := protocol.ParseHeartbeat(req)
		for _, consumer := range beat.Consumers {
			for _, s := range consumer.Subscriptions {
				topics = append(topics, s.Topic)
			}
		}
	case protocol.ReqLockQueues, protocol.ReqUnlockQueues:
		for _, q := range lockedBy(req).Queues {
			topics = append(topics, q.Topic)
		}
	}
	return topics
}

// groupsOf is topicsOf for consumer and producer groups.
func groupsOf(req *frame.Frame) []string {
	groups := values(req, "consumerGroup", "group", "producerGroup", "a")
	switch req.Code {
	case protocol.ReqHeartbeat:
		beat, _ := protocol.ParseHeartbeat(req)
		for _, consumer := range beat.Consumers {
			groups = append(groups, consumer.Group)
		}
		for _, producer := range beat.Producers {
			groups = append(groups, producer.Group)
		}
	case protocol.ReqLockQueues, protocol.ReqUnlockQueues:
		groups = append(groups, lockedBy(req).Group)
	}
	return groups
}

// lockedBy reads a request to lock queues, or one to unlock them, which looks the same.
func lockedBy(req *frame.Frame) protocol.LockQueues {
	locks, _ := protocol.ParseLockRequest(req)
	return locks
}

func values(req *frame.Frame, names ...string) (list []string) {
	for _, name := range names {
		if v, ok := req.Fields.Get(name); ok {
			list = append(list, v)
		}
	}
	return list
}
