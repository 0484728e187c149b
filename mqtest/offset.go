package mqtest

import (
	"maps"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// placeOf reads which queue of which group a request is about.
func placeOf(req *frame.Frame) (place, error) {
	queue, err := req.Fields.Int32("queueId")
	if err != nil {
		return place{}, err
	}
	topic, _ := req.Fields.Get("topic")
	group, _ := req.Fields.Get("consumerGroup")
	return place{group, topic, queue}, nil
}

// committed gives what a group has committed; a reset that no pull has picked up yet goes before it.
func (b *broker) committed(where place) (int64, bool) {
	if offset, ok := b.resets[where]; ok {
		return offset, true
	}
	offset, ok := b.offsets[where]
	return offset, ok
}

// queryOffset answers with the committed offset (ConsumerManageProcessor.queryConsumerOffset). A group that has none
// begins at 0 in a queue that still has its first message, unless the request asks not to be told so.
func (b *broker) queryOffset(c *call) *frame.Frame {
	where, err := placeOf(c.req)
	if err != nil {
		return malformed(err)
	}
	if offset, ok := b.committed(where); ok && offset >= 0 {
		return protocol.AnswerNumber("offset", offset)
	}
	if zero, ok := c.req.Fields.Get("setZeroIfNotFound"); ok && zero == "false" {
		return refuse(protocol.CodeQueryNotFound, "Not found, do not set to zero, maybe this group boot first")
	}
	if q := b.store.peek(where.topic, where.queue); q.min <= 0 && q.at(0) != nil {
		return protocol.AnswerNumber("offset", 0)
	}
	return refuse(protocol.CodeQueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
}

// updateOffset commits. Any number is taken; only after a reset that no pull has picked up, nothing is.
func (b *broker) updateOffset(c *call) *frame.Frame {
	where, err := placeOf(c.req)
	if err != nil {
		return malformed(err)
	}
	offset, err := c.req.Fields.Int64("commitOffset")
	if err != nil {
		return malformed(err)
	}
	if _, ok := b.groups[where.group]; !ok {
		return refuse(protocol.CodeGroupNotExist, "Group "+where.group+" not exist!")
	}
	if b.store.topics[where.topic] == nil {
		return refuse(protocol.CodeTopicNotExist, "Topic "+where.topic+" not exist!")
	}
	if _, reset := b.resets[where]; reset {
		return &frame.Frame{Remark: "Offset has been previously reset"}
	}
	b.offsets[where] = offset
	b.cluster.state.change()
	return &frame.Frame{}
}

func (b *broker) queueOf(req *frame.Frame) (*queue, error) {
	where, err := placeOf(req)
	if err != nil {
		return nil, err
	}
	return b.store.peek(where.topic, where.queue), nil
}

func (b *broker) maxOffset(c *call) *frame.Frame {
	q, err := b.queueOf(c.req)
	if err != nil {
		return malformed(err)
	}
	return protocol.AnswerNumber("offset", q.max())
}

func (b *broker) minOffset(c *call) *frame.Frame {
	q, err := b.queueOf(c.req)
	if err != nil {
		return malformed(err)
	}
	return protocol.AnswerNumber("offset", q.min)
}

func (b *broker) searchOffset(c *call) *frame.Frame {
	q, err := b.queueOf(c.req)
	if err != nil {
		return malformed(err)
	}
	millis, err := c.req.Fields.Int64("timestamp")
	if err != nil {
		return malformed(err)
	}
	return protocol.AnswerNumber("offset", q.firstSince(millis))
}

func (b *broker) earliestTime(c *call) *frame.Frame {
	q, err := b.queueOf(c.req)
	if err != nil {
		return malformed(err)
	}
	if len(q.records) == 0 {
		return protocol.AnswerNumber("timestamp", -1)
	}
	return protocol.AnswerNumber("timestamp", q.records[0].msg.StoreMillis)
}

// forgetPlaces drops the groups' offsets of the places that which picks.
func (b *broker) forgetPlaces(which func(place) bool) {
	for _, offsets := range []map[place]int64{b.offsets, b.pulled, b.resets} {
		maps.DeleteFunc(offsets, func(p place, _ int64) bool { return which(p) })
	}
}
