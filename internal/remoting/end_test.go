package remoting_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

func TestSilentPeerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: func(s *session) {
			if s.dial > 1 {
				echo(s)
				return
			}
			hole(s)
		}}
		c := open(t, n, remoting.Config{})
		var group sync.WaitGroup
		group.Go(func() {
			_, err := c.Call(t.Context(), "a:1", request("patient"))
			wantError(t, err, "a:1", "read", nil)
		})
		short, cancel := context.WithTimeout(t.Context(), 1999*time.Millisecond)
		defer cancel()
		_, err := c.Call(short, "a:1", request("short"))
		wantError(t, err, "a:1", "wait", context.DeadlineExceeded)
		if len(c.Addresses()) != 1 {
			t.Fatal("closed by a call that waited less than 2s")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = c.Call(ctx, "a:1", request("x"))
		wantError(t, err, "a:1", "wait", context.DeadlineExceeded)
		group.Wait()
		mustCall(t, c, "a:1", "on a new connection")
	})
}

// Bytes of a long answer under way are a sign of life.
func TestSlowPeerIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: func(s *session) {
			req := s.next()
			b, _ := frame.Append(nil, &frame.Frame{Opaque: req.Opaque, Flag: 1, Body: make([]byte, 10)})
			for i := range b {
				time.Sleep(time.Second)
				if _, err := s.Write(b[i : i+1]); err != nil {
					return
				}
			}
			echo(s)
		}}
		c := open(t, n, remoting.Config{})
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := c.Call(t.Context(), "a:1", request("long")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := c.Call(ctx, "a:1", request("x"))
		wantError(t, err, "a:1", "wait", context.DeadlineExceeded)
		group.Wait()
	})
}

// A peer that stops reading as well: callers wait for room in the line.
func TestDeafPeerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		defer close(stop)
		n := &network{serve: func(*session) { <-stop }}
		c := remoting.New(remoting.Config{Dial: n.Dial})
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var err error
		for err == nil {
			err = c.Send(ctx, "a:1", &frame.Frame{Body: make([]byte, 1<<20)})
		}
		wantError(t, err, "a:1", "wait", context.DeadlineExceeded)
		if got := c.Addresses(); len(got) > 0 {
			t.Errorf("still connected: %v", got)
		}
	})
}

func TestHostileServer(t *testing.T) {
	tests := map[string]string{
		"garbage":         "HTTP/1.1 400 Bad Request\r\n\r\n",
		"negative length": "\xff\xff\xff\xff\x00\x00\x00\x02{}",
		"huge length":     "\x7f\xff\xff\xff\x00\x00\x00\x02{}",
		"bad header":      "\x00\x00\x00\x06\x00\x00\x00\x02[]",
		"deep header":     "\x00\x00\x07\xd9\x00\x00\x07\xd5{\"x\":" + strings.Repeat("[", 2000),
		"strange codec":   "\x00\x00\x00\x06\x09\x00\x00\x02{}",
	}
	for name, bytes := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: func(s *session) {
					s.next()
					if s.dial > 1 {
						return
					}
					io.WriteString(s, bytes)
					hole(s) // the client hangs up
				}}
				c := open(t, n, remoting.Config{})
				_, err := c.Call(t.Context(), "a:1", request("x"))
				wantError(t, err, "a:1", "read", frame.ErrMalformed)
				if got := c.Addresses(); len(got) > 0 {
					t.Errorf("still connected: %v", got)
				}
			})
		})
	}
}

func TestStrayAnswersAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: func(s *session) {
			for req := s.next(); req != nil; req = s.next() {
				s.send(&frame.Frame{Opaque: req.Opaque + 1000, Flag: 1})
				s.answer(req)
				s.answer(req)
			}
		}}
		c := open(t, n, remoting.Config{})
		for _, key := range []string{"a", "b", "c"} {
			mustCall(t, c, "a:1", key)
		}
	})
}

func TestDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: func(s *session) {
			if s.dial > 1 {
				echo(s)
				return
			}
			hole(s)
		}}
		c := open(t, n, remoting.Config{})
		c.Drop("a:1") // nothing there
		var group sync.WaitGroup
		group.Go(func() {
			_, err := c.Call(t.Context(), "a:1", request("x"))
			wantError(t, err, "a:1", "wait", nil)
		})
		synctest.Wait()
		c.Drop("a:1")
		group.Wait()
		if got := c.Addresses(); len(got) > 0 {
			t.Errorf("still connected: %v", got)
		}
		mustCall(t, c, "a:1", "on a new connection")
	})
}

func TestCloseFailsCallsAndWritesWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		n := &network{serve: func(s *session) {
			time.Sleep(100 * time.Millisecond) // Close comes first
			for req := s.next(); req != nil; req = s.next() {
				key, _ := req.Fields.Get("key")
				got = append(got, key)
			}
		}}
		c := remoting.New(remoting.Config{Dial: n.Dial})
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := c.Call(t.Context(), "a:1", request("call")); err != remoting.ErrClosed {
				t.Errorf("pending call: %v, want ErrClosed", err)
			}
		})
		synctest.Wait()
		if err := c.Send(t.Context(), "a:1", request("last words")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			group.Go(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		n.group.Wait()
		if len(got) != 2 || got[1] != "last words" {
			t.Errorf("the server got %q", got)
		}
		if _, err := c.Call(t.Context(), "a:1", request("x")); err != remoting.ErrClosed {
			t.Errorf("call after Close: %v, want ErrClosed", err)
		}
		if err := c.Send(t.Context(), "b:1", request("x")); err != remoting.ErrClosed {
			t.Errorf("send after Close: %v, want ErrClosed", err)
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		defer close(stop)
		n := &network{serve: func(*session) { <-stop }}
		c := remoting.New(remoting.Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "slow:1" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return n.Dial(ctx, network, address)
		}})
		var group sync.WaitGroup
		for _, address := range []string{"deaf:1", "slow:1"} {
			group.Go(func() {
				if _, err := c.Call(t.Context(), address, request("x")); !errors.Is(err, remoting.ErrClosed) {
					t.Errorf("%s: %v, want ErrClosed", address, err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		c.Close()
		if d := time.Since(start); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		group.Wait()
	})
}

func TestCloseMeetsADialThatSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: echo}
		c := remoting.New(remoting.Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(time.Second) // heeds nobody
			return n.Dial(ctx, network, address)
		}})
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := c.Call(t.Context(), "a:1", request("x")); err != remoting.ErrClosed {
				t.Errorf("error %v, want ErrClosed", err)
			}
		})
		synctest.Wait()
		c.Close()
		group.Wait()
		n.group.Wait() // the connection was closed
	})
}
