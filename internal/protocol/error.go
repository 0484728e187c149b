package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// ErrMalformed is wrapped by every error about bytes that don't follow RocketMQ's formats.
var ErrMalformed = errors.New("malformed")

// Error is a refusal: a server answered a request with a code that is no success.
type Error struct {
	Request int32  // what was asked, a Req code
	Code    int32  // what was answered, a Code
	Remark  string // the server's own words; may be empty
	Address string // who answered; empty until the caller, who knows the address, fills it in
}

// Error names the server, the request, the code and the server's remark; where rights were wanting also which.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(RequestName(e.Request))
	b.WriteString(" answered ")
	if e.Address != "" {
		b.WriteString("by ")
		b.WriteString(e.Address)
		b.WriteString(" ")
	}
	b.WriteString("with ")
	b.WriteString(CodeName(e.Code))
	if remark := strings.TrimSpace(e.Remark); remark != "" {
		b.WriteString(": ")
		b.WriteString(remark)
		if advice := denial(e.Request, e.Code, remark); advice != "" {
			b.WriteString(" [" + advice + "]")
		}
	}
	return b.String()
}

// Check returns nil when f answers with success, else an *[Error] that names the request.
// A success may carry a remark ("not set any response code"); only the code counts.
func Check(request int32, f *frame.Frame) error {
	if f.Code == CodeSuccess {
		return nil
	}
	return &Error{Request: request, Code: f.Code, Remark: f.Remark}
}

// HasCode tells whether err is, or wraps, an *[Error] with one of the codes.
func HasCode(err error, codes ...int32) bool {
	var refusal *Error
	return errors.As(err, &refusal) && slices.Contains(codes, refusal.Code)
}

// badAnswer wraps what was wrong with an answer, or with a request of a server, whose code was read already.
func badAnswer(request int32, err error) error {
	if errors.Is(err, ErrMalformed) {
		return fmt.Errorf("%s: %w", RequestName(request), err)
	}
	return fmt.Errorf("%s: %w: %w", RequestName(request), ErrMalformed, err)
}
