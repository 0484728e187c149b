package remoting

import (
	"errors"
	"fmt"
)

// ErrClosed is returned by calls that begin after Close or wait during it.
var ErrClosed = errors.New("already closed")

// Error is transport trouble with one address: the server may be well and
// another attempt may succeed. Whether the server saw the request is unknown
// unless Op is "dial". A context's end is wrapped too, so
// errors.Is(err, context.DeadlineExceeded) works; a dial that runs out of its
// own time matches as well, so ask the context itself whether it has ended.
type Error struct {
	Address string
	Op      string // dial, write, read (the connection broke), or wait (the caller or this side gave up)
	Err     error  // never nil
}

func (e *Error) Error() string {
	return fmt.Sprintf("remoting: %s %s: %v", e.Op, e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errDropped = errors.New("connection dropped by this process")
	errGoAway  = errors.New("the server is shutting down and takes no more requests (GO_AWAY)")
	errSilent  = fmt.Errorf("connection closed: nothing was read for %v while a call ran out of time", silence)
)
