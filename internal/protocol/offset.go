package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// QueryOffset is request 14 (QUERY_CONSUMER_OFFSET): what a group has committed. Answered by [ParseQueryOffset].
type QueryOffset struct {
	Group, Topic string
	QueueID      int32
	ZeroIfAbsent bool // let the broker answer 0 for a queue that is young enough; 4.9 always does so
	BrokerName   string
}

// Frame gives the request in the fields of QueryConsumerOffsetRequestHeader.
func (r QueryOffset) Frame() *frame.Frame {
	h := groupQueue(r.Group, r.Topic, r.QueueID, r.BrokerName)
	h.flag("setZeroIfNotFound", r.ZeroIfAbsent)
	return h.frame(ReqQueryConsumerOffset, nil)
}

// ParseQueryOffset reads the answer to a [QueryOffset]; found is false when the group has committed nothing for the queue.
func ParseQueryOffset(f *frame.Frame) (offset int64, found bool, err error) {
	if f.Code == CodeQueryNotFound {
		return 0, false, nil
	}
	offset, err = numberAnswer(ReqQueryConsumerOffset, f, "offset")
	return offset, err == nil, err
}

// UpdateOffset is request 15 (UPDATE_CONSUMER_OFFSET): the next offset a group wants of a queue.
// Answered by [ParseUpdateOffset].
type UpdateOffset struct {
	Group, Topic string
	QueueID      int32
	Offset       int64
	BrokerName   string
}

// Frame gives the request in the fields of UpdateConsumerOffsetRequestHeader.
func (r UpdateOffset) Frame() *frame.Frame {
	h := groupQueue(r.Group, r.Topic, r.QueueID, r.BrokerName)
	h.number("commitOffset", r.Offset)
	return h.frame(ReqUpdateConsumerOffset, nil)
}

// ParseUpdateOffset reads the answer to an [UpdateOffset]. Reset means that the commit was ignored because the group's
// offset was reset on the server and no pull has picked that up yet (5.x, code 0 with a remark).
func ParseUpdateOffset(f *frame.Frame) (reset bool, err error) {
	if err := Check(ReqUpdateConsumerOffset, f); err != nil {
		return false, err
	}
	return f.Remark == "Offset has been previously reset", nil
}

// MaxOffset is request 30: one past a queue's newest message. Answered by [ParseMaxOffset].
type MaxOffset struct {
	Topic      string
	QueueID    int32
	BrokerName string
}

// Frame gives the request in the fields of GetMaxOffsetRequestHeader.
func (r MaxOffset) Frame() *frame.Frame {
	h := topicQueue(r.Topic, r.QueueID, r.BrokerName)
	return h.frame(ReqMaxOffset, nil)
}

// ParseMaxOffset reads the answer to a [MaxOffset].
func ParseMaxOffset(f *frame.Frame) (int64, error) { return numberAnswer(ReqMaxOffset, f, "offset") }

// MinOffset is request 31: a queue's oldest message. Answered by [ParseMinOffset].
type MinOffset struct {
	Topic      string
	QueueID    int32
	BrokerName string
}

// Frame gives the request in the fields of GetMinOffsetRequestHeader.
func (r MinOffset) Frame() *frame.Frame {
	h := topicQueue(r.Topic, r.QueueID, r.BrokerName)
	return h.frame(ReqMinOffset, nil)
}

// ParseMinOffset reads the answer to a [MinOffset].
func ParseMinOffset(f *frame.Frame) (int64, error) { return numberAnswer(ReqMinOffset, f, "offset") }

// SearchOffset is request 29: the first offset stored at or after a time. Answered by [ParseSearchOffset].
type SearchOffset struct {
	Topic      string
	QueueID    int32
	Time       int64 // ms since 1970
	BrokerName string
}

// Frame gives the request in the fields of SearchOffsetRequestHeader.
func (r SearchOffset) Frame() *frame.Frame {
	h := topicQueue(r.Topic, r.QueueID, r.BrokerName)
	h.number("timestamp", r.Time)
	return h.frame(ReqSearchOffset, nil)
}

// ParseSearchOffset reads the answer to a [SearchOffset].
func ParseSearchOffset(f *frame.Frame) (int64, error) {
	return numberAnswer(ReqSearchOffset, f, "offset")
}

// EarliestStoreTime is request 32: when a queue's oldest message was stored. Answered by [ParseEarliestStoreTime]. It is
// sent by tools, and here by tests.
type EarliestStoreTime struct {
	Topic      string
	QueueID    int32
	BrokerName string
}

// Frame gives the request in the fields of GetEarliestMsgStoretimeRequestHeader.
func (r EarliestStoreTime) Frame() *frame.Frame {
	h := topicQueue(r.Topic, r.QueueID, r.BrokerName)
	return h.frame(ReqEarliestStoreTime, nil)
}

// ParseEarliestStoreTime reads the answer to an [EarliestStoreTime], in ms since 1970; -1 means an empty queue.
func ParseEarliestStoreTime(f *frame.Frame) (int64, error) {
	return numberAnswer(ReqEarliestStoreTime, f, "timestamp")
}

func topicQueue(topic string, queue int32, broker string) header {
	h := newHeader(6)
	h.text("topic", topic)
	h.number("queueId", int64(queue))
	h.textIfSet("bname", broker)
	return h
}

func groupQueue(group, topic string, queue int32, broker string) header {
	h := topicQueue(topic, queue, broker)
	h.text("consumerGroup", group)
	return h
}

// numberAnswer reads an answer whose header is a single number.
func numberAnswer(request int32, f *frame.Frame, key string) (int64, error) {
	if err := Check(request, f); err != nil {
		return 0, err
	}
	n, err := f.Fields.Int64(key)
	if err != nil {
		return 0, badAnswer(request, err)
	}
	return n, nil
}
