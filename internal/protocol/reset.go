package protocol

import (
	"bytes"
	"encoding/json"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// ResetOffset is request 222 (INVOKE_BROKER_TO_RESET_OFFSET) to one broker: all queues of a topic, or one, go to the
// offset stored at a time. Before 5.2 the broker only passes it on to members that are connected.
// Answered by [ParseResetOffset]. It is sent by tools, and here by tests.
type ResetOffset struct {
	Group, Topic string
	Time         int64 // ms since 1970; -1 means the end of the queue
	Force        bool  // also forwards; brokers since 5.2 always do
	OneQueue     bool  // only QueueID, and to Offset; brokers that pass resets on ignore it
	QueueID      int32
	Offset       int64 // -1 lets Time decide
}

// Frame gives the request in the fields of ResetOffsetRequestHeader.
func (r ResetOffset) Frame() *frame.Frame {
	if !r.OneQueue {
		r.QueueID, r.Offset = -1, -1
	}
	h := newHeader(6)
	h.text("topic", r.Topic)
	h.text("group", r.Group)
	h.number("queueId", int64(r.QueueID))
	h.number("offset", r.Offset)
	h.number("timestamp", r.Time)
	h.flag("isForce", r.Force)
	return h.frame(ReqResetOffset, nil)
}

// ParseResetOffset reads the answer to a [ResetOffset]: the new offsets.
func ParseResetOffset(f *frame.Frame) (map[Queue]int64, error) {
	if err := Check(ReqResetOffset, f); err != nil {
		return nil, err
	}
	return decodeOffsets(ReqResetOffset, f.Body)
}

// ResetNotice is request 220 (RESET_CONSUMER_CLIENT_OFFSET), by which a broker before 5.2 tells a member to go to new
// offsets. It is one-way.
type ResetNotice struct {
	Group, Topic string
	Time         int64 // what was asked for, ms since 1970
	Offsets      map[Queue]int64
}

// ParseResetNotice reads the request.
func ParseResetNotice(f *frame.Frame) (ResetNotice, error) {
	r := reader{fields: f.Fields}
	n := ResetNotice{Group: r.text("group"), Topic: r.text("topic"), Time: r.int64Or("timestamp", 0)}
	if n.Group == "" {
		r.err = errNoGroup
	}
	if r.err != nil {
		return ResetNotice{}, badAnswer(ReqResetClientOffset, r.err)
	}
	var err error
	n.Offsets, err = decodeOffsets(ReqResetClientOffset, f.Body)
	return n, err
}

// decodeOffsets reads ResetOffsetBody, and its form for C++ clients (ResetOffsetBodyForC), where the table is a list.
// No body is no offsets.
func decodeOffsets(request int32, b []byte) (map[Queue]int64, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var body struct {
		Table json.RawMessage `json:"offsetTable"`
	}
	if err := decodeBody(request, b, &body); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(body.Table, []byte("[")) {
		var list []struct {
			Queue
			Offset int64 `json:"offset"`
		}
		if err := json.Unmarshal(body.Table, &list); err != nil {
			return nil, badAnswer(request, err)
		}
		offsets := make(map[Queue]int64, len(list))
		for _, entry := range list {
			offsets[entry.Queue] = entry.Offset
		}
		return offsets, nil
	}
	var table map[queueKey]int64
	if len(body.Table) > 0 {
		if err := json.Unmarshal(body.Table, &table); err != nil {
			return nil, badAnswer(request, err)
		}
	}
	return byQueue(table), nil
}

// GetConsumerStatus is request 221 (GET_CONSUMER_STATUS_FROM_CLIENT), by which a broker asks a member for its offsets in
// a topic. Answer it with AnswerConsumerStatus. rocketkit's members refuse it so far.
type GetConsumerStatus struct{ Group, Topic string }

// ParseGetConsumerStatus reads the request.
func ParseGetConsumerStatus(f *frame.Frame) (GetConsumerStatus, error) {
	r := reader{fields: f.Fields}
	s := GetConsumerStatus{Group: r.text("group"), Topic: r.text("topic")}
	if s.Group == "" {
		return GetConsumerStatus{}, badAnswer(ReqConsumerStatus, errNoGroup)
	}
	return s, nil
}

// AnswerConsumerStatus gives the answer to a [GetConsumerStatus], RocketMQ's GetConsumerStatusBody.
func AnswerConsumerStatus(offsets map[Queue]int64) *frame.Frame {
	body, err := appendQueueTable([]byte(`{"consumerTable":{},"messageQueueTable":`), offsets)
	if err != nil {
		return Refuse(CodeSystemError, err.Error())
	}
	return &frame.Frame{Body: append(body, '}')}
}
