package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// SendBack is request 36 (CONSUMER_SEND_MSG_BACK): the broker writes a message it holds to the group's retry topic,
// or to its dead-letter topic when the message was retried often enough. The answer is judged by [Check] alone.
type SendBack struct {
	Group             string
	Offset            int64 // Message.CommitLogOffset
	DelayLevel        int32 // 1 to 18; 0 lets the broker back off by itself; below 0 dead-letters at once
	OriginID          string
	OriginTopic       string
	MaxReconsumeTimes int32 // retries before the dead-letter topic; 0 leaves it to the group's setting
	BrokerName        string
}

// Frame gives the request in the fields of ConsumerSendMsgBackRequestHeader.
func (r SendBack) Frame() *frame.Frame {
	h := newHeader(8)
	h.number("offset", r.Offset)
	h.text("group", r.Group)
	h.number("delayLevel", int64(r.DelayLevel))
	h.textIfSet("originMsgId", r.OriginID)
	h.textIfSet("originTopic", r.OriginTopic)
	h.flag("unitMode", false)
	if r.MaxReconsumeTimes > 0 { // a written 0 would dead-letter at once
		h.number("maxReconsumeTimes", int64(r.MaxReconsumeTimes))
	}
	h.textIfSet("bname", r.BrokerName)
	return h.frame(ReqSendBack, nil)
}
