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

// appendProperties appends what the message says.
func appendProperties(dst []byte, m *Message, id string) []byte {
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

// encodeProperties appends what the broker stores beside the body: what the message says, what the way of sending needs,
// and what the hooks want sent along, unless that is too much: it mustn't make a send fail.
func encodeProperties(dst []byte, m *Message, id string, needed, added []hook.Property) ([]byte, error) {
	begin := len(dst)
	dst = appendHooked(appendProperties(dst, m, id), needed)
	if err := checkPropertiesSize(len(dst) - begin); err != nil {
		return dst, err
	}
	if all := appendHooked(dst, added); len(all)-begin <= maxProperties {
		return all, nil
	}
	return dst, nil
}

func appendHooked(dst []byte, properties []hook.Property) []byte {
	for _, p := range properties {
		dst = protocol.AppendProperty(dst, p.Name, p.Value)
	}
	return dst
}

// request completes the request of a message that has been checked. Its properties lie in scratch, and so does its body once
// it is compressed.
func (p *Producer) request(scratch *[]byte, m *Message, id string, w *watched, r send.Request, needed []hook.Property) (send.Request, error) {
	var err error
	if *scratch, err = encodeProperties((*scratch)[:0], m, id, needed, w.added(0)); err != nil {
		return r, err
	}
	r.Group, r.Properties, r.Body, r.ID = p.group, *scratch, m.Body, id
	r.ShardingKey, r.Queue, r.Timed, r.Flag = m.ShardingKey, m.queue(), m.timed(), m.flag
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

// delayField names the field by which the message is delayed; empty when it isn't.
func (m *Message) delayField() string {
	switch {
	case m.DelayLevel != 0:
		return "DelayLevel"
	case m.Delay != 0:
		return "Delay"
	case !m.DeliverAt.IsZero():
		return "DeliverAt"
	}
	return ""
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

// idsOf gives each message its id.
func (p *Producer) idsOf(messages []Message) []string {
	ids := make([]string, len(messages))
	for i := range messages {
		ids[i] = p.idOf(&messages[i])
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

// encodeBatch encodes the messages of a batch, without what the hooks want sent along where that would be too much. The ids
// are the messages' alone: brokers of 4.x append the properties of the batch to those of each message, so that an id there
// would cover theirs.
func (p *Producer) encodeBatch(messages []Message, ids []string, w *watched) (body []byte, err error) {
	var properties []byte
	for i := range messages {
		m := &messages[i]
		if properties, err = encodeProperties(properties[:0], m, ids[i], nil, w.added(i)); err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		body = protocol.AppendBatchMessage(body, m.flag, m.Body, properties)
		if len(body) > p.cfg.MaxMessageSize {
			if w != nil {
				return p.encodeBatch(messages, ids, nil)
			}
			return nil, fmt.Errorf("the batch of %d is over MaxMessageSize with message %d: %d bytes of %d: send it in parts",
				len(messages), i, len(body), p.cfg.MaxMessageSize)
		}
	}
	return body, nil
}
