package rocketkit

import (
	"iter"
	"net/netip"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// clientGoShardingKey is where rocketmq-client-go keeps the sharding key that Java keeps in __SHARDINGKEY.
const clientGoShardingKey = "SHARDING_KEY"

// Message is a message as a consumer receives it. It is read-only and safe to read from several goroutines. Its body and
// properties lie in the block that the broker sent with up to 31 other messages: keep a Message, or copy what you keep
// of it, knowing that it holds that block in memory.
type Message struct {
	raw   *protocol.Message
	topic string
	queue Queue
}

// Received makes the Message that a handler sees from what a broker stored. It is for rocketkit's own packages: its
// parameters' types are internal. topic is the logical topic that the message was sent to, queue the one it was read
// from, which for a retried message is a queue of the group's retry topic.
func Received(raw *protocol.Message, topic string, queue Queue) Message {
	return Message{raw: raw, topic: topic, queue: queue}
}

// Stored gives rocketkit's own packages what the broker stored; its type is internal.
func (m *Message) Stored() *protocol.Message { return m.raw }

// Topic returns the logical topic the message was sent to, also when it comes from the group's retry topic.
func (m *Message) Topic() string { return m.topic }

// Body returns the payload, decompressed. It must not be changed.
func (m *Message) Body() []byte { return m.raw.Body }

// Tag returns the one tag of the message; empty when it has none.
func (m *Message) Tag() string { return m.property(protocol.PropertyTags) }

// Keys returns the keys the message can be looked up by.
func (m *Message) Keys() []string { return m.raw.Keys() }

// ShardingKey returns the key whose messages keep their order; empty when it has none.
func (m *Message) ShardingKey() string {
	if key := m.property(protocol.PropertyShardingKey); key != "" {
		return key
	}
	return m.property(clientGoShardingKey)
}

// Property returns a property by name, a caller's or one of RocketMQ's (MessageConst); where that is a topic's or a
// group's name, the logical one. It reads the received block each time: look a property up once rather than in a loop.
func (m *Message) Property(name string) (string, bool) {
	value, ok := m.raw.Properties.Get(name)
	return logicalValue(name, value), ok
}

// Properties iterates over all properties, the caller's and RocketMQ's, in the order they are stored.
func (m *Message) Properties() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, value := range m.raw.Properties.All() {
			if !yield(name, logicalValue(name, value)) {
				return
			}
		}
	}
}

// logicalValue takes the tenant out of the properties in which brokers keep names.
func logicalValue(name, value string) string {
	switch name {
	case protocol.PropertyRetryTopic, protocol.PropertyRealTopic, protocol.PropertyDLQOriginTopic,
		protocol.PropertyProducerGroup, protocol.PropertyOriginGroup:
		_, value = tenant.Split(value)
	}
	return value
}

// ID returns the id that the sender gave the message (UNIQ_KEY); the same for each delivery and retry. A message sent
// without one gives OffsetID.
func (m *Message) ID() string {
	return m.raw.ID()
}

// OffsetID returns the id made of the storing broker's address and the commit-log offset (MessageDecoder.createMessageId).
// A retried message has another one for each delivery.
func (m *Message) OffsetID() string { return m.raw.OffsetID() }

// Queue returns the queue the message was read from: for a retried message one of the group's retry topic.
func (m *Message) Queue() Queue { return m.queue }

// Offset returns the message's place in its Queue.
func (m *Message) Offset() int64 { return m.raw.QueueOffset }

// Attempt returns how many times the group has been given the message, this time included: 1 at first.
func (m *Message) Attempt() int { return int(m.raw.ReconsumeTimes) + 1 }

// BornTime returns when the sender made the message, by its clock, to the millisecond.
func (m *Message) BornTime() time.Time { return m.raw.BornTime() }

// StoreTime returns when the broker stored this delivery of it, by its clock, to the millisecond.
func (m *Message) StoreTime() time.Time { return m.raw.StoreTime() }

// BornHost returns the sender's address as the broker saw it.
func (m *Message) BornHost() netip.AddrPort { return m.raw.BornHost }

func (m *Message) property(name string) string {
	value, _ := m.raw.Properties.Get(name)
	return value
}
