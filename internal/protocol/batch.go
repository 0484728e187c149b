package protocol

import (
	"encoding/binary"
	"fmt"
)

// BatchMessage is one message of a batch as a producer sends it: what a batch shares (topic, queue, times) isn't there.
type BatchMessage struct {
	Flag       int32
	Body       []byte
	Properties Properties
}

const minBatchMessage = 4 + 4 + 4 + 4 + 4 + 2

// AppendBatchMessage appends a message in the format of request 320's body (Java's MessageDecoder.encodeMessage) and
// returns the extended slice. Properties above MaxProperties are cut off.
func AppendBatchMessage(dst []byte, flag int32, body, properties []byte) []byte {
	be := binary.BigEndian
	properties = properties[:min(len(properties), MaxProperties)]
	dst = be.AppendUint32(dst, uint32(minBatchMessage+len(body)+len(properties)))
	dst = be.AppendUint64(dst, 0) // magic number and checksum: the broker fills in its own
	dst = be.AppendUint32(dst, uint32(flag))
	dst = be.AppendUint32(dst, uint32(len(body)))
	dst = append(dst, body...)
	dst = be.AppendUint16(dst, uint16(len(properties)))
	return append(dst, properties...)
}

// SplitBatchMessage gives the body and the properties of one message that AppendBatchMessage wrote. They lie in it.
func SplitBatchMessage(message []byte) (body, properties []byte) {
	end := 20 + binary.BigEndian.Uint32(message[16:])
	return message[20:end:end], message[end+2:]
}

// DecodeBatchMessages reads what AppendBatchMessage wrote. Bodies and properties lie in the block. An error wraps
// [ErrMalformed]; no messages are returned with it, as a broker takes a batch whole or not at all.
func DecodeBatchMessages(block []byte) ([]BatchMessage, error) {
	n, err := countBatch(block)
	if err != nil || n == 0 {
		return nil, err
	}
	msgs := make([]BatchMessage, n)
	for i := range msgs {
		msgs[i], block = nextBatchMessage(block)
	}
	return msgs, nil
}

// countBatch checks every length of a batch, so that nextBatchMessage needs to check none.
func countBatch(block []byte) (int, error) {
	be := binary.BigEndian
	n := 0
	for rest := block; len(rest) > 0; n++ {
		at := len(block) - len(rest)
		if len(rest) < minBatchMessage {
			return 0, fmt.Errorf("batched message %d at byte %d: %w: cut short", n, at, ErrMalformed)
		}
		size, body := uint64(be.Uint32(rest)), uint64(be.Uint32(rest[16:]))
		if size > uint64(len(rest)) || minBatchMessage+body > size {
			return 0, fmt.Errorf("batched message %d at byte %d: %w: bad length", n, at, ErrMalformed)
		}
		if properties := uint64(be.Uint16(rest[20+body:])); minBatchMessage+body+properties != size {
			return 0, fmt.Errorf("batched message %d at byte %d: %w: lengths disagree", n, at, ErrMalformed)
		}
		rest = rest[size:]
	}
	return n, nil
}

// nextBatchMessage takes the first message off a block that countBatch has passed.
func nextBatchMessage(block []byte) (BatchMessage, []byte) {
	be := binary.BigEndian
	size, body := be.Uint32(block), be.Uint32(block[16:])
	m := BatchMessage{Flag: int32(be.Uint32(block[12:]))}
	if body > 0 {
		m.Body = block[20 : 20+body : 20+body]
	}
	if properties := block[22+body : size : size]; len(properties) > 0 {
		m.Properties = properties
	}
	return m, block[size:]
}
