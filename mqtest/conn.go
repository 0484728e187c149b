package mqtest

import (
	"bufio"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
)

const (
	flagAnswer = 1 << 0
	flagOneWay = 1 << 1

	serverVersion = 513 // ordinal of V5_5_0 in RocketMQ's enum MQVersion.Version
)

// conn is one client's connection to one server. Requests are taken one after the other, in the order they came; an
// answer may come later than the next request's. Nothing a request does waits, so one slow request holds no other.
type conn struct {
	server *server
	nc     net.Conn
	remote netip.AddrPort
	done   chan struct{} // closed when the server is through with it
	wake   chan struct{} // cap 1: out has something, or last was set

	mu       sync.Mutex // never held while anything waits
	clientID string     // as it called itself in a heartbeat; empty before
	heard    time.Time  // when the client's latest frame got here
	out      []byte
	last     bool // close once out is written
	closed   bool
	opaque   int32
	asked    map[int32]*asked // requests to the client that it hasn't answered
}

// asked is a request to a client: its answer goes to then; nil when none came in time.
type asked struct {
	then  func(*frame.Frame)
	limit *plan
}

func newConn(s *server, nc net.Conn) *conn {
	return &conn{
		server: s, nc: nc, remote: addrPort(nc.RemoteAddr()),
		done: make(chan struct{}), wake: make(chan struct{}, 1), asked: map[int32]*asked{}, heard: time.Now(),
	}
}

// addrPort reads a connection's address; what is none becomes 0.0.0.0.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		p := tcp.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// read takes requests until the connection ends, then tells the server that it has.
func (k *conn) read() {
	r := bufio.NewReaderSize(k.nc, 64<<10)
	for {
		f, err := frame.Read(r)
		if err != nil || !k.pass(k.done) {
			break
		}
		k.mu.Lock()
		k.heard = time.Now()
		k.mu.Unlock()
		if f.IsAnswer() {
			k.answered(f)
		} else {
			k.server.receive(&call{conn: k, req: f})
		}
	}
	k.pass(k.done) // the end of a connection is news that a partition holds up too
	k.close()
	k.server.gone(k)
	k.pass(k.server.cluster.closing) // and so for the client, when the server was the one to end it
	_ = k.nc.Close()
}

// pass waits while a partition lies between the client and the server; false once end is closed.
func (k *conn) pass(end <-chan struct{}) bool {
	for {
		gate := k.server.cluster.partitions.gate(k)
		if gate == nil {
			return !isClosed(end)
		}
		select {
		case <-gate:
		case <-end:
			return false
		}
	}
}

// write sends what stands in line until the connection ends.
func (k *conn) write() {
	for {
		select {
		case <-k.wake:
		case <-k.done:
			return
		}
		k.mu.Lock()
		out, last := k.out, k.last
		k.out = nil
		k.mu.Unlock()
		if !k.pass(k.done) {
			return
		}
		if len(out) > 0 {
			if _, err := k.nc.Write(out); err != nil {
				k.close()
				return
			}
		}
		if last {
			k.close()
			return
		}
	}
}

// send puts a frame in line; on a connection that has ended it does nothing.
func (k *conn) send(f *frame.Frame) {
	k.mu.Lock()
	k.enqueue(f)
	k.mu.Unlock()
	token(k.wake)
}

func (k *conn) enqueue(f *frame.Frame) (size int) {
	if k.closed || k.last {
		return 0
	}
	f.Language, f.Version = "JAVA", serverVersion
	before := len(k.out)
	out, err := frame.Append(k.out, f)
	if err != nil { // larger than 16 MiB: RocketMQ would break the connection too
		k.last = true
	}
	k.out = out
	return len(out) - before
}

// sendHalf puts the first half of a frame in line and closes the connection behind it.
func (k *conn) sendHalf(f *frame.Frame) {
	k.mu.Lock()
	size := k.enqueue(f)
	k.out = k.out[:len(k.out)-(size+1)/2]
	k.last = true
	k.mu.Unlock()
	token(k.wake)
}

// ask sends a request to the client. then gets the answer, or nil when none came within limit or the connection ended;
// it runs on a goroutine of the cluster's and mustn't wait.
func (k *conn) ask(f *frame.Frame, limit time.Duration, then func(*frame.Frame)) {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		then(nil)
		return
	}
	k.opaque++
	opaque := k.opaque
	a := &asked{then: then}
	k.asked[opaque] = a
	a.limit = k.server.cluster.schedule.after(limit, func() { k.settle(opaque, nil) })
	f.Opaque = opaque
	k.enqueue(f)
	k.mu.Unlock()
	token(k.wake)
}

// tell sends a one-way request to the client.
func (k *conn) tell(f *frame.Frame) {
	f.Flag |= flagOneWay
	k.mu.Lock()
	k.opaque++
	f.Opaque = k.opaque
	k.enqueue(f)
	k.mu.Unlock()
	token(k.wake)
}

func (k *conn) answered(f *frame.Frame) { k.settle(f.Opaque, f) }

func (k *conn) settle(opaque int32, f *frame.Frame) {
	k.mu.Lock()
	a := k.asked[opaque]
	delete(k.asked, opaque)
	k.mu.Unlock()
	if a != nil {
		k.server.cluster.schedule.cancel(a.limit)
		a.then(f)
	}
}

// close ends the connection from the server's side, at once; a client behind a partition notices when that heals. It may
// be called again.
func (k *conn) close() {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return
	}
	k.closed = true
	asked := k.asked
	k.asked = nil
	k.mu.Unlock()
	close(k.done)
	if k.server.cluster.partitions.gate(k) == nil || isClosed(k.server.cluster.closing) {
		_ = k.nc.Close()
	} else {
		_ = k.nc.SetDeadline(time.Now()) // ends write, and read, which then waits to close nc
	}
	// Whoever asked holds no lock of a server when it is called back.
	k.server.cluster.schedule.after(0, func() {
		for _, a := range asked {
			k.server.cluster.schedule.cancel(a.limit)
			a.then(nil)
		}
	})
}

// identify notes how the client calls itself.
func (k *conn) identify(clientID string) {
	k.mu.Lock()
	k.clientID = clientID
	k.mu.Unlock()
}

// isSilent tells whether nothing has come from the client for longer than limit.
func (k *conn) isSilent(limit time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Since(k.heard) > limit
}

func (k *conn) client() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clientID
}
