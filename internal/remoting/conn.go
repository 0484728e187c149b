package remoting

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
)

const (
	flagAnswer = 1 << 0
	flagOneWay = 1 << 1

	silence = 2 * time.Second // see Client.Call
	grace   = time.Second     // to write what stands in line at an orderly end
)

// conn is one connection. It ends once, by end, for whatever reason.
type conn struct {
	client  *Client
	address string
	nc      net.Conn
	since   time.Time
	reads   atomic.Uint64 // how often bytes arrived
	serving atomic.Int32  // server requests being handled
	wake    chan struct{} // cap 1: out has something
	done    chan struct{} // closed by end

	mu      sync.Mutex // never held while anything waits
	err     error      // why it ended; nil until then
	flush   bool       // write out before closing
	retired bool       // ends with its last pending call
	opaque  int32
	pending map[int32]*call
	out     []byte        // encoded frames in line
	spare   []byte        // out's other buffer, nil while being written
	space   chan struct{} // closed when out has been taken; nil when nobody waits for that
}

// call is a caller's place to wait. It is reused once its channel is empty and
// no longer in pending.
type call struct {
	opaque int32
	done   chan result // cap 1, so that delivering never waits
}

type result struct {
	answer *frame.Frame
	err    error
}

func newConn(client *Client, address string, nc net.Conn) *conn {
	return &conn{
		client:  client,
		address: address,
		nc:      nc,
		since:   time.Now(),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		pending: make(map[int32]*call),
	}
}

// run owns the connection: it returns once everything of it has ended.
func (c *conn) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var group sync.WaitGroup
	written := make(chan struct{})
	group.Go(func() {
		defer close(written)
		c.write()
	})
	group.Go(func() { c.read(ctx, &group) })
	if connected := c.client.cfg.Connected; connected != nil {
		group.Go(func() { connected(c.address) })
	}
	<-c.done
	cancel()
	if c.flush {
		_ = c.nc.SetWriteDeadline(time.Now().Add(grace))
		timer := time.NewTimer(grace) // a connection may not know deadlines
		select {
		case <-written:
		case <-timer.C:
		}
		timer.Stop()
	}
	_ = c.nc.Close()
	if !errors.Is(c.err, ErrClosed) && !errors.Is(c.err, errDropped) {
		c.client.disconnected(c.address)
	}
	group.Wait()
}

// end closes the connection to calls and fails the pending ones with err; run
// then does what takes time. Only the first end counts.
func (c *conn) end(err error, flush bool) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err, c.flush = err, flush
	pending, space := c.pending, c.space
	c.pending, c.space = nil, nil
	c.mu.Unlock()

	c.client.retract(c, true) // first, so that whoever fails now may dial anew
	close(c.done)
	if space != nil {
		close(space)
	}
	for _, cl := range pending {
		cl.done <- result{err: err}
	}
	c.logEnd(err, len(pending))
}

func (c *conn) logEnd(err error, failed int) {
	log := c.client.cfg.Log.Info
	switch {
	case errors.Is(err, frame.ErrMalformed), errors.Is(err, errSilent):
		log = c.client.cfg.Log.Warn
	case errors.Is(err, ErrClosed), errors.Is(err, errDropped), errors.Is(err, io.EOF) && failed == 0:
		log = c.client.cfg.Log.Debug
	}
	log("connection ended", "address", c.address, "pending", failed, "err", err)
}

// retire takes no new calls but lets the pending ones be answered.
func (c *conn) retire() {
	c.client.retract(c, false)
	c.mu.Lock()
	c.retired = true
	idle := len(c.pending) == 0
	c.mu.Unlock()
	if idle {
		c.end(&Error{c.address, "wait", errGoAway}, true)
	}
}

// call sends f and waits for its answer.
func (c *conn) call(ctx context.Context, f frame.Frame) (*frame.Frame, error) {
	cl := c.client.calls.Get().(*call) //nolint:errcheck // the pool holds nothing else
	defer c.client.calls.Put(cl)
	since := c.now()
	if err := c.enqueue(ctx, &f, cl, since); err != nil {
		return nil, err
	}
	select {
	case r := <-cl.done:
		return r.answer, r.err
	case <-ctx.Done():
	}
	if c.take(cl.opaque) == nil { // the answer is on its way to done
		r := <-cl.done
		return r.answer, r.err
	}
	return nil, c.gaveUp(ctx, since)
}

// send sends f one-way.
func (c *conn) send(ctx context.Context, f frame.Frame) error {
	return c.enqueue(ctx, &f, nil, c.now())
}

// take removes and returns a pending call; nil when it isn't pending.
func (c *conn) take(opaque int32) *call {
	c.mu.Lock()
	cl := c.pending[opaque]
	delete(c.pending, opaque)
	idle := c.retired && len(c.pending) == 0
	c.mu.Unlock()
	if idle {
		c.end(&Error{c.address, "wait", errGoAway}, true)
	}
	return cl
}

// moment is when a call began, and how often bytes had arrived by then.
type moment struct {
	at    time.Time
	reads uint64
}

func (c *conn) now() moment { return moment{time.Now(), c.reads.Load()} }

// gaveUp is the error of a call whose ctx has ended. It closes a connection
// that was silent all the while, when that was long enough to tell.
func (c *conn) gaveUp(ctx context.Context, since moment) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) && time.Since(since.at) >= silence && c.reads.Load() == since.reads {
		c.end(&Error{c.address, "read", errSilent}, false)
	}
	return &Error{c.address, "wait", err}
}
