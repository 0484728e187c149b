package remoting

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

const (
	dialTimeout = 3 * time.Second
	minBackoff  = 50 * time.Millisecond
	maxBackoff  = time.Second
)

// peer is an address: connected, being dialed, or not to be dialed for a
// while. Client.mu guards it.
type peer struct {
	conn    *conn         // takes calls; nil when there is none
	dial    *dial         // under way; nil when none is
	failed  error         // the last dial's error, the answer until retry
	backoff time.Duration // before jitter; 0 after a success
	retry   time.Time
}

// dial is an attempt that any number of callers wait for.
type dial struct {
	cancel context.CancelFunc
	done   chan struct{} // closed once conn or err is set
	conn   *conn
	err    error
}

// conn returns the connection to address and dials it if need be. The dial
// outlives a caller that gives up.
func (c *Client) conn(ctx context.Context, address string) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{address, "wait", err}
	}
	c.mu.RLock()
	p := c.peers[address]
	if p != nil && p.conn != nil && !c.closed {
		conn := p.conn
		c.mu.RUnlock()
		return conn, nil
	}
	c.mu.RUnlock()
	conn, d, err := c.join(address)
	if d == nil {
		return conn, err
	}
	select {
	case <-d.done:
		return d.conn, d.err
	case <-ctx.Done():
		return nil, &Error{address, "dial", ctx.Err()}
	}
}

// join returns what there is: a connection, an error that still holds, or a
// dial to wait for, which it starts when there is none.
func (c *Client) join(address string) (*conn, *dial, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	p := c.peers[address]
	if p == nil {
		p = new(peer)
		c.peers[address] = p
	}
	switch {
	case p.conn != nil:
		return p.conn, nil, nil
	case p.dial != nil:
		return nil, p.dial, nil
	case p.failed != nil && time.Now().Before(p.retry):
		return nil, nil, p.failed
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	p.dial = &dial{cancel: cancel, done: make(chan struct{})}
	d := p.dial
	c.group.Go(func() {
		defer cancel()
		c.open(ctx, address, p, d)
	})
	return nil, d, nil
}

// open dials, tells the waiting, and then owns the connection until its end.
func (c *Client) open(ctx context.Context, address string, p *peer, d *dial) {
	nc, err := c.cfg.Dial(ctx, "tcp", address)
	c.settle(address, p, d, nc, err)
	close(d.done)
	if d.conn != nil {
		c.cfg.Log.Debug("connected", "address", address)
		d.conn.run()
	} else if err == nil {
		_ = nc.Close() // the Client was closed meanwhile
	} else if !errors.Is(d.err, ErrClosed) {
		c.disconnected(address)
	}
}

func (c *Client) disconnected(address string) {
	if c.cfg.Disconnected != nil {
		c.cfg.Disconnected(address)
	}
}

func (c *Client) settle(address string, p *peer, d *dial, nc net.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.dial = nil
	switch {
	case c.closed:
		d.err = ErrClosed
	case err != nil:
		d.err = &Error{address, "dial", err}
		p.failed = d.err
		p.backoff = min(max(2*p.backoff, minBackoff), maxBackoff)
		p.retry = time.Now().Add(p.backoff/2 + rand.N(p.backoff/2+1))
	default:
		d.conn = newConn(c, address, nc)
		*p = peer{conn: d.conn}
		c.live[d.conn] = struct{}{}
	}
}

// retract takes conn out of use for new calls, and off the books when ended.
func (c *Client) retract(conn *conn, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[conn.address]; p != nil && p.conn == conn {
		delete(c.peers, conn.address)
	}
	if ended {
		delete(c.live, conn)
	}
}
