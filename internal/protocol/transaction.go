package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// EndTransaction is request 37 (END_TRANSACTION): the outcome of a prepared message. Java's client sends it one-way, yet
// a broker answers it (EndTransactionProcessor), but for one without an outcome. The answer is judged by [Check].
type EndTransaction struct {
	ProducerGroup   string
	Topic           string
	PreparedOffset  int64 // SendResult.QueueOffset, or CheckTransaction.PreparedOffset
	CommitLogOffset int64 // out of SendResult.OffsetID, or CheckTransaction.CommitLogOffset
	Outcome         int32 // SysCommitted or SysRolledBack; 0 says that it isn't known yet
	FromCheck       bool  // in reply to a CheckTransaction
	MessageID       string
	TransactionID   string
	BrokerName      string
}

// Frame gives the request in the fields of EndTransactionRequestHeader.
func (r EndTransaction) Frame() *frame.Frame {
	h := newHeader(9)
	h.textIfSet("topic", r.Topic)
	h.text("producerGroup", r.ProducerGroup)
	h.number("tranStateTableOffset", r.PreparedOffset)
	h.number("commitLogOffset", r.CommitLogOffset)
	h.number("commitOrRollback", int64(r.Outcome))
	h.flag("fromTransactionCheck", r.FromCheck)
	h.text("msgId", r.MessageID)
	h.textIfSet("transactionId", r.TransactionID)
	h.textIfSet("bname", r.BrokerName)
	return h.frame(ReqEndTransaction, nil)
}

// CheckTransaction is request 39 (CHECK_TRANSACTION_STATE), by which a broker asks a producer for the outcome of a
// prepared message. It is one-way: the reply is an [EndTransaction].
type CheckTransaction struct {
	PreparedOffset  int64
	CommitLogOffset int64
	MessageID       string // the producer's own
	TransactionID   string
	OffsetID        string
	BrokerName      string
	Message         Message // the producer group is its property PGROUP
}

// ParseCheckTransaction reads the request.
func ParseCheckTransaction(f *frame.Frame) (CheckTransaction, error) {
	r := reader{fields: f.Fields}
	c := CheckTransaction{
		PreparedOffset:  r.int64("tranStateTableOffset"),
		CommitLogOffset: r.int64("commitLogOffset"),
		MessageID:       r.text("msgId"),
		TransactionID:   r.text("transactionId"),
		OffsetID:        r.text("offsetMsgId"),
		BrokerName:      r.text("bname"),
	}
	if r.err != nil {
		return CheckTransaction{}, badAnswer(ReqCheckTransaction, r.err)
	}
	var err error
	if c.Message, err = decodeSingle(f.Body, r.text("topic")); err != nil {
		return CheckTransaction{}, badAnswer(ReqCheckTransaction, err)
	}
	return c, nil
}
