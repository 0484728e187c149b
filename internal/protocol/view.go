package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// ViewMessage is request 33 (VIEW_MESSAGE_BY_ID): the message at a commit-log offset of one broker.
// Answered by [ParseViewMessage].
type ViewMessage struct {
	Topic  string // for the broker's access control; not in 4.9
	Offset int64  // out of ParseOffsetID
}

// Frame gives the request in the fields of ViewMessageRequestHeader.
func (r ViewMessage) Frame() *frame.Frame {
	h := newHeader(2)
	h.textIfSet("topic", r.Topic)
	h.number("offset", r.Offset)
	return h.frame(ReqViewMessage, nil)
}

// ParseViewMessage reads the answer to a [ViewMessage].
func ParseViewMessage(f *frame.Frame) (Message, error) {
	if err := Check(ReqViewMessage, f); err != nil {
		return Message{}, err
	}
	m, err := decodeSingle(f.Body, "")
	if err != nil {
		return Message{}, badAnswer(ReqViewMessage, err)
	}
	return m, nil
}

// QueryMessages is request 12 (QUERY_MESSAGE): messages by key, through the broker's index. Answered by
// [ParseQueryMessages].
type QueryMessages struct {
	Topic      string
	Key        string // one of a message's KEYS, or its UNIQ_KEY with Unique
	Unique     bool
	Max        int32
	Begin, End int64 // stored between, ms since 1970
}

// Frame gives the request in the fields of QueryMessageRequestHeader.
func (r QueryMessages) Frame() *frame.Frame {
	h := newHeader(6)
	h.text("topic", r.Topic)
	h.text("key", r.Key)
	h.number("maxNum", int64(r.Max))
	h.number("beginTimestamp", r.Begin)
	h.number("endTimestamp", r.End)
	h.flag("_UNIQUE_KEY_QUERY", r.Unique) // MixAll.UNIQUE_MSG_QUERY_FLAG
	return h.frame(ReqQueryMessage, nil)
}

// ParseQueryMessages reads the answer to a [QueryMessages]; nothing found is no messages and no error. The index works
// with hashes of keys: compare them again.
func ParseQueryMessages(f *frame.Frame, topic string) ([]Message, error) {
	if f.Code == CodeQueryNotFound {
		return nil, nil
	}
	if err := Check(ReqQueryMessage, f); err != nil {
		return nil, err
	}
	msgs, err := DecodeMessages(f.Body, topic)
	if err != nil {
		return msgs, badAnswer(ReqQueryMessage, err)
	}
	return msgs, nil
}
