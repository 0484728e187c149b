package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// AutoCreateTopic is the topic whose settings a broker copies when it creates a topic on first use
// (TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC).
const AutoCreateTopic = "TBW102"

// SendMessage is request 310 (SEND_MESSAGE_V2), 320 (SEND_BATCH_MESSAGE) when Batch is set, or 325
// (SEND_REPLY_MESSAGE_V2) when Reply is.
// Answered by [ParseSendResult].
type SendMessage struct {
	ProducerGroup     string
	Topic             string
	DefaultTopic      string // whose settings a missing topic gets; empty means AutoCreateTopic
	DefaultQueues     int32  // queues of a topic created that way; 0 means 4
	QueueID           int32
	SysFlag           int32 // Sys bits
	BornTime          int64 // ms since 1970
	Flag              int32 // the application's own bits
	Properties        Properties
	ReconsumeTimes    int32
	MaxReconsumeTimes int32 // written when above 0
	BrokerName        string
	Batch             bool   // Body holds messages written by AppendBatchMessage
	Reply             bool   // it answers another message, and goes to the client in its property REPLY_TO_CLIENT
	Body              []byte // compressed already when SysFlag says so
}

// Frame gives the request in the one-letter fields of SendMessageRequestHeaderV2.
func (r SendMessage) Frame() *frame.Frame {
	if r.DefaultTopic == "" {
		r.DefaultTopic = AutoCreateTopic
	}
	if r.DefaultQueues == 0 {
		r.DefaultQueues = 4
	}
	h := newHeader(14)
	h.text("a", r.ProducerGroup)
	h.text("b", r.Topic)
	h.text("c", r.DefaultTopic)
	h.number("d", int64(r.DefaultQueues))
	h.number("e", int64(r.QueueID))
	h.number("f", int64(r.SysFlag))
	h.number("g", r.BornTime)
	h.number("h", int64(r.Flag))
	h.text("i", string(r.Properties))
	h.number("j", int64(r.ReconsumeTimes))
	h.flag("k", false) // unit mode: an Alibaba notion that no open-source broker acts on
	if r.MaxReconsumeTimes > 0 {
		h.number("l", int64(r.MaxReconsumeTimes))
	}
	h.flag("m", r.Batch)
	h.textIfSet("n", r.BrokerName)
	switch {
	case r.Batch:
		return h.frame(ReqSendBatch, r.Body)
	case r.Reply:
		return h.frame(ReqSendReplyV2, r.Body)
	}
	return h.frame(ReqSendMessageV2, r.Body)
}

// SendStatus says how safely a message was stored. All of them mean that the broker has the message.
type SendStatus int32

// The ways to be stored, RocketMQ's enum SendStatus.
const (
	SendOK                SendStatus = 0
	SendFlushDiskTimeout  SendStatus = 10 // in memory, not on disk within the broker's time-out
	SendSlaveNotAvailable SendStatus = 11 // no replica was in reach
	SendFlushSlaveTimeout SendStatus = 12 // a replica hadn't confirmed within the broker's time-out
)

// String gives RocketMQ's name of the status.
func (s SendStatus) String() string {
	if s == SendOK {
		return "SEND_OK"
	}
	return codeNames[int32(s)]
}

// SendResult is what a broker says of a message it stored.
type SendResult struct {
	Status        SendStatus
	OffsetID      string // id made of the broker's address and commit-log offset; see ParseOffsetID. A batch has one each, joined by commas
	QueueID       int32
	QueueOffset   int64 // of the first message of a batch
	TransactionID string
	BatchID       string // UNIQ_KEY of a batch that the broker stored as one message
	RecallHandle  string // of a delayed message; not in 4.9
	Region        string // MSG_REGION; empty when the broker has none
}

// ParseSendResult reads the answer to a [SendMessage]. Statuses other than SEND_OK are no errors: the message is stored.
func ParseSendResult(f *frame.Frame) (SendResult, error) {
	switch SendStatus(f.Code) {
	case SendOK, SendFlushDiskTimeout, SendSlaveNotAvailable, SendFlushSlaveTimeout:
	default:
		return SendResult{}, Check(ReqSendMessageV2, f)
	}
	r := reader{fields: f.Fields}
	res := SendResult{
		Status:        SendStatus(f.Code),
		OffsetID:      r.text("msgId"),
		QueueID:       r.int32("queueId"),
		QueueOffset:   r.int64("queueOffset"),
		TransactionID: r.text("transactionId"),
		BatchID:       r.text("batchUniqId"),
		RecallHandle:  r.text("recallHandle"),
		Region:        r.text("MSG_REGION"),
	}
	if r.err != nil {
		return SendResult{}, badAnswer(ReqSendMessageV2, r.err)
	}
	return res, nil
}
