package protocol

import (
	"strconv"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// header collects a request's ext fields. Optional fields have methods of their own: RocketMQ's decoder reads
// an absent field as null, but an empty one as a value.
type header struct{ fields frame.Fields }

func newHeader(size int) header { return header{make(frame.Fields, 0, size)} }

func (h *header) text(key, value string) {
	h.fields = append(h.fields, frame.Field{Key: key, Value: value})
}

func (h *header) textIfSet(key, value string) {
	if value != "" {
		h.text(key, value)
	}
}

func (h *header) number(key string, value int64) { h.text(key, strconv.FormatInt(value, 10)) }

func (h *header) flag(key string, value bool) { h.text(key, strconv.FormatBool(value)) }

func (h *header) frame(code int32, body []byte) *frame.Frame {
	return &frame.Frame{Code: code, Fields: h.fields, Body: body}
}

// reader takes typed fields out of a frame and keeps the first error, so that a parser reads like the header it parses.
type reader struct {
	fields frame.Fields
	err    error
}

func (r *reader) text(key string) string {
	v, _ := r.fields.Get(key)
	return v
}

func (r *reader) int64(key string) int64 {
	v, err := r.fields.Int64(key)
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

func (r *reader) int32(key string) int32 {
	v, err := r.fields.Int32(key)
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

// int64Or reads a field that may be absent.
func (r *reader) int64Or(key string, absent int64) int64 {
	if v, ok := r.fields.Get(key); !ok || v == "" {
		return absent
	}
	return r.int64(key)
}

// int32IfSet reads a field that may be absent, and of which no value can stand for that.
func (r *reader) int32IfSet(key string) (value int32, set bool) {
	if v, ok := r.fields.Get(key); !ok || v == "" {
		return 0, false
	}
	return r.int32(key), true
}
