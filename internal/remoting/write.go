package remoting

import (
	"context"
	"runtime"

	"github.com/rocketkit/rocketkit/internal/frame"
)

const (
	maxQueued = 4 << 20 // bytes in line above which callers wait; one frame may always go in
	maxKept   = 1 << 20 // larger buffers aren't kept for reuse
)

// enqueue puts f in line to be written, and cl, unless nil, in pending. It
// waits under ctx while the line is too long.
func (c *conn) enqueue(ctx context.Context, f *frame.Frame, cl *call, since moment) error {
	for {
		wait, err := c.put(f, cl)
		if wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return c.gaveUp(ctx, since)
		}
	}
}

// put is enqueue without the waiting: when the line is too long it returns a
// channel that closes when that may have changed. A request gets its opaque.
func (c *conn) put(f *frame.Frame, cl *call) (wait <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if len(c.out) > 0 && len(c.out)+len(f.Body) > maxQueued {
		if c.space == nil {
			c.space = make(chan struct{})
		}
		return c.space, nil
	}
	if !f.IsAnswer() {
		f.Opaque = c.unusedOpaque()
	}
	if c.out, err = frame.Append(c.out, f); err != nil {
		return nil, err
	}
	if cl != nil {
		cl.opaque = f.Opaque
		c.pending[f.Opaque] = cl
	}
	select {
	case c.wake <- struct{}{}:
	default: // the writer knows already
	}
	return nil, nil
}

// unusedOpaque counts; it wraps, and passes over calls that have been pending
// for that long.
func (c *conn) unusedOpaque() int32 {
	for {
		c.opaque++
		if _, used := c.pending[c.opaque]; !used {
			return c.opaque
		}
	}
}

// write writes what gathers in line, until the connection ends.
func (c *conn) write() {
	for {
		select {
		case <-c.wake:
			// Let callers that are ready to run put their frames in line
			// first: without it the first of many wakes the writer and gets
			// a system call of its own (128 callers: 4.0 µs a call, not 2.7).
			runtime.Gosched()
		case <-c.done:
			if c.flush {
				_ = c.writeOut() // the connection ends for a reason of its own
			}
			return
		}
		if err := c.writeOut(); err != nil {
			c.end(&Error{c.address, "write", c.explainEnd(err)}, false)
			return
		}
	}
}

// writeOut takes the line and writes it at once.
func (c *conn) writeOut() error {
	c.mu.Lock()
	out, space := c.out, c.space
	if len(out) == 0 { // it went with the last write; nobody waits for space then
		c.mu.Unlock()
		return nil
	}
	c.out, c.spare, c.space = c.spare, nil, nil
	c.mu.Unlock()
	if space != nil {
		close(space)
	}
	_, err := c.nc.Write(out)
	if cap(out) <= maxKept {
		c.mu.Lock()
		c.spare = out[:0]
		c.mu.Unlock()
	}
	return err
}
