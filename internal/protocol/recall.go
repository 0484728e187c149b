package protocol

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// Recall is request 370 (RECALL_MESSAGE): a timed message that isn't due yet is not to be delivered. Brokers have it since
// 5.3.2, and refuse it unless recallMessageEnable is set. They look for no message: they note the id, and leave out what
// bears it when its time comes. Answered by [ParseRecall].
type Recall struct {
	ProducerGroup string
	Topic         string
	Handle        string // SendResult.RecallHandle
	BrokerName    string
}

// Frame gives the request in the fields of RecallMessageRequestHeader.
func (r Recall) Frame() *frame.Frame {
	h := newHeader(4)
	h.textIfSet("producerGroup", r.ProducerGroup)
	h.text("topic", r.Topic)
	h.text("recallHandle", r.Handle)
	h.textIfSet("bname", r.BrokerName)
	return h.frame(ReqRecall, nil)
}

// ParseRecall reads the answer to a [Recall]: the id of the message.
func ParseRecall(f *frame.Frame) (id string, err error) {
	if err := Check(ReqRecall, f); err != nil {
		return "", err
	}
	r := reader{fields: f.Fields}
	if id = r.text("msgId"); r.err != nil {
		return "", badAnswer(ReqRecall, r.err)
	}
	return id, nil
}

// RecallHandle is what a handle says (RecallMessageHandle.HandleV1).
type RecallHandle struct {
	Topic  string // physical
	Broker string // name
	Due    int64  // ms since 1970, at the precision of the broker's timers
	ID     string // UNIQ_KEY
}

const recallV1 = "v1"

// String writes the handle as brokers do.
func (h RecallHandle) String() string {
	plain := strings.Join([]string{recallV1, h.Topic, h.Broker, strconv.FormatInt(h.Due, 10), h.ID}, " ")
	return base64.URLEncoding.EncodeToString([]byte(plain))
}

// ParseRecallHandle reads a handle; what is none is an error wrapping [ErrMalformed].
func ParseRecallHandle(text string) (RecallHandle, error) {
	plain, err := base64.URLEncoding.DecodeString(text)
	if err != nil {
		return RecallHandle{}, fmt.Errorf("%w: recall handle: %w", ErrMalformed, err)
	}
	parts := strings.Split(string(plain), " ")
	if parts[0] != recallV1 || len(parts) < 5 {
		return RecallHandle{}, fmt.Errorf("%w: recall handle: it isn't of version 1", ErrMalformed)
	}
	due, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		return RecallHandle{}, fmt.Errorf("%w: recall handle: its time: %w", ErrMalformed, err)
	}
	return RecallHandle{Topic: parts[1], Broker: parts[2], Due: due, ID: parts[4]}, nil
}
