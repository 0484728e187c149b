package producer

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// appendProperties appends what the broker stores beside the body.
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
	for name, value := range m.Properties {
		dst = protocol.AppendProperty(dst, name, value)
	}
	return dst
}

// encodeBatch checks and encodes the messages of a batch, and gives each its id. The ids are the messages' alone: brokers
// of 4.x append the properties of the batch to those of each message, so that an id there would cover theirs.
func (p *Producer) encodeBatch(messages []Message) (body []byte, ids []string, err error) {
	first := &messages[0]
	ids = make([]string, len(messages))
	now := time.Now()
	var properties []byte
	for i := range messages {
		m := &messages[i]
		if err := m.checkInBatch(first, p.cfg.MaxMessageSize); err != nil {
			return nil, nil, fmt.Errorf("message %d: %w", i, err)
		}
		ids[i] = p.ids.Next(now)
		properties = appendProperties(properties[:0], m, ids[i])
		if err := checkPropertiesSize(len(properties)); err != nil {
			return nil, nil, fmt.Errorf("message %d: %w", i, err)
		}
		body = protocol.AppendBatchMessage(body, 0, m.Body, properties)
		if len(body) > p.cfg.MaxMessageSize {
			return nil, nil, fmt.Errorf("the batch of %d is over MaxMessageSize with message %d: %d bytes of %d: send it in parts",
				len(messages), i, len(body), p.cfg.MaxMessageSize)
		}
	}
	return body, ids, nil
}
