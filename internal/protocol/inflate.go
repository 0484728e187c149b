package protocol

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// Inflate replaces a compressed body by what it holds, and clears SysCompressed; on a message that isn't compressed it
// does nothing, so it may be called twice. Limit bounds the inflated body in bytes; 0 or less means 16 MiB. A body that
// would exceed it, or doesn't follow its format, is an error wrapping [ErrMalformed], and the message stays as it was.
func (m *Message) Inflate(limit int) error {
	if m.SysFlag&SysCompressed == 0 {
		return nil
	}
	if limit <= 0 {
		limit = frame.MaxSize
	}
	if len(m.Body) > 0 {
		body, err := inflate(m.Body, m.SysFlag&SysCompression, limit)
		if err != nil {
			return fmt.Errorf("inflate body of %d bytes: %w", len(m.Body), err)
		}
		m.Body = body
	}
	m.SysFlag &^= SysCompressed
	return nil
}

func inflate(body []byte, kind int32, limit int) ([]byte, error) {
	switch kind {
	case 0, SysZlib:
		r, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("%w: zlib: %w", ErrMalformed, err)
		}
		return readLimited("zlib", r, len(body), limit)
	case SysLZ4:
		return readLimited("lz4", lz4.NewReader(bytes.NewReader(body)), len(body), limit)
	case SysZstd:
		return inflateZstd(body, limit)
	}
	return nil, fmt.Errorf("%w: unknown compression %d", ErrMalformed, kind>>8)
}

// maxZstdWindow is how far back a frame may refer: Java's encoder, which doesn't know a body's length when it begins,
// announces 2 MiB for the smallest body. The decoder's own bound can't be lower than its bound for the window.
const maxZstdWindow = 8 << 20

// inflateZstd decodes into one growing slice, in this goroutine: no window is allocated, no goroutine started.
func inflateZstd(body []byte, limit int) ([]byte, error) {
	var head zstd.Header
	if err := head.Decode(body); err != nil {
		return nil, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	if head.HasFCS && head.FrameContentSize > uint64(limit) {
		return nil, tooLarge("zstd", limit)
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(max(limit, maxZstdWindow))), zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	defer r.Close()
	out, err := r.DecodeAll(body, nil)
	if len(out) > limit {
		return nil, tooLarge("zstd", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	return out, nil
}

func tooLarge(format string, limit int) error {
	return fmt.Errorf("%w: %s: more than %d bytes inflated", ErrMalformed, format, limit)
}

// readLimited reads r to its end. The buffer grows with what is really there, not with what a header promises.
func readLimited(format string, r io.Reader, compressed, limit int) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, min(4*compressed, limit)+bytes.MinRead))
	n, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if n > int64(limit) {
		return nil, tooLarge(format, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, format, err)
	}
	return out.Bytes(), nil
}
