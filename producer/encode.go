package producer

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// appendProperties appends what the broker stores beside the body.
func appendProperties(dst []byte, m *Message, id string, added []hook.Property) []byte {
	dst = protocol.AppendProperty(dst, protocol.PropertyUniqueKey, id)
	if m.Tag != "" {
		dst = protocol.AppendProperty(dst, protocol.PropertyTags, m.Tag)
	}
	if len(m.Keys) > 0 {
		dst = protocol.AppendProperty(dst, protocol.PropertyKeys, strings.Join(m.Keys, " "))
	}
	if m.ShardingKey != "" {
		dst = protocol.AppendProperty(dst, protocol.PropertyShardingKey, m.ShardingKey)
	}
	if m.DelayLevel != 0 {
		dst = protocol.AppendProperty(dst, protocol.PropertyDelayLevel, strconv.Itoa(m.DelayLevel))
	}
	switch {
	case m.Delay > 0:
		dst = protocol.AppendProperty(dst, protocol.PropertyTimerDelayMillis, strconv.FormatInt(upMillis(m.Delay), 10))
	case !m.DeliverAt.IsZero():
		dst = protocol.AppendProperty(dst, protocol.PropertyTimerDeliverMillis, strconv.FormatInt(m.DeliverAt.UnixMilli(), 10))
	}
	for name, value := range m.Properties {
		dst = protocol.AppendProperty(dst, name, value)
	}
	for _, c := range m.carried {
		dst = protocol.AppendProperty(dst, c.Name, c.Value)
	}
	for _, a := range added {
		dst = protocol.AppendProperty(dst, a.Name, a.Value)
	}
	return dst
}

// upMillis is a delay in whole ms, no shorter than it was.
func upMillis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if time.Duration(ms)*time.Millisecond < d {
		ms++
	}
	return ms
}

// request makes the request of a message that has been checked. Its properties lie in scratch, and so does its body once
// it is compressed.
func (p *Producer) request(scratch *[]byte, m *Message, id string, added []hook.Property) (send.Request, error) {
	*scratch = appendProperties((*scratch)[:0], m, id, added)
	if err := checkPropertiesSize(len(*scratch)); err != nil {
		return send.Request{}, err
	}
	r := send.Request{
		Group: p.group, Properties: *scratch, Body: m.Body, ID: id,
		ShardingKey: m.ShardingKey, Queue: m.queue(), Timed: m.timed(),
	}
	p.compress(&r, scratch)
	return r, nil
}

// queue is the one that the message is bound to; nil when there is none.
func (m *Message) queue() *protocol.Queue {
	if m.Queue == (rocketkit.Queue{}) {
		return nil
	}
	return &protocol.Queue{Broker: m.Queue.Broker, ID: int32(m.Queue.ID)}
}

// timed tells whether the message needs a broker with timers.
func (m *Message) timed() bool { return m.Delay > 0 || !m.DeliverAt.IsZero() }

// idOf gives the message its id.
func (p *Producer) idOf(m *Message) string {
	if m.id != "" {
		return m.id
	}
	return p.ids.Next(time.Now())
}

// newIDs makes ids for n messages.
func (p *Producer) newIDs(n int) []string {
	now := time.Now()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = p.ids.Next(now)
	}
	return ids
}

// checkBatch checks the messages of a batch.
func (p *Producer) checkBatch(messages []Message) error {
	for i := range messages {
		if err := messages[i].checkInBatch(&messages[0], p.cfg.MaxMessageSize); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// encodeBatch encodes the messages of a batch. The ids are the messages' alone: brokers of 4.x append the properties of
// the batch to those of each message, so that an id there would cover theirs.
func (p *Producer) encodeBatch(messages []Message, ids []string, w *watched) (body []byte, err error) {
	var properties []byte
	for i := range messages {
		m := &messages[i]
		properties = appendProperties(properties[:0], m, ids[i], w.added(i))
		if err := checkPropertiesSize(len(properties)); err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		body = protocol.AppendBatchMessage(body, 0, m.Body, properties)
		if len(body) > p.cfg.MaxMessageSize {
			return nil, fmt.Errorf("the batch of %d is over MaxMessageSize with message %d: %d bytes of %d: send it in parts",
				len(messages), i, len(body), p.cfg.MaxMessageSize)
		}
	}
	return body, nil
}
