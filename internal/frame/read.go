package frame

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// firstStep is what Read allocates before it has seen a byte of a long header
// or body; it doubles as bytes arrive. So a length that lies costs no memory.
const firstStep = 256 << 10

// Read reads one frame. It returns io.EOF alone when the stream ends between
// frames. Its error wraps ErrMalformed for a length or a header that can't be
// and for a stream that ends within a frame, and the reader's own error
// otherwise; after either, the stream is useless.
//
// The body is freshly allocated and belongs to the caller. Strings of the
// header share one allocation, so a kept field keeps the header.
func Read(r *bufio.Reader) (*Frame, error) {
	prefix, err := r.Peek(prefixSize)
	if err != nil {
		if errors.Is(err, io.EOF) && len(prefix) == 0 {
			return nil, io.EOF
		}
		return nil, readError("length", err)
	}
	size := int32(binary.BigEndian.Uint32(prefix))
	word := binary.BigEndian.Uint32(prefix[4:])
	codec, header := Codec(word>>24), int(word&0xFFFFFF)
	if size < 4 || size > MaxSize {
		return nil, fmt.Errorf("%w: length %d, want 4 to %d", ErrMalformed, size, MaxSize)
	}
	body := int(size) - 4 - header
	if body < 0 {
		return nil, fmt.Errorf("%w: header of %d bytes in a frame of %d", ErrMalformed, header, size)
	}
	if codec != JSON && codec != Binary {
		return nil, fmt.Errorf("%w: header codec %d, want 0 (JSON) or 1 (RocketMQ)", ErrMalformed, codec)
	}
	if _, err := r.Discard(prefixSize); err != nil {
		return nil, readError("length", err)
	}
	text, err := readString(r, header)
	if err != nil {
		return nil, readError("header", err)
	}
	f := &Frame{Codec: codec}
	if codec == JSON {
		err = parseJSON(text, f)
	} else {
		err = parseBinary(text, f)
	}
	if err != nil {
		return nil, err
	}
	if f.Body, err = readBytes(r, body); err != nil {
		return nil, readError("body", err)
	}
	return f, nil
}

// readString reads n bytes; when they fit the reader's buffer, which headers
// do, the only allocation is the string.
func readString(r *bufio.Reader, n int) (string, error) {
	if n > r.Size() {
		b, err := readBytes(r, n)
		return string(b), err
	}
	b, err := r.Peek(n)
	if err != nil {
		return "", err
	}
	s := string(b)
	_, err = r.Discard(n)
	return s, err
}

// readBytes reads n bytes into memory of its own; nil for none.
func readBytes(r *bufio.Reader, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, min(n, firstStep))
	for read := 0; ; {
		if _, err := io.ReadFull(r, b[read:]); err != nil {
			return nil, err
		}
		if len(b) == n {
			return b, nil
		}
		read = len(b)
		grown := make([]byte, min(n, 2*read))
		copy(grown, b)
		b = grown
	}
}

func readError(part string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: stream ends within the %s: %w", ErrMalformed, part, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("frame: read %s: %w", part, err)
}
