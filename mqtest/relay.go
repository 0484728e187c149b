package mqtest

import (
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// relayLimit is how long a broker waits for a member's answer (Broker2Client.callClient).
const relayLimit = 10 * time.Second

// relay passes a tool's question on to the member it is about, and the member's answer back
// (AdminBrokerProcessor.callConsumer).
func (b *broker) relay(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("consumerGroup")
	clientID, _ := c.req.Fields.Get("clientId")
	k := b.connOf(name, clientID)
	if k == nil {
		return refuse(protocol.CodeSystemError, fmt.Sprintf("The Consumer <%s> <%s> not online", name, clientID))
	}
	k.ask(&frame.Frame{Code: c.req.Code, Fields: c.req.Fields, Body: c.req.Body}, relayLimit, func(f *frame.Frame) {
		switch {
		case f != nil:
			c.answer(&frame.Frame{Code: f.Code, Remark: f.Remark, Fields: f.Fields, Body: f.Body})
		case isClosed(k.done):
			c.answer(refuse(protocol.CodeSystemError, fmt.Sprintf("invoke consumer <%s> <%s> Exception: channel closed", name, clientID)))
		default:
			c.answer(refuse(protocol.CodeConsumeTimeout, fmt.Sprintf("consumer <%s> <%s> Timeout", name, clientID)))
		}
	})
	return nil
}

func (b *broker) connOf(name, clientID string) *conn {
	if g := b.members[name]; g != nil {
		for _, m := range g.members {
			if m.clientID == clientID {
				return m.conn
			}
		}
	}
	return nil
}

// consumeDirectly is relay with the message that the member is to consume.
func (b *broker) consumeDirectly(c *call) *frame.Frame {
	id, _ := c.req.Fields.Get("msgId")
	_, offset, err := protocol.ParseOffsetID(id)
	if err != nil {
		return malformed(err)
	}
	r := b.store.log[offset]
	if r == nil {
		return refuse(protocol.CodeSystemError, fmt.Sprintf("can not find message by the offset, %d", offset))
	}
	fields := make(frame.Fields, 0, len(c.req.Fields)+1)
	for _, f := range c.req.Fields {
		if f.Key != "brokerName" {
			fields = append(fields, f)
		}
	}
	c.req.Fields = append(fields, frame.Field{Key: "brokerName", Value: b.name})
	c.req.Body = r.data
	return b.relay(c)
}

// resetOffset moves a group to other offsets (AdminBrokerProcessor.resetOffsetInner). Members aren't told: each queue's
// next pull is answered with the new offset.
func (b *broker) resetOffset(c *call) *frame.Frame {
	req, err := protocol.ParseResetRequest(c.req)
	if err != nil {
		return malformed(err)
	}
	t := b.store.topics[req.Topic]
	if t == nil {
		return refuse(protocol.CodeTopicNotExist, "Topic "+req.Topic+" does not exist")
	}
	if _, ok := b.groups[req.Group]; !ok {
		return refuse(protocol.CodeGroupNotExist, "Group "+req.Group+" does not exist")
	}
	moved := map[protocol.Queue]int64{}
	switch {
	case !req.OneQueue:
		for id := range t.config.ReadQueues {
			moved[protocol.Queue{Topic: req.Topic, Broker: b.name, ID: id}] = resetTo(b.store.peek(req.Topic, id), req.Time)
		}
	case req.Offset >= 0:
		q := b.store.peek(req.Topic, req.QueueID)
		if req.Offset < q.min || req.Offset > q.max()+1 {
			return refuse(protocol.CodeSystemError, fmt.Sprintf("Target offset %d not in consume queue range [%d-%d]", req.Offset, q.min, q.max()))
		}
		moved[protocol.Queue{Topic: req.Topic, Broker: b.name, ID: req.QueueID}] = req.Offset
	default:
		q := b.store.peek(req.Topic, req.QueueID)
		moved[protocol.Queue{Topic: req.Topic, Broker: b.name, ID: req.QueueID}] = resetTo(q, req.Time)
	}
	if len(moved) == 0 {
		return refuse(protocol.CodeSystemError, "No queues to reset.")
	}
	for q, offset := range moved {
		where := place{req.Group, req.Topic, q.ID}
		b.resets[where], b.offsets[where] = offset, offset
	}
	b.cluster.state.change()
	return protocol.AnswerOffsets(moved)
}

func resetTo(q *queue, millis int64) int64 {
	if millis < 0 {
		return q.max()
	}
	return q.firstSince(millis)
}
