package bare

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Send keeps callers requests under way on one connection, each with a body of size bytes to one of topic's queues in
// turn, until ctx ends, which is no error. The requests are made beforehand. It calls sent with the number that the
// broker has just stored.
func Send(ctx context.Context, address, topic, group string, queues, callers, size int, sent func(messages int64)) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() }) // it ends the read
	defer stop()
	defer func() { _ = nc.Close() }()
	requests, err := sends(topic, group, queues, callers, size)
	if err != nil {
		return err
	}
	s := sender{nc: nc, r: bufio.NewReaderSize(nc, readBuffer), requests: requests}
	if err := s.run(sent); ctx.Err() == nil {
		return err
	}
	return nil
}

func sends(topic, group string, queues, callers, size int) (requests [][]byte, err error) {
	ids := protocol.NewIDs(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1)
	for i := range callers {
		f := protocol.SendMessage{
			ProducerGroup: group, Topic: topic, QueueID: int32(i % queues), BornTime: time.Now().UnixMilli(),
			Properties: protocol.AppendProperty(nil, protocol.PropertyUniqueKey, ids.Next(time.Now())),
			Body:       bytes.Repeat([]byte{'x'}, size),
		}.Frame()
		f.Opaque = int32(i)
		request, err := frame.Append(nil, f)
		if err != nil {
			return nil, err
		}
		requests = append(requests, request)
	}
	return requests, nil
}

type sender struct {
	nc       net.Conn
	r        *bufio.Reader
	requests [][]byte // by opaque
	out      []byte
}

func (s *sender) run(sent func(int64)) error {
	for _, request := range s.requests {
		s.out = append(s.out, request...)
	}
	for {
		if s.r.Buffered() == 0 {
			if _, err := s.nc.Write(s.out); err != nil {
				return fmt.Errorf("bare: %w", err)
			}
			s.out = s.out[:0]
		}
		opaque, err := s.answer()
		if err != nil {
			return err
		}
		sent(1)
		s.out = append(s.out, s.requests[opaque]...)
	}
}

// answer reads one frame and says which request it answers.
func (s *sender) answer() (opaque int, err error) {
	prefix, err := s.r.Peek(4)
	if err != nil {
		return 0, ended(err)
	}
	size := 4 + int(binary.BigEndian.Uint32(prefix))
	whole, err := s.r.Peek(size)
	if err != nil {
		return 0, ended(err)
	}
	n, ok := number(whole, `"opaque":`)
	if code, success := number(whole, `"code":`); !success || code != 0 || !ok || n < 0 || int(n) >= len(s.requests) {
		return 0, fmt.Errorf("bare: not stored: %s", whole[8:])
	}
	_, err = s.r.Discard(size)
	return int(n), err
}
