package mqtest

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// sendBack writes a message to the group's retry topic, to be delivered after a while, or to its dead letters when the
// group has had it often enough (AbstractSendMessageProcessor.consumerSendMsgBack).
func (b *broker) sendBack(c *call) *frame.Frame {
	back, limited, err := protocol.ParseSendBack(c.req)
	if err != nil {
		return malformed(err)
	}
	config, ok := b.findGroup(back.Group)
	if !ok {
		return refuse(protocol.CodeGroupNotExist, "subscription group not exist, "+back.Group)
	}
	if config.RetryQueues <= 0 { // taken, and dropped
		return &frame.Frame{}
	}
	topic, queue := retryPrefix+back.Group, rand.Int32N(config.RetryQueues)
	if t := b.topicOfGroup(topic, config.RetryQueues); t.config.Perm&protocol.PermWrite == 0 {
		return refuse(protocol.CodeNoPermission, "the topic["+topic+"] sending message is forbidden")
	}
	r := b.store.log[back.Offset]
	if r == nil {
		return refuse(protocol.CodeSystemError, fmt.Sprintf("look message by offset failed, %d", back.Offset))
	}

	m := r.msg
	props := readProperties(m.Properties)
	if props.get(protocol.PropertyRetryTopic) == "" {
		props.set(protocol.PropertyRetryTopic, m.Topic)
	}
	props.set(protocol.PropertyWait, "false")
	most := config.RetryMaxTimes
	if limited { // a written -1 too: each message has been retried more often than that
		most = back.MaxReconsumeTimes
	}
	level := back.DelayLevel
	switch {
	case (m.ReconsumeTimes >= most || level < 0) && back.OriginTopic == "":
		// A real broker counts dead letters by that topic, and trips when it isn't there.
		return refuse(protocol.CodeSystemError, `java.lang.NullPointerException: Cannot invoke "String.startsWith(String)" because "topic" is null`)
	case m.ReconsumeTimes >= most || level < 0:
		topic, queue, level = deadLetterPrefix+back.Group, 0, 0
		b.topicOfGroup(topic, 1)
	case level == 0:
		level = 3 + m.ReconsumeTimes
	}
	props.set(protocol.PropertyDelayLevel, strconv.Itoa(int(level)))
	if props.get(protocol.PropertyOriginMessageID) == "" {
		props.set(protocol.PropertyOriginMessageID, m.OffsetID())
	}
	m.Topic, m.QueueID = topic, queue
	m.ReconsumeTimes++
	m.PreparedOffset = 0
	m.StoreHost = b.server.address
	if _, refusal := b.put(m, props); refusal != nil {
		return refuse(protocol.CodeSystemError, "MESSAGE_ILLEGAL")
	}
	return &frame.Frame{}
}
