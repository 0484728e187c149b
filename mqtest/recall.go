package mqtest

import (
	"strconv"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// recallHandle is what a timed message that waits can be recalled by; empty for others
// (SendMessageProcessor.attachRecallHandle).
func (b *broker) recallHandle(r *record) string {
	text, _ := r.msg.Properties.Get(protocol.PropertyTimerOutMillis)
	due, err := strconv.ParseInt(text, 10, 64)
	topic, _ := r.msg.Properties.Get(protocol.PropertyRealTopic)
	if err != nil || topic == "" || strings.HasPrefix(topic, retryPrefix) {
		return ""
	}
	return protocol.RecallHandle{Topic: topic, Broker: b.name, Due: due + 1, ID: r.msg.ID()}.String()
}

// recall takes a timed message off those that wait (RecallMessageProcessor). Whether there was one isn't told. It is
// allowed here, as if recallMessageEnable were set.
func (b *broker) recall(c *call) *frame.Frame {
	topic, _ := c.req.Fields.Get("topic")
	if b.store.topics[topic] == nil {
		return inRegion(refuse(protocol.CodeTopicNotExist, "recall failed, the topic["+topic+"] not exist"))
	}
	text, _ := c.req.Fields.Get("recallHandle")
	handle, err := protocol.ParseRecallHandle(text)
	why := ""
	switch left := handle.Due - b.millis(); {
	case err != nil:
		why = "recall handle is invalid"
	case handle.Topic != topic:
		why = "recall failed, topic not match"
	case handle.Broker != b.name:
		why = "recall failed, broker service not available"
	case left <= 0, left >= timerMost.Milliseconds():
		why = "recall failed, timestamp invalid"
	}
	if why != "" {
		return inRegion(refuse(protocol.CodeIllegalOperation, why))
	}
	for r := range b.waiting {
		meant, _ := r.msg.Properties.Get(protocol.PropertyRealTopic)
		if r.msg.Topic == topicTimer && meant == topic && r.msg.ID() == handle.ID {
			delete(b.waiting, r)
		}
	}
	b.cluster.state.change()
	return inRegion(&frame.Frame{Remark: "not set any response code", Fields: frame.Fields{{Key: "msgId", Value: handle.ID}}})
}

// inRegion adds what answers to a recall carry.
func inRegion(f *frame.Frame) *frame.Frame {
	f.Fields = append(f.Fields, frame.Field{Key: protocol.PropertyRegion, Value: defaultRegion})
	return f
}
