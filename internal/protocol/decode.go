package protocol

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// Magic numbers of the two store formats, RocketMQ's enum MessageVersion. V2 has a topic length of 2 bytes and is
// used for topics longer than 127 bytes; 4.9 knows only the first.
const (
	magicV1 uint32 = 0xdaa320a7
	magicV2 uint32 = 0xdaa320ab
)

const (
	fixedHead      = 48 // total size to born time
	minMessage     = fixedHead + 8 + 8 + 8 + 4 + 8 + 4 + 1 + 2
	needsUnwrap    = SysInnerBatch | SysNeedUnwrap
	maxInnerNumber = 1<<15 - 1     // a broker counts an inner batch's messages in 16 bits
	maxUnwrapped   = frame.MaxSize // bytes that the compressed inner batches of one block may inflate to
)

// DecodeMessages reads the messages of a pull's body. Batches that a broker stored as one message (INNER_BATCH) come
// taken apart; bodies stay compressed until Inflate.
//
// The block is neither copied nor changed, and must not be changed while a message lives. Topic is what the caller
// expects to find: messages of that topic share its string. On an error, which wraps [ErrMalformed], the messages
// before the bad one are returned with it.
func DecodeMessages(block []byte, topic string) ([]Message, error) {
	if len(block) == 0 {
		return nil, nil
	}
	d := decoder{topic: topic, budget: maxUnwrapped}
	msgs := make([]Message, 0, countMessages(block))
	for at := 0; at < len(block); {
		size := messageSize(block[at:])
		if size == 0 {
			return msgs, fmt.Errorf("message %d at byte %d of %d: %w: bad length", len(msgs), at, len(block), ErrMalformed)
		}
		n := len(msgs)
		msgs = append(msgs, Message{})
		err := d.decode(block[at:at+size:at+size], &msgs[n])
		if err == nil && msgs[n].SysFlag&needsUnwrap == needsUnwrap {
			outer := msgs[n]
			msgs, err = d.unwrap(msgs[:n], &outer)
		}
		if err != nil {
			return msgs[:n], fmt.Errorf("message %d at byte %d of %d: %w", n, at, len(block), err)
		}
		at += size
	}
	return msgs, nil
}

// messageSize reads the length a message begins with; 0 when it can't be right.
func messageSize(b []byte) int {
	if len(b) < minMessage {
		return 0
	}
	size := binary.BigEndian.Uint32(b)
	if size < minMessage || uint64(size) > uint64(len(b)) {
		return 0
	}
	return int(size)
}

// countMessages walks the lengths only, so that one slice of the right size is made.
func countMessages(block []byte) int {
	n := 0
	for size := messageSize(block); size > 0; size = messageSize(block) {
		n++
		block = block[size:]
	}
	return n
}

type decoder struct {
	topic  string
	budget int
}

// decode reads the message that fills b. Bytes after the properties are skipped, as the length says they belong to it.
func (d *decoder) decode(b []byte, m *Message) error {
	be := binary.BigEndian
	topicLength := 1
	switch magic := be.Uint32(b[4:]); magic {
	case magicV1:
	case magicV2:
		topicLength = 2
	default:
		return fmt.Errorf("%w: unknown magic number %#x", ErrMalformed, magic)
	}
	m.BodyCRC = be.Uint32(b[8:])
	m.QueueID = int32(be.Uint32(b[12:]))
	m.Flag = int32(be.Uint32(b[16:]))
	m.QueueOffset = int64(be.Uint64(b[20:]))
	m.CommitLogOffset = int64(be.Uint64(b[28:]))
	m.SysFlag = int32(be.Uint32(b[36:]))
	m.BornMillis = int64(be.Uint64(b[40:]))

	bornHost, storeHost := 8, 8
	if m.SysFlag&SysBornV6 != 0 {
		bornHost = 20
	}
	if m.SysFlag&SysStoreV6 != 0 {
		storeHost = 20
	}
	rest := b[fixedHead:]
	if len(rest) < bornHost+8+storeHost+4+8+4 {
		return fmt.Errorf("%w: ends within its header", ErrMalformed)
	}
	m.BornHost, rest = hostAt(rest[:bornHost]), rest[bornHost:]
	m.StoreMillis, rest = int64(be.Uint64(rest)), rest[8:]
	m.StoreHost, rest = hostAt(rest[:storeHost]), rest[storeHost:]
	m.ReconsumeTimes = int32(be.Uint32(rest))
	m.PreparedOffset = int64(be.Uint64(rest[4:]))
	bodyLength, rest := be.Uint32(rest[12:]), rest[16:]

	if uint64(bodyLength) > uint64(len(rest)) {
		return fmt.Errorf("%w: a body of %d bytes with %d left", ErrMalformed, bodyLength, len(rest))
	}
	if bodyLength > 0 {
		m.Body = rest[:bodyLength:bodyLength]
	}
	return d.decodeTail(rest[bodyLength:], topicLength, m)
}

// decodeTail reads the topic and the properties.
func (d *decoder) decodeTail(rest []byte, topicLength int, m *Message) error {
	if len(rest) < topicLength {
		return fmt.Errorf("%w: ends before its topic", ErrMalformed)
	}
	n := int(rest[0])
	if topicLength == 2 {
		n = int(binary.BigEndian.Uint16(rest))
	}
	rest = rest[topicLength:]
	if n+2 > len(rest) {
		return fmt.Errorf("%w: a topic of %d bytes with %d left", ErrMalformed, n, len(rest))
	}
	if string(rest[:n]) != d.topic { // makes no string
		d.topic = string(rest[:n])
	}
	m.Topic = d.topic

	rest = rest[n:]
	n = int(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	if n > len(rest) {
		return fmt.Errorf("%w: properties of %d bytes with %d left", ErrMalformed, n, len(rest))
	}
	if n > 0 {
		m.Properties = Properties(rest[:n:n])
	}
	return nil
}

// unwrap appends the messages inside of an inner batch. They take the outer message's place in the queue, one offset
// each, and everything else of it that they don't carry themselves.
func (d *decoder) unwrap(msgs []Message, outer *Message) ([]Message, error) {
	if outer.SysFlag&SysCompressed != 0 {
		if err := outer.Inflate(max(d.budget, 1)); err != nil {
			return msgs, err
		}
		d.budget -= len(outer.Body)
	}
	n, err := countBatch(outer.Body)
	if err != nil {
		return msgs, fmt.Errorf("inner batch: %w", err)
	}
	if n > maxInnerNumber {
		return msgs, fmt.Errorf("inner batch: %w: %d messages", ErrMalformed, n)
	}
	msgs = slices.Grow(msgs, n)
	rest := outer.Body
	for i := range n {
		var inner BatchMessage
		inner, rest = nextBatchMessage(rest)
		m := *outer
		m.QueueOffset += int64(i)
		m.SysFlag &^= needsUnwrap
		m.Flag, m.Body, m.Properties = inner.Flag, inner.Body, inner.Properties
		m.BodyCRC = BodyCRC(inner.Body)
		msgs = append(msgs, m)
	}
	return msgs, nil
}
