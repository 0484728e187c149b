package remoting

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// DialFunc opens a connection. It must heed ctx, which also ends when the
// Client is closed. TLS handshakes belong into it.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Config is what New takes; the zero value works.
type Config struct {
	// Dial opens connections; nil is a net.Dialer. Either way a dial has 3 s,
	// the TLS handshake included.
	Dial DialFunc

	// TLS is what every connection that Dial opened is secured with; nil is
	// plaintext. Without a ServerName servers must prove to be the host that
	// was dialed. Not to be changed from then on.
	TLS *tls.Config

	// Sign signs every request that goes out, those of Callers excepted, which
	// have their own. Nil signs nothing.
	Sign Signer

	// Handle answers a server's request, each on a goroutine of its own, at
	// most 1,024 at a time per connection; the server is told SYSTEM_BUSY
	// beyond that. ctx ends with the connection. The answer gets the request's
	// opaque; nil sends none, and none is sent to a one-way request. Handle
	// may Call, but mustn't Close the Client. A panic is logged and answered
	// with SYSTEM_ERROR. A nil Handle answers REQUEST_CODE_NOT_SUPPORTED.
	Handle func(ctx context.Context, address string, req *frame.Frame) *frame.Frame

	// Connected is told of each new connection, on a goroutine of its own
	// while calls already pass, and perhaps after the connection's end. It
	// may Call, but mustn't Close the Client. May be nil.
	Connected func(address string)

	// Disconnected is told of each connection that ended without this side's
	// wanting it, and of each dial that failed, on a goroutine of its own. By
	// then there may be another connection: ask Since. It may Call, but mustn't
	// Close the Client. May be nil.
	Disconnected func(address string)

	// Log gets connections' ends and misbehaving servers; nil discards.
	Log *slog.Logger
}

// Client multiplexes requests over one connection per address, dialed on
// first use and again after it broke. All methods are safe for concurrent use.
// Close it when done.
type Client struct {
	cfg   Config
	calls sync.Pool      // *call; the Client's own, since channels mustn't leave their synctest bubble
	group sync.WaitGroup // a goroutine per dial, which goes on to own the connection

	mu     sync.RWMutex // never held while anything waits
	closed bool
	peers  map[string]*peer
	live   map[*conn]struct{} // every connection that hasn't ended, in peers or retired
}

// New makes a Client. It dials nothing yet.
func New(cfg Config) *Client {
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.TLS != nil {
		cfg.Dial = secured(cfg.Dial, cfg.TLS)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{
		cfg:   cfg,
		calls: sync.Pool{New: func() any { return &call{done: make(chan result, 1)} }},
		peers: make(map[string]*peer),
		live:  make(map[*conn]struct{}),
	}
}

// Call sends req to address, which is host:port, and waits for the answer,
// whatever its code, under ctx alone: without a deadline it waits until
// answered or until the connection ends. Opaque and the answer and one-way
// flags are set on a copy, so req may be sent again, even at the same time; it
// mustn't be changed before Call returns.
//
// Trouble is an *Error, ErrClosed, or frame.ErrTooLarge wrapped. A call given up
// by its context may still be carried out by the server; its answer is dropped.
// A call whose deadline passes after 2 s or more in which nothing at all was
// read from the connection closes the connection, so that a peer in a black
// hole doesn't hold later calls.
//
// While a server that shuts down in order says so (code 1500, GO_AWAY: it did
// not take the request), Call repeats the request once on a new connection.
func (c *Client) Call(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	return c.As(c.cfg.Sign).Call(ctx, address, req)
}

// Call is Client.Call for the Caller's requests.
func (as Caller) Call(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	c := as.client
	for attempt := 0; ; attempt++ {
		conn, err := c.conn(ctx, address)
		if err != nil {
			return nil, err
		}
		out, err := as.outgoing(ctx, req, 0)
		if err != nil {
			return nil, err
		}
		answer, err := conn.call(ctx, out)
		if err != nil || answer.Code != codeGoAway {
			return answer, err
		}
		conn.retire()
		if attempt > 0 {
			return nil, &Error{address, "wait", errGoAway}
		}
	}
}

// Send sends req one-way, with the same rules as Call. A nil error means that
// it stands in line to be written, not that it arrived; Close still writes it.
func (c *Client) Send(ctx context.Context, address string, req *frame.Frame) error {
	return c.As(c.cfg.Sign).Send(ctx, address, req)
}

// Send is Client.Send for the Caller's requests.
func (as Caller) Send(ctx context.Context, address string, req *frame.Frame) error {
	conn, err := as.client.conn(ctx, address)
	if err != nil {
		return err
	}
	out, err := as.outgoing(ctx, req, flagOneWay)
	if err != nil {
		return err
	}
	return conn.send(ctx, out)
}

// outgoing returns the copy of req that goes out. Every request passes here
// before it is encoded, and is signed here.
func (as Caller) outgoing(ctx context.Context, req *frame.Frame, flags int32) (frame.Frame, error) {
	f := *req
	f.Codec = frame.Binary // a broker parses JSON headers by reflection, once for each request
	f.Flag = f.Flag&^(flagAnswer|flagOneWay) | flags
	if as.signer == nil {
		return f, nil
	}
	return as.signed(ctx, f)
}

// signed is apart from outgoing so that an unsigned request needn't live on the
// heap for a Signer that there isn't.
func (as Caller) signed(ctx context.Context, f frame.Frame) (frame.Frame, error) {
	err := as.signer.Sign(ctx, &f)
	return f, err
}

// Drop closes the connection to address, if any, after what stands in line was
// written or one second passed; it doesn't wait for that. Pending calls fail at
// once. It also forgets that dials to address failed. A dial under way goes on.
func (c *Client) Drop(address string) {
	c.mu.Lock()
	var conn *conn
	if p := c.peers[address]; p != nil && p.dial == nil {
		conn = p.conn
		delete(c.peers, address)
	}
	c.mu.Unlock()
	if conn != nil {
		conn.end(&Error{address, "wait", errDropped}, true)
	}
}

// Addresses returns the addresses connected now, sorted.
func (c *Client) Addresses() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []string
	for address, p := range c.peers {
		if p.conn != nil {
			list = append(list, address)
		}
	}
	slices.Sort(list)
	return list
}

// Since tells since when address has been connected; false when it is not.
func (c *Client) Since(address string) (since time.Time, connected bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if p := c.peers[address]; p != nil && p.conn != nil {
		return p.conn.since, true
	}
	return time.Time{}, false
}

// Forgive forgets that dials to address have failed: the next Call dials at
// once. For those who have heard that a server is back.
func (c *Client) Forgive(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[address]; p != nil && p.conn == nil && p.dial == nil {
		delete(c.peers, address)
	}
}

// Close fails pending and later calls with ErrClosed, gives what stands in line
// (one-way requests) a second to be written, closes all connections and waits
// for the Client's goroutines, those of Handle, Connected and Disconnected
// included. It always returns nil, and may be called again.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	var ending []*conn
	for conn := range c.live {
		ending = append(ending, conn)
	}
	for _, p := range c.peers {
		if p.dial != nil {
			p.dial.cancel()
		}
	}
	c.mu.Unlock()
	for _, conn := range ending {
		conn.end(ErrClosed, true)
	}
	c.group.Wait()
	return nil
}
