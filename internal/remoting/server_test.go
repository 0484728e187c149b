package remoting_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network dials in-memory connections, the other end of each served by serve
// on a goroutine of its own and closed when serve returns.
type network struct {
	serve func(s *session)

	mu    sync.Mutex
	dials int
	fail  error
	group sync.WaitGroup
}

func (n *network) Dial(_ context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	if n.fail != nil {
		return nil, n.fail
	}
	near, far := net.Pipe()
	s := &session{Conn: far, r: bufio.NewReader(far), address: address, dial: n.dials}
	n.group.Go(func() {
		defer far.Close()
		n.serve(s)
	})
	return near, nil
}

func (n *network) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func (n *network) setFail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

// session is the server's end of a connection.
type session struct {
	net.Conn
	r       *bufio.Reader
	address string
	dial    int // which dial it came from, from 1
}

// next returns the next frame, nil at the end.
func (s *session) next() *frame.Frame {
	f, err := frame.Read(s.r)
	if err != nil {
		return nil
	}
	return f
}

func (s *session) send(f *frame.Frame) {
	b, err := frame.Append(nil, f)
	if err != nil {
		panic(err)
	}
	_, _ = s.Write(b) // the client may be gone
}

// answer echoes the request's fields and body.
func (s *session) answer(req *frame.Frame) {
	s.send(&frame.Frame{Opaque: req.Opaque, Flag: 1, Language: "JAVA", Fields: req.Fields, Body: req.Body})
}

// echo answers everything.
func echo(s *session) {
	for req := s.next(); req != nil; req = s.next() {
		s.answer(req)
	}
}

// hole reads and never answers.
func hole(s *session) {
	for s.next() != nil {
	}
}

// open returns a Client on n that the test closes, and n's servers with it.
func open(t testing.TB, n *network, cfg remoting.Config) *remoting.Client {
	t.Helper()
	cfg.Dial = n.Dial
	c := remoting.New(cfg)
	t.Cleanup(func() {
		c.Close()
		n.group.Wait()
	})
	return c
}

func request(key string) *frame.Frame {
	return &frame.Frame{Code: 10, Fields: frame.Fields{{Key: "key", Value: key}}}
}

func mustCall(t testing.TB, c *remoting.Client, address, key string) {
	t.Helper()
	answer, err := c.Call(t.Context(), address, request(key))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := answer.Fields.Get("key"); got != key {
		t.Fatalf("answer to %q, want %q", got, key)
	}
}

// wantError checks that err is a transport error of address and op.
func wantError(t testing.TB, err error, address, op string, cause error) {
	t.Helper()
	var e *remoting.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a *remoting.Error", err)
	}
	if e.Address != address || e.Op != op || cause != nil && !errors.Is(err, cause) {
		t.Fatalf("error %v (%s %s), want %s %s: %v", err, e.Op, e.Address, op, address, cause)
	}
}
