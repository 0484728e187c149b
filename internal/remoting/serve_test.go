package remoting_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

// asking is a server that, once connected, sends requests and hands on what
// comes back.
func asking(requests []*frame.Frame, answers chan<- *frame.Frame) func(*session) {
	return func(s *session) {
		s.answer(s.next())
		var group sync.WaitGroup
		group.Go(func() {
			for _, req := range requests {
				s.send(req)
			}
		})
		for f := s.next(); f != nil; f = s.next() {
			answers <- f
		}
		group.Wait()
	}
}

func TestServerRequestsAreAnswered(t *testing.T) {
	tests := []struct {
		name   string
		handle func(ctx context.Context, address string, req *frame.Frame) *frame.Frame
		flag   int32
		code   int32 // -1: no answer
		remark string
	}{
		{"answer", func(_ context.Context, address string, req *frame.Frame) *frame.Frame {
			return &frame.Frame{Code: 17, Remark: address, Opaque: 5}
		}, 0, 17, "a:1"},
		{"one-way", func(context.Context, string, *frame.Frame) *frame.Frame { return &frame.Frame{} }, 2, -1, ""},
		{"nil answer", func(context.Context, string, *frame.Frame) *frame.Frame { return nil }, 0, -1, ""},
		{"no handler", nil, 0, 3, "takes no requests"},
		{"no handler, one-way", nil, 2, -1, ""},
		{"panic", func(context.Context, string, *frame.Frame) *frame.Frame { panic("oh") }, 0, 1, "oh"},
		{"answer too large", func(context.Context, string, *frame.Frame) *frame.Frame {
			return &frame.Frame{Body: make([]byte, frame.MaxSize)}
		}, 0, 1, "too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := make(chan *frame.Frame, 10)
				ask := &frame.Frame{Code: 307, Opaque: 4242, Flag: tt.flag}
				c := open(t, &network{serve: asking([]*frame.Frame{ask}, answers)}, remoting.Config{Handle: tt.handle})
				mustCall(t, c, "a:1", "x")
				synctest.Wait()
				if tt.code < 0 {
					if len(answers) > 0 {
						t.Errorf("answered %+v", <-answers)
					}
					return
				}
				if len(answers) != 1 {
					t.Fatalf("%d answers, want 1", len(answers))
				}
				got := <-answers
				if got.Code != tt.code || got.Opaque != 4242 || !got.IsAnswer() || !strings.Contains(got.Remark, tt.remark) {
					t.Errorf("answered %+v", got)
				}
			})
		})
	}
}

// A handler may call the server that asked, and one that takes its time holds
// up nobody.
func TestHandlersRunBesideCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *remoting.Client
		release := make(chan struct{})
		n := &network{serve: func(s *session) {
			s.send(&frame.Frame{Code: 1, Opaque: 1})
			echo(s)
		}}
		c = open(t, n, remoting.Config{Handle: func(ctx context.Context, address string, _ *frame.Frame) *frame.Frame {
			mustCall(t, c, address, "from Handle")
			<-release
			return nil
		}})
		mustCall(t, c, "a:1", "x")
		synctest.Wait()
		mustCall(t, c, "a:1", "beside")
		close(release)
	})
}

func TestHandlersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asks []*frame.Frame
		for i := range 1030 {
			asks = append(asks, &frame.Frame{Code: 1, Opaque: int32(i)})
		}
		answers := make(chan *frame.Frame, 2000)
		c := open(t, &network{serve: asking(asks, answers)}, remoting.Config{
			Handle: func(ctx context.Context, _ string, _ *frame.Frame) *frame.Frame {
				<-ctx.Done() // the connection's end, at the latest
				return nil
			}})
		mustCall(t, c, "a:1", "x")
		synctest.Wait()
		if len(answers) != 6 {
			t.Fatalf("%d turned away, want 6", len(answers))
		}
		if got := <-answers; got.Code != 2 {
			t.Errorf("turned away with code %d, want 2", got.Code)
		}
	})
}
