package bare

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

const readBuffer = 256 << 10

// Pull reads topic's queues of one broker from their beginning, over one connection on which every queue always has a
// pull under way. It hands the number of messages of each answer to count, and the answers to nobody. It returns when
// count says that this is all.
func Pull(ctx context.Context, address, topic, group string, queues int, count func(messages int64) (all bool)) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() }) // it ends the read
	defer stop()
	defer func() { _ = nc.Close() }()
	p := puller{nc: nc, r: bufio.NewReaderSize(nc, readBuffer), topic: topic, group: group, position: make([]int64, queues)}
	err = p.run(count)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

type puller struct {
	nc           net.Conn
	r            *bufio.Reader
	topic, group string
	out          []byte
	position     []int64 // by queue, whose id is the opaque of its pulls
}

func (p *puller) run(count func(int64) bool) error {
	for queue := range p.position {
		if err := p.ask(queue); err != nil {
			return err
		}
	}
	for {
		if p.r.Buffered() == 0 && len(p.out) > 0 { // what was asked meanwhile goes out at once
			if _, err := p.nc.Write(p.out); err != nil {
				return fmt.Errorf("bare: %w", err)
			}
			p.out = p.out[:0]
		}
		queue, next, err := p.answer()
		if err != nil {
			return err
		}
		messages := next - p.position[queue]
		p.position[queue] = next
		if messages > 0 && count(messages) {
			return nil
		}
		if err := p.ask(queue); err != nil {
			return err
		}
	}
}

// ask puts a queue's next pull in line.
func (p *puller) ask(queue int) (err error) {
	f := protocol.PullMessage{
		Group: p.group, Topic: p.topic, QueueID: int32(queue), Offset: p.position[queue], MaxMessages: 32,
		SysFlag: protocol.PullSuspend | protocol.PullSubscription, Subscription: "*", SuspendMillis: 15_000,
	}.Frame()
	f.Opaque = int32(queue)
	p.out, err = frame.Append(p.out, f)
	return err
}

// answer reads one frame, of which it looks at two numbers.
func (p *puller) answer() (queue int, next int64, err error) {
	prefix, err := p.r.Peek(8)
	if err != nil {
		return 0, 0, ended(err)
	}
	size, word := binary.BigEndian.Uint32(prefix), binary.BigEndian.Uint32(prefix[4:])
	length := int(word & 0xffffff)
	if word>>24 != 0 {
		return 0, 0, errors.New("bare: the header isn't JSON")
	}
	header, err := p.r.Peek(8 + length)
	if err != nil {
		return 0, 0, ended(err)
	}
	opaque, ok := number(header, `"opaque":`)
	next, found := number(header, `"nextBeginOffset":"`)
	if !ok || !found || opaque < 0 || int(opaque) >= len(p.position) {
		return 0, 0, fmt.Errorf("bare: no answer to a pull: %s", header[8:])
	}
	if _, err := p.r.Discard(4 + int(size)); err != nil {
		return 0, 0, ended(err)
	}
	return int(opaque), next, nil
}

// number reads the digits behind a key.
func number(header []byte, key string) (int64, bool) {
	at := bytes.Index(header, []byte(key))
	if at < 0 {
		return 0, false
	}
	digits := header[at+len(key):]
	end := bytes.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(digits[:end]), 10, 64)
	return n, err == nil
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("bare: %w", err)
}
