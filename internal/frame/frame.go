package frame

import (
	"bufio"
	"errors"
)

// MaxSize bounds what may follow a frame's length field, in bytes.
const MaxSize = 16 << 20

// ErrMalformed is wrapped by every error of Read that blames the bytes.
var ErrMalformed = errors.New("frame: malformed")

// Field is one extended header field.
type Field struct{ Key, Value string }

// Fields are a frame's extended header fields in wire order.
type Fields []Field

// Get returns the value of the first field named key.
func (f Fields) Get(key string) (string, bool) { panic("todo") }

// Int64 returns a field's decimal value; its error names the key.
func (f Fields) Int64(key string) (int64, error) { panic("todo") }

// Int32 returns a field's decimal value; its error names the key.
func (f Fields) Int32(key string) (int32, error) { panic("todo") }

// Bool reports whether the field is "true".
func (f Fields) Bool(key string) bool { panic("todo") }

// Frame is one request or answer.
type Frame struct {
	Code     int32
	Opaque   int32
	Flag     int32
	Language string
	Version  int32
	Remark   string
	Fields   Fields
	Body     []byte
}

// IsAnswer reports whether the frame answers a request (flag bit 0).
func (f *Frame) IsAnswer() bool { return f.Flag&1 != 0 }

// IsOneWay reports whether the request wants no answer (flag bit 1).
func (f *Frame) IsOneWay() bool { return f.Flag&2 != 0 }

// Append appends the frame's encoding to dst.
func Append(dst []byte, f *Frame) ([]byte, error) { panic("todo") }

// Read reads one frame.
func Read(r *bufio.Reader) (*Frame, error) { panic("todo") }
