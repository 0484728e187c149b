package remoting

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// RocketMQ's RemotingSysResponseCode, and GO_AWAY of ResponseCode, which servers
// from 5.3.2 on answer instead of taking a request once they are shutting down.
const (
	codeSystemError  = 1
	codeSystemBusy   = 2
	codeNotSupported = 3
	codeGoAway       = 1500
)

const (
	readBuffer = 64 << 10
	maxServing = 1024 // server requests handled at a time, per connection
)

// arrivals counts what arrives, whether or not it completes a frame.
type arrivals struct{ *conn }

func (a arrivals) Read(b []byte) (int, error) {
	n, err := a.nc.Read(b)
	if n > 0 {
		a.reads.Add(1)
	}
	return n, err
}

// read hands out what arrives until the connection ends. group is the
// connection's; ctx ends with it.
func (c *conn) read(ctx context.Context, group *sync.WaitGroup) {
	r := bufio.NewReaderSize(arrivals{c}, readBuffer)
	for {
		f, err := frame.Read(r)
		switch {
		case err != nil:
			err = c.explainEnd(err)
			c.end(&Error{c.address, "read", err}, false)
			return
		case f.IsAnswer():
			if cl := c.take(f.Opaque); cl != nil {
				cl.done <- result{answer: f}
			} // else its caller gave up
		case c.client.cfg.Handle == nil:
			c.refuse(f, codeNotSupported, "this client takes no requests")
		case c.serving.Load() >= maxServing:
			c.refuse(f, codeSystemBusy, "this client is handling too many requests")
		default:
			c.serving.Add(1)
			group.Go(func() {
				defer c.serving.Add(-1)
				c.serve(ctx, f)
			})
		}
	}
}

// explainEnd says more of why nothing more can be read or written. A server that
// enforces TLS hangs up on the first byte that is none, and with TLS 1.3 one that
// wants another client certificate after the handshake; its alert may be lost.
func (c *conn) explainEnd(err error) error {
	ended := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	switch {
	case ended && c.reads.Load() == 0 && c.client.cfg.TLS == nil:
		return fmt.Errorf("closed by the server before it had said anything: if it demands TLS (tls.server.mode=enforcing), turn TLS on here: %w", err)
	case ended && c.reads.Load() == 0:
		return fmt.Errorf("TLS: closed by the server right after the handshake: if it demands a client certificate, give one that it trusts: %w", err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("closed by the server: %w", err)
	}
	return err
}

// refuse answers a server's request unless the line is full: the reader never
// waits for the writer.
func (c *conn) refuse(req *frame.Frame, code int32, why string) {
	if !req.IsOneWay() {
		answer := frame.Frame{Code: code, Opaque: req.Opaque, Flag: flagAnswer, Remark: why}
		_, _ = c.put(&answer, nil)
	}
}

// serve handles a server's request and sends the answer.
func (c *conn) serve(ctx context.Context, req *frame.Frame) {
	answer := c.handle(ctx, req)
	if answer == nil || req.IsOneWay() {
		return
	}
	out := *answer
	out.Opaque, out.Flag = req.Opaque, out.Flag|flagAnswer
	if err := c.enqueue(ctx, &out, nil, c.now()); err != nil && ctx.Err() == nil {
		c.client.cfg.Log.Warn("answer not sent", "address", c.address, "code", req.Code, "err", err)
		c.refuse(req, codeSystemError, err.Error())
	}
}

// handle calls Handle; a panic of its becomes an answer, for a server's request
// mustn't end the process.
func (c *conn) handle(ctx context.Context, req *frame.Frame) (answer *frame.Frame) {
	defer func() {
		if p := recover(); p != nil {
			c.client.cfg.Log.Error("handler of a server's request panicked", "address", c.address, "code", req.Code, "panic", p, "stack", string(debug.Stack()))
			answer = &frame.Frame{Code: codeSystemError, Remark: fmt.Sprintf("handler panicked: %v", p)}
		}
	}()
	return c.client.cfg.Handle(ctx, c.address, req)
}
