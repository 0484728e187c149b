package remoting_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

// listen serves loopback connections until the test ends.
func listen(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback:", err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer nc.Close()
				serve(nc)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		group.Wait()
	})
	return l.Addr().String()
}

// Over real sockets, with callers that give up and a server that hangs up now
// and then, an answer is its caller's or there is none.
func TestAnswersNeverCross(t *testing.T) {
	t.Parallel()
	address := listen(t, func(nc net.Conn) {
		s := &session{Conn: nc, r: bufio.NewReader(nc)}
		for range 5000 {
			req := s.next()
			if req == nil {
				return
			}
			s.answer(req)
		}
	})
	c := remoting.New(remoting.Config{})
	defer c.Close()
	var answered, failed atomic.Int64
	var group sync.WaitGroup
	for caller := range 64 {
		group.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
				}
				key := fmt.Sprint(caller, "/", i)
				answer, err := c.Call(ctx, address, request(key))
				cancel()
				var transport *remoting.Error
				switch {
				case err == nil:
					answered.Add(1)
					if got, _ := answer.Fields.Get("key"); got != key {
						t.Errorf("%q was answered with %q", key, got)
					}
				case errors.As(err, &transport):
					failed.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if answered.Load() < 64*300/2 {
		t.Errorf("%d answered, %d failed", answered.Load(), failed.Load())
	}
}

// FuzzServer: whatever a server sends, a call ends, and so does everything of
// the Client.
func FuzzServer(f *testing.F) {
	answer, _ := frame.Append(nil, &frame.Frame{Opaque: 1, Flag: 1, Body: []byte("x")})
	ask, _ := frame.Append(nil, &frame.Frame{Code: 40, Opaque: 9})
	away, _ := frame.Append(nil, &frame.Frame{Code: 1500, Opaque: 1, Flag: 1})
	f.Add(answer)
	f.Add(append(ask, answer...))
	f.Add(away)
	f.Add(answer[:len(answer)-1])
	f.Add([]byte("\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := &network{serve: func(s *session) {
			var group sync.WaitGroup
			defer group.Wait()
			group.Go(func() { // what the client says
				for s.next() != nil {
				}
			})
			_, _ = s.Write(b)
			s.Close()
		}}
		c := remoting.New(remoting.Config{Dial: n.Dial, Handle: func(_ context.Context, _ string, req *frame.Frame) *frame.Frame {
			return req
		}})
		if got, err := c.Call(t.Context(), "a:1", request("x")); (got == nil) == (err == nil) {
			t.Errorf("answer %+v, error %v", got, err)
		}
		c.Close()
		n.group.Wait()
	})
}

// lean answers like a broker but allocates nothing, so that what a benchmark
// counts is the client's.
func lean(nc net.Conn, body int) {
	const head = `{"code":0,"extFields":{"msgId":"AC11000100002A9F0000000000000000","queueId":"3","queueOffset":"1234567"},"flag":1,"language":"JAVA","version":513,"opaque":`
	r := bufio.NewReaderSize(nc, 64<<10)
	var out, opaque []byte
	padding := make([]byte, body)
	for {
		prefix, err := r.Peek(8)
		if err != nil {
			return
		}
		size := int(prefix[0])<<24 | int(prefix[1])<<16 | int(prefix[2])<<8 | int(prefix[3])
		whole, err := r.Peek(4 + size)
		if err != nil {
			return
		}
		opaque = strconv.AppendInt(opaque[:0], int64(binary.BigEndian.Uint32(whole[13:])), 10)
		header := len(head) + len(opaque) + 1
		total := 4 + header + body
		out = append(out, byte(total>>24), byte(total>>16), byte(total>>8), byte(total), 0, 0, byte(header>>8), byte(header))
		out = append(append(append(append(out, head...), opaque...), '}'), padding...)
		_, _ = r.Discard(4 + size)
		if r.Buffered() < 8 {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

func sendRequest() *frame.Frame {
	f := &frame.Frame{Code: 310, Body: make([]byte, 1024)}
	for i := range 13 {
		f.Fields = append(f.Fields, frame.Field{Key: string(rune('a' + i)), Value: strconv.Itoa(i * 1000)})
	}
	f.Fields[8].Value = "KEYS\x01order-1\x02UNIQ_KEY\x01AC1100010000\x02TAGS\x01a\x02"
	return f
}

func TestCallAllocatesLittle(t *testing.T) {
	address := listen(t, func(nc net.Conn) { lean(nc, 0) })
	c := remoting.New(remoting.Config{})
	defer c.Close()
	req := sendRequest()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := testing.AllocsPerRun(2000, func() {
		if _, err := c.Call(ctx, address, req); err != nil {
			t.Fatal(err)
		}
	})
	if got > 5 { // 3 are the answer: frame, header, fields
		t.Errorf("Call allocates %v times, want at most 5", got)
	}
}

func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			address := listen(b, func(nc net.Conn) { lean(nc, 0) })
			c := remoting.New(remoting.Config{})
			defer c.Close()
			req := sendRequest()
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					defer cancel()
					for left.Add(-1) >= 0 {
						if _, err := c.Call(ctx, address, req); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// BenchmarkPull is the receiving side: answers of 32 messages of 1 KiB, 8
// queues pulling.
func BenchmarkPull(b *testing.B) {
	address := listen(b, func(nc net.Conn) { lean(nc, 32<<10) })
	c := remoting.New(remoting.Config{})
	defer c.Close()
	req := &frame.Frame{Code: 11, Fields: sendRequest().Fields}
	b.ReportAllocs()
	b.SetBytes(32 << 10)
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				answer, err := c.Call(context.Background(), address, req)
				if err != nil || len(answer.Body) != 32<<10 {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
