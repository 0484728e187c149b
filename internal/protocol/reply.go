package protocol

import (
	"fmt"
	"net/netip"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// MessageTypeReply is what the property MSG_TYPE says of a message that answers another (MixAll.REPLY_MESSAGE_FLAG).
const MessageTypeReply = "reply"

// ReplyTopic names the topic that replies to messages of a cluster are sent to (MixAll.getReplyTopic). Every broker has
// it; the cluster's name is the property CLUSTER of the message that is answered.
func ReplyTopic(cluster string) string { return cluster + "_REPLY_TOPIC" }

// PushReply is request 326 (PUSH_REPLY_MESSAGE_TO_CLIENT), by which a broker hands a reply to the client that waits for it.
type PushReply struct {
	ProducerGroup string // of whoever replied
	Message       Message
}

// ParsePushReply reads the request, as a client does. The body stays compressed until Inflate.
func ParsePushReply(f *frame.Frame) (PushReply, error) {
	r := reader{fields: f.Fields}
	p := PushReply{ProducerGroup: r.text("producerGroup"), Message: Message{
		Topic:          r.text("topic"),
		QueueID:        r.int32("queueId"),
		SysFlag:        r.int32("sysFlag"),
		BornMillis:     r.int64("bornTimestamp"),
		Flag:           r.int32("flag"),
		Properties:     Properties(r.text("properties")),
		ReconsumeTimes: int32(r.int64Or("reconsumeTimes", 0)),
		StoreMillis:    r.int64("storeTimestamp"),
		Body:           f.Body,
	}}
	if r.err != nil {
		return PushReply{}, badAnswer(ReqPushReply, r.err)
	}
	p.Message.BornHost = r.host("bornHost")
	p.Message.StoreHost = r.host("storeHost")
	if _, ok := p.Message.Properties.Get(PropertyCorrelationID); !ok {
		return PushReply{}, badAnswer(ReqPushReply, fmt.Errorf("%w: no property %s", ErrMalformed, PropertyCorrelationID))
	}
	return p, nil
}

// host reads an address; what is none is the zero AddrPort.
func (r *reader) host(key string) netip.AddrPort {
	host, _ := netip.ParseAddrPort(r.text(key))
	return host
}

// Request gives the request, as a broker sends it.
func (p PushReply) Request() *frame.Frame {
	m := &p.Message
	h := newHeader(14)
	h.text("producerGroup", p.ProducerGroup)
	h.text("topic", m.Topic)
	h.text("defaultTopic", AutoCreateTopic)
	h.number("defaultTopicQueueNums", 4)
	h.number("queueId", int64(m.QueueID))
	h.number("sysFlag", int64(m.SysFlag))
	h.number("bornTimestamp", m.BornMillis)
	h.number("flag", int64(m.Flag))
	h.text("properties", string(m.Properties))
	h.number("reconsumeTimes", int64(m.ReconsumeTimes))
	h.flag("unitMode", false)
	h.text("bornHost", m.BornHost.String())
	h.text("storeHost", m.StoreHost.String())
	h.number("storeTimestamp", m.StoreMillis)
	return h.frame(ReqPushReply, m.Body)
}
