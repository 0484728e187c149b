package mqtest

import (
	"net"
	"net/netip"
	"sync"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// server is one address of the cluster: a name server's or a broker's.
type server struct {
	cluster *Cluster
	name    string // "broker-a", "namesrv-a"
	address netip.AddrPort
	handle  func(*call)
	ended   func(*conn) // called once a connection has ended; the server may be down by then

	mu       sync.Mutex // never held while anything waits
	up       bool
	conns    map[*conn]struct{}
	listener net.Listener // over TCP only
}

// call is one request and the way to answer it.
type call struct {
	conn  *conn
	req   *frame.Frame
	fault *Injected // what is to happen to it; nil for nothing
}

// answer sends the answer, unless the request was one-way or a fault has it otherwise.
func (c *call) answer(f *frame.Frame) {
	if c.fault != nil {
		c.fault.strike(c, f)
		return
	}
	c.send(f)
}

func (c *call) send(f *frame.Frame) {
	if c.req.IsOneWay() {
		return
	}
	f.Opaque, f.Flag = c.req.Opaque, flagAnswer
	c.conn.send(f)
}

func refuse(code int32, remark string) *frame.Frame { return protocol.Refuse(code, remark) }

// malformed answers a request whose header or body can't be read, as RocketMQ answers an exception.
func malformed(err error) *frame.Frame { return refuse(protocol.CodeSystemError, err.Error()) }

// accept serves a connection; false when the server is down.
func (s *server) accept(nc net.Conn) bool {
	k := newConn(s, nc)
	s.mu.Lock()
	if !s.up {
		s.mu.Unlock()
		return false
	}
	s.conns[k] = struct{}{}
	s.cluster.done.Go(k.read)
	s.cluster.done.Go(k.write)
	s.mu.Unlock()
	return true
}

// receive lets a request pass the faults and handles it.
func (s *server) receive(c *call) {
	if c.fault = s.cluster.faults.match(c); c.fault == nil {
		s.handle(c)
		return
	}
	c.fault.begin(c)
}

// gone forgets a connection that has ended.
func (s *server) gone(k *conn) {
	s.mu.Lock()
	delete(s.conns, k)
	s.mu.Unlock()
	s.ended(k)
}

// isUp tells whether the server runs.
func (s *server) isUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up
}

// setUp starts the server or stops it, in which case its connections break.
func (s *server) setUp(up bool) {
	s.mu.Lock()
	s.up = up
	var ending []*conn
	if !up {
		for k := range s.conns {
			ending = append(ending, k)
		}
	}
	s.mu.Unlock()
	for _, k := range ending {
		k.close()
	}
}
