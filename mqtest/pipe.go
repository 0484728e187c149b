package mqtest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how many bytes one direction holds before a writer waits: about what two kernels' socket buffers hold.
const pipeBuffer = 256 << 10

// pipe makes an in-memory connection. net.Pipe has no buffer, so that each Write waits for the other side's Read; this
// one has, as sockets do. It blocks on channels only, which testing/synctest counts as waiting.
func pipe(client, server net.Addr) (net.Conn, net.Conn) {
	up, down := newStream(), newStream()
	return &pipeEnd{in: down, out: up, local: client, remote: server}, &pipeEnd{in: up, out: down, local: server, remote: client}
}

// pipeEnd is one side's view. Reads end with io.EOF once the other side has closed and all it wrote is read; its own
// Close makes both streams useless.
type pipeEnd struct {
	in, out       *stream
	local, remote net.Addr
	read, write   deadline
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.in.read(b, &p.read) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b, &p.write) }
func (p *pipeEnd) LocalAddr() net.Addr         { return p.local }
func (p *pipeEnd) RemoteAddr() net.Addr        { return p.remote }

func (p *pipeEnd) Close() error {
	p.out.end()
	p.in.abandon()
	p.read.set(time.Time{})
	p.write.set(time.Time{})
	return nil
}

func (p *pipeEnd) SetDeadline(t time.Time) error {
	p.read.set(t)
	p.write.set(t)
	return nil
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.read.set(t)
	return nil
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.write.set(t)
	return nil
}

// stream is one direction. Its channels hold at most one token: whoever takes one and leaves work puts it back.
type stream struct {
	ready, space    chan struct{} // cap 1: there may be something to read, to write into
	ended, left     chan struct{} // closed when the writer, the reader has gone
	endOnce, onLeft sync.Once

	mu   sync.Mutex // never held while waiting
	data []byte     // unread bytes are data[at:]
	at   int
}

func newStream() *stream {
	return &stream{
		ready: make(chan struct{}, 1), space: make(chan struct{}, 1),
		ended: make(chan struct{}), left: make(chan struct{}),
	}
}

func (s *stream) end()     { s.endOnce.Do(func() { close(s.ended) }) }
func (s *stream) abandon() { s.onLeft.Do(func() { close(s.left) }) }

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (s *stream) read(b []byte, limit *deadline) (int, error) {
	for {
		switch {
		case isClosed(s.left):
			return 0, net.ErrClosed
		case isClosed(limit.wait()):
			return 0, os.ErrDeadlineExceeded
		}
		over := isClosed(s.ended) // before taking: what was written before the end is there now
		if n := s.take(b); n > 0 || len(b) == 0 {
			return n, nil
		}
		if over {
			return 0, io.EOF
		}
		select {
		case <-s.ready:
		case <-s.ended:
		case <-s.left:
		case <-limit.wait():
		}
	}
}

func (s *stream) take(b []byte) int {
	s.mu.Lock()
	n := copy(b, s.data[s.at:])
	s.at += n
	rest := len(s.data) - s.at
	if rest == 0 {
		s.data, s.at = s.data[:0], 0
	}
	s.mu.Unlock()
	if rest > 0 {
		token(s.ready)
	}
	if n > 0 {
		token(s.space)
	}
	return n
}

func (s *stream) write(b []byte, limit *deadline) (int, error) {
	written := 0
	for {
		switch {
		case isClosed(s.ended):
			return written, net.ErrClosed
		case isClosed(s.left):
			return written, io.ErrClosedPipe
		case isClosed(limit.wait()):
			return written, os.ErrDeadlineExceeded
		}
		written += s.put(b[written:])
		if written == len(b) {
			return written, nil
		}
		select {
		case <-s.space:
		case <-s.ended:
		case <-s.left:
		case <-limit.wait():
		}
	}
}

func (s *stream) put(b []byte) int {
	s.mu.Lock()
	unread := len(s.data) - s.at
	n := min(len(b), pipeBuffer-unread)
	if n > 0 && s.at > 0 && len(s.data)+n > cap(s.data) {
		s.data, s.at = append(s.data[:0], s.data[s.at:]...), 0
	}
	s.data = append(s.data, b[:n]...)
	s.mu.Unlock()
	if n > 0 {
		token(s.ready)
	}
	if unread+n < pipeBuffer {
		token(s.space) // for a second writer
	}
	return n
}

// deadline is a moment that can be waited for and moved. The zero value never comes.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	passed chan struct{}
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	return d.passed
}

// set moves the deadline; the zero Time takes it away. Waits under way notice an earlier deadline only when none had
// passed before, which is how net.Conn is used: set, then read.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		d.passed = nil // it fired, or is about to
	}
	d.timer = nil
	if d.passed == nil || isClosed(d.passed) {
		d.passed = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	passed := d.passed
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(passed) })
	} else {
		close(passed)
	}
}
