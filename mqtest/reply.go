package mqtest

import (
	"strconv"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// sendReply hands a reply to the client that waits for it and answers the sender once that has answered; the message is
// stored in any case (ReplyMessageProcessor).
func (b *broker) sendReply(c *call) *frame.Frame {
	m, _, err := protocol.ParseSendRequest(c.req)
	if err != nil {
		return malformed(err)
	}
	if _, refusal := b.checkSend(&m); refusal != nil {
		return regional(refusal)
	}
	m.QueueID = max(m.QueueID, 0)
	props := readProperties(m.Properties)
	to := props.get(protocol.PropertyReplyTo)
	push := protocol.PushReply{ProducerGroup: m.ProducerGroup, Message: b.message(c, &m)}
	push.Message.Body, push.Message.Properties, push.Message.StoreMillis = m.Body, m.Properties, b.millis()
	stored := push.Message
	stored.SysFlag = 0 // as a real broker does, though the body may be compressed
	r := b.storeMessage(stored)
	answer := func(remark string) *frame.Frame {
		f := protocol.SendResult{OffsetID: r.msg.OffsetID(), QueueID: m.QueueID, QueueOffset: r.msg.QueueOffset, Region: defaultRegion}.Answer()
		if remark != "" {
			f.Code, f.Remark = protocol.CodeSystemError, remark
		}
		return f
	}
	if to == "" {
		return answer("reply message properties[" + protocol.PropertyReplyTo + "] is null")
	}
	k := b.clients[to]
	if k == nil {
		return answer("push reply message fail, channel of <" + to + "> not found.")
	}
	props.set("PUSH_REPLY_TIME", strconv.FormatInt(b.millis(), 10))
	push.Message.Properties = props.block()
	k.ask(push.Request(), relayLimit, func(f *frame.Frame) {
		if f == nil || f.Code != protocol.CodeSuccess {
			c.answer(answer("push reply message to " + to + "fail."))
			return
		}
		c.answer(answer(""))
	})
	return nil
}
