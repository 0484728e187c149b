package protocol

import (
	"errors"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// ConsumeDirectly is request 309 (CONSUME_MESSAGE_DIRECTLY): a tool asks a broker to have one member run its handler on
// one message, which the broker adds to the request. Answered by [ParseConsumeResult].
type ConsumeDirectly struct {
	Group      string
	ClientID   string
	MessageID  string // the broker's OffsetID
	BrokerName string
	Topic      string  // not in 4.9
	Message    Message // at the member only
}

// Frame gives the request, without the message, in the fields of ConsumeMessageDirectlyResultRequestHeader.
func (r ConsumeDirectly) Frame() *frame.Frame {
	h := newHeader(5)
	h.text("consumerGroup", r.Group)
	h.textIfSet("clientId", r.ClientID)
	h.textIfSet("msgId", r.MessageID)
	h.textIfSet("brokerName", r.BrokerName)
	h.textIfSet("topic", r.Topic)
	return h.frame(ReqConsumeDirectly, nil)
}

// ParseConsumeDirectly reads the request, as a member does.
func ParseConsumeDirectly(f *frame.Frame) (ConsumeDirectly, error) {
	r := reader{fields: f.Fields}
	q := ConsumeDirectly{
		Group:      r.text("consumerGroup"),
		ClientID:   r.text("clientId"),
		MessageID:  r.text("msgId"),
		BrokerName: r.text("brokerName"),
		Topic:      r.text("topic"),
	}
	if q.Group == "" {
		return ConsumeDirectly{}, badAnswer(ReqConsumeDirectly, errNoGroup)
	}
	var err error
	if q.Message, err = decodeSingle(f.Body, q.Topic); err != nil {
		return ConsumeDirectly{}, badAnswer(ReqConsumeDirectly, err)
	}
	return q, nil
}

// decodeSingle reads a body that holds one message. Of a batch stored as one it gives the first.
func decodeSingle(body []byte, topic string) (Message, error) {
	msgs, err := DecodeMessages(body, topic)
	if err != nil {
		return Message{}, err
	}
	if len(msgs) == 0 {
		return Message{}, errors.New("no message")
	}
	return msgs[0], nil
}

// Outcomes of ConsumeDirectly, RocketMQ's enum CMResult.
const (
	ResultSuccess  = "CR_SUCCESS"
	ResultLater    = "CR_LATER"
	ResultRollback = "CR_ROLLBACK"
	ResultCommit   = "CR_COMMIT"
	ResultThrew    = "CR_THROW_EXCEPTION"
	ResultNull     = "CR_RETURN_NULL"
)

// ConsumeResult is what a handler made of the message.
type ConsumeResult struct {
	Order       bool   `json:"order"`
	AutoCommit  bool   `json:"autoCommit"`
	Result      string `json:"consumeResult"` // a Result
	Remark      string `json:"remark,omitempty"`
	SpentMillis int64  `json:"spentTimeMills"`
}

// Answer gives the answer to a [ConsumeDirectly].
func (c ConsumeResult) Answer() *frame.Frame { return &frame.Frame{Body: encodeBody(c)} }

// ParseConsumeResult reads the answer to a [ConsumeDirectly].
func ParseConsumeResult(f *frame.Frame) (ConsumeResult, error) {
	var c ConsumeResult
	err := decodeAnswer(ReqConsumeDirectly, f, &c)
	return c, err
}
