package frame

import (
	"errors"
	"fmt"
	"strconv"
)

// MaxSize bounds a frame, in bytes: RocketMQ's NettyDecoder (FRAME_MAX_LENGTH,
// 16 MiB) closes the connection over a larger one. Read takes up to MaxSize
// after the length field. Append counts the four bytes of the length field as
// well, because NettyDecoder does.
const MaxSize = 16 << 20

// ErrMalformed is wrapped by every error of Read that blames the bytes: what
// follows them on the stream can't be trusted, so close the connection.
var ErrMalformed = errors.New("malformed frame")

// ErrTooLarge is wrapped by Append's error for a frame beyond MaxSize. Sending
// it again is useless; send less.
var ErrTooLarge = errors.New("frame too large")

// Codec is how a header is written (RocketMQ's SerializeType).
type Codec byte

// JSON is what servers answer and ask in, unless they are configured otherwise. Binary (SerializeType.ROCKETMQ) takes
// both sides less time. Servers since 4.0 read both, whatever they are configured to write.
const (
	JSON   Codec = 0
	Binary Codec = 1
)

// Bits of Frame.Flag (RemotingCommand's RPC_TYPE and RPC_ONEWAY).
const (
	flagAnswer = 1 << 0
	flagOneWay = 1 << 1
)

// Frame is one request or answer (RocketMQ's RemotingCommand). The zero value
// is a request with code 0. A Frame isn't safe for concurrent change.
type Frame struct {
	Code     int32  // request code, or response code in an answer (0 is success)
	Opaque   int32  // pairs an answer with its request, per connection
	Flag     int32  // bit 0: answer; bit 1: one-way
	Language string // LanguageCode's name; Append writes "GO" when empty
	Version  int32  // MQVersion's ordinal; Append writes V5_4_0's when zero
	Remark   string // why an answer's code isn't 0; may be empty
	Fields   Fields // extFields: the parameters of the request or answer
	Body     []byte // nil when empty
	Codec    Codec  // of the header: what Read found, and what Append is to write
}

// IsAnswer reports whether the frame answers a request.
func (f *Frame) IsAnswer() bool { return f.Flag&flagAnswer != 0 }

// IsOneWay reports whether the request wants no answer.
func (f *Frame) IsOneWay() bool { return f.Flag&flagOneWay != 0 }

// Field is one extended header field.
type Field struct{ Key, Value string }

// Fields holds extended header fields in the order they stand on the wire. Nil
// is an empty list. A key should occur once; where it doesn't, the last wins,
// as in the Java server's map.
type Fields []Field

// Get returns the value of the field named key, and whether there is one.
func (f Fields) Get(key string) (string, bool) {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].Key == key {
			return f[i].Value, true
		}
	}
	return "", false
}

// Int64 returns the decimal value of the field named key. The error names the
// key when it is absent or no number that fits.
func (f Fields) Int64(key string) (int64, error) { return f.integer(key, 64) }

// Int32 returns the decimal value of the field named key. The error names the
// key when it is absent or no number that fits.
func (f Fields) Int32(key string) (int32, error) {
	n, err := f.integer(key, 32)
	return int32(n), err
}

func (f Fields) integer(key string, bits int) (int64, error) {
	s, ok := f.Get(key)
	if !ok {
		return 0, fmt.Errorf("frame: header field %q is absent", key)
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("frame: header field %q: %w", key, err)
	}
	return n, nil
}

// Bool reports whether the field named key is "true". Absent, or anything
// else, is false, which is Java's Boolean.parseBoolean but for its indifference
// to case: no server writes another case.
func (f Fields) Bool(key string) bool {
	s, _ := f.Get(key)
	return s == "true"
}
