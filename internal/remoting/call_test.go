package remoting_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

func TestAnswersFindTheirCallsInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 50
		n := &network{serve: func(s *session) {
			var got []*frame.Frame
			for range calls {
				got = append(got, s.next())
			}
			for _, req := range slices.Backward(got) {
				s.answer(req)
			}
			s.next()
		}}
		c := open(t, n, remoting.Config{})
		var group sync.WaitGroup
		for i := range calls {
			group.Go(func() { mustCall(t, c, "a:1", fmt.Sprint(i)) })
		}
		group.Wait()
		if n.dialed() != 1 {
			t.Errorf("%d dials, want the callers to share one", n.dialed())
		}
		if got := c.Addresses(); !slices.Equal(got, []string{"a:1"}) {
			t.Errorf("addresses %v", got)
		}
	})
}

func TestCallLeavesTheRequestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan *frame.Frame, 3)
		n := &network{serve: func(s *session) {
			for req := s.next(); req != nil; req = s.next() {
				seen <- req
				s.answer(req)
			}
		}}
		c := open(t, n, remoting.Config{})
		req := &frame.Frame{Code: 10, Opaque: 99, Flag: 3, Fields: frame.Fields{{Key: "a", Value: "b"}}, Body: []byte("x")}
		before := *req
		for range 2 {
			if _, err := c.Call(t.Context(), "a:1", req); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Send(t.Context(), "a:1", req); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*req, before) {
			t.Errorf("request is now %+v", req)
		}
		first, second, third := <-seen, <-seen, <-seen
		if first.Flag != 0 || second.Flag != 0 || third.Flag != 2 {
			t.Errorf("flags %d, %d and one-way %d", first.Flag, second.Flag, third.Flag)
		}
		if first.Opaque == second.Opaque || second.Opaque == third.Opaque {
			t.Error("two requests share an opaque")
		}
	})
}

func TestCancelLeavesTheConnectionUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: func(s *session) {
			late := s.next()
			second := s.next()
			s.answer(late)
			s.answer(second)
			echo(s)
		}}
		c := open(t, n, remoting.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Hour) // silent for long, but it is no deadline
			cancel()
		}()
		_, err := c.Call(ctx, "a:1", request("late"))
		wantError(t, err, "a:1", "wait", context.Canceled)
		mustCall(t, c, "a:1", "second")
		mustCall(t, c, "a:1", "third")
		if n.dialed() != 1 {
			t.Errorf("%d dials, want 1", n.dialed())
		}
		_, err = c.Call(ctx, "a:1", request("ended before"))
		wantError(t, err, "a:1", "wait", context.Canceled)
	})
}

func TestServerGoneFailsPendingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: func(s *session) {
			if s.dial > 1 {
				echo(s)
				return
			}
			for range 10 {
				s.next()
			}
		}}
		c := open(t, n, remoting.Config{})
		start := time.Now()
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				_, err := c.Call(t.Context(), "a:1", request("x"))
				wantError(t, err, "a:1", "read", nil)
			})
		}
		group.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("calls failed after %v", d)
		}
		mustCall(t, c, "a:1", "again") // at once: a broken connection is no failed dial
	})
}

func TestOversizedRequestHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, &network{serve: echo}, remoting.Config{})
		_, err := c.Call(t.Context(), "a:1", &frame.Frame{Body: make([]byte, frame.MaxSize)})
		var transport *remoting.Error
		if !errors.Is(err, frame.ErrTooLarge) || errors.As(err, &transport) {
			t.Errorf("error %v, want ErrTooLarge and no transport error", err)
		}
		mustCall(t, c, "a:1", "small")
	})
}

func TestGoAwayMovesToANewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := make(chan *session, 1)
		n := &network{serve: func(s *session) {
			if s.dial > 1 {
				echo(s)
				return
			}
			slow := s.next()
			s.send(&frame.Frame{Code: 1500, Opaque: s.next().Opaque, Flag: 1})
			time.Sleep(time.Minute)
			s.answer(slow)
			old <- s
			if s.next() != nil {
				t.Error("a request after GO_AWAY")
			}
		}}
		c := open(t, n, remoting.Config{})
		var group sync.WaitGroup
		group.Go(func() { mustCall(t, c, "a:1", "slow") })
		synctest.Wait()
		mustCall(t, c, "a:1", "moved")
		mustCall(t, c, "a:1", "after")
		group.Wait() // the old connection answers what it took
		<-old
		if n.dialed() != 2 {
			t.Errorf("%d dials, want 2", n.dialed())
		}
	})
}

func TestGoAwayTwiceIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: func(s *session) {
			for req := s.next(); req != nil; req = s.next() {
				s.send(&frame.Frame{Code: 1500, Opaque: req.Opaque, Flag: 1})
			}
		}}
		c := open(t, n, remoting.Config{})
		_, err := c.Call(t.Context(), "a:1", request("x"))
		wantError(t, err, "a:1", "wait", nil)
		if got := c.Addresses(); len(got) > 0 {
			t.Errorf("still connected: %v", got)
		}
	})
}

func TestWritesAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int32
		begin := make(chan struct{})
		n := &network{serve: func(s *session) {
			<-begin
			echo(s)
		}}
		c := remoting.New(remoting.Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := n.Dial(ctx, network, address)
			return writeCounter{nc, &writes}, err
		}})
		defer n.group.Wait()
		defer c.Close()
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() { mustCall(t, c, "a:1", fmt.Sprint(i)) })
		}
		synctest.Wait()
		close(begin)
		group.Wait()
		if got := writes.Load(); got > 2 {
			t.Errorf("%d writes for 200 requests that stood in line, want at most 2", got)
		}
	})
}

type writeCounter struct {
	net.Conn
	n *atomic.Int32
}

func (w writeCounter) Write(b []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(b)
}

func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := make(chan struct{})
		n := &network{serve: func(s *session) {
			<-begin
			echo(s)
		}}
		c := open(t, n, remoting.Config{})
		body := bytes.Repeat([]byte("x"), 1<<20)
		var sent atomic.Int32
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if err := c.Send(t.Context(), "a:1", &frame.Frame{Code: 10, Body: body}); err != nil {
					t.Error(err)
				}
				sent.Add(1)
			})
		}
		synctest.Wait()
		if got := sent.Load(); got < 3 || got > 9 { // 4 MiB in line, as much being written
			t.Errorf("%d MiB accepted from a peer that reads nothing", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantError(t, c.Send(ctx, "a:1", &frame.Frame{Body: body}), "a:1", "wait", context.DeadlineExceeded)
		close(begin)
		group.Wait()
		if got := sent.Load(); got != 20 {
			t.Errorf("%d sent once the peer reads, want 20", got)
		}
		mustCall(t, c, "a:1", "after")
	})
}
