package producer

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

const (
	maxDelayLevel = 18
	// maxProperties leaves 512 bytes for what a broker adds: the cluster's name, and the real topic of a delayed message.
	maxProperties = protocol.MaxProperties - 512
)

// check tells what is wrong with a message, other than its topic.
func (m *Message) check(maxSize int) error {
	switch size := len(m.Body); {
	case size == 0:
		return errors.New("Body: empty, and RocketMQ takes no message without a body: send at least one byte")
	case size > maxSize:
		return fmt.Errorf("Body: %d bytes, over MaxMessageSize of %d: send less, or raise it and the brokers' maxMessageSize", size, maxSize)
	}
	if err := m.checkDelay(); err != nil {
		return err
	}
	if err := m.checkQueue(); err != nil {
		return fmt.Errorf("Queue: %w", err)
	}
	if err := checkText(m.ShardingKey); err != nil {
		return fmt.Errorf("ShardingKey: %w", err)
	}
	if err := checkTag(m.Tag); err != nil {
		return fmt.Errorf("Tag: %w", err)
	}
	for i, key := range m.Keys {
		if err := checkKey(key); err != nil {
			return fmt.Errorf("Keys[%d]: %w", i, err)
		}
	}
	for name, value := range m.Properties {
		if err := checkProperty(name, value); err != nil {
			return fmt.Errorf("Properties: %w", err)
		}
	}
	if err := checkText(m.id); err != nil {
		return fmt.Errorf("id: %w", err)
	}
	for _, c := range m.carried {
		if err := checkText(c.Name + c.Value); err != nil {
			return fmt.Errorf("property %s: %w", shorten(c.Name), err)
		}
	}
	return nil
}

func (m *Message) checkDelay() error {
	switch {
	case m.DelayLevel < 0 || m.DelayLevel > maxDelayLevel:
		return fmt.Errorf("DelayLevel: %d is none of 0 (no delay) and 1 to %d", m.DelayLevel, maxDelayLevel)
	case m.Delay < 0:
		return fmt.Errorf("Delay: %v is negative; 0 delivers at once", m.Delay)
	case m.DelayLevel != 0 && m.timed():
		return errors.New("DelayLevel: is set beside Delay or DeliverAt: choose one")
	case m.Delay != 0 && !m.DeliverAt.IsZero():
		return errors.New("Delay: is set beside DeliverAt: choose one")
	case !m.DeliverAt.IsZero() && (m.DeliverAt.Unix() >= math.MaxInt64/1000 || m.DeliverAt.Unix() <= math.MinInt64/1000):
		return fmt.Errorf("DeliverAt: the year %d is beyond what can be told in ms", m.DeliverAt.Year())
	}
	return nil
}

func (m *Message) checkQueue() error {
	switch q := m.Queue; {
	case q == (rocketkit.Queue{}):
	case q.Topic != "" && q.Topic != m.Topic:
		return fmt.Errorf("is of topic %s, the message of %s", shorten(q.Topic), shorten(m.Topic))
	case q.Broker == "":
		return fmt.Errorf("number %d, but without a broker: take one that Queues gives", q.ID)
	case q.ID < 0 || q.ID > math.MaxInt32:
		return fmt.Errorf("%d is no queue's number", q.ID)
	}
	return nil
}

// checkInBatch tells what is wrong with a message of a batch that begins with first.
func (m *Message) checkInBatch(first *Message, maxSize int) error {
	switch {
	case m.Topic != first.Topic:
		return fmt.Errorf("Topic: %s, but the batch is for %s: a batch has one topic", shorten(m.Topic), first.Topic)
	case m.ShardingKey != first.ShardingKey:
		return fmt.Errorf("ShardingKey: %s, but message 0 has %s: a batch goes to one queue", shorten(m.ShardingKey), shorten(first.ShardingKey))
	case m.Queue != first.Queue:
		return fmt.Errorf("Queue: %v, but message 0 has %v: a batch goes to one queue", m.Queue, first.Queue)
	case m.delayField() != "":
		return fmt.Errorf("%s: brokers don't delay batches: use Send", m.delayField())
	}
	return m.check(maxSize)
}

// checkText refuses what can't be stored in a property.
func checkText(text string) error {
	switch {
	case strings.ContainsAny(text, "\x01\x02"):
		return fmt.Errorf("%s has a byte 1 or 2, with which RocketMQ separates properties", shorten(text))
	case !utf8.ValidString(text):
		return fmt.Errorf("%s isn't UTF-8, and would reach the broker changed", shorten(text))
	}
	return nil
}

func checkTag(tag string) error {
	switch {
	case strings.Contains(tag, "||"):
		return fmt.Errorf(`%s contains "||", which separates tags in a subscription: a message has one tag`, shorten(tag))
	case strings.TrimSpace(tag) != tag:
		return fmt.Errorf("%s begins or ends with a space, so that no subscription would match it", shorten(tag))
	}
	return checkText(tag)
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("empty: leave it out")
	case strings.ContainsFunc(key, unicode.IsSpace):
		return fmt.Errorf("%s contains a space, with which RocketMQ separates keys", shorten(key))
	}
	return checkText(key)
}

func checkProperty(name, value string) error {
	if field, ok := reserved(name); ok {
		if field != "" {
			return fmt.Errorf("%q is RocketMQ's own: set Message.%s", name, field)
		}
		return fmt.Errorf("%s is RocketMQ's own: choose another name", shorten(name))
	}
	switch {
	case name == "":
		return errors.New("there is one without a name")
	case value == "":
		return fmt.Errorf("%s is empty, and RocketMQ's clients wouldn't see it: leave it out", shorten(name))
	}
	if err := checkText(name); err != nil {
		return err
	}
	if err := checkText(value); err != nil {
		return fmt.Errorf("%s: %w", shorten(name), err)
	}
	return nil
}

func checkPropertiesSize(size int) error {
	if size > maxProperties {
		return fmt.Errorf("Properties: %d bytes with Keys, Tag and ShardingKey, over RocketMQ's limit of %d: put more into the Body", size, maxProperties)
	}
	return nil
}

// shorten shows text that may be anything, so also megabytes, in an error.
func shorten(text string) string {
	const most = 80
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q… (%d bytes)", text[:most], len(text))
}
