package protocol

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Deflater compresses bodies in one of the formats of RocketMQ's enum CompressionType. Make it with [NewDeflater]. Safe for
// concurrent use; it keeps the compressors' memory for the next body.
type Deflater struct {
	kind  int32     // SysZlib, SysLZ4 or SysZstd
	spare sync.Pool // *deflating
}

// deflating is the memory of one compression.
type deflating struct {
	buf  []byte
	zlib *zlib.Writer
	lz4  *lz4.Writer
	zstd *zstd.Encoder
}

// zlibLevel is what the Java client and rocketmq-client-go compress with (producer's compressMsgLevel).
const zlibLevel = 5

// NewDeflater makes a Deflater for SysZlib, SysLZ4 or SysZstd; others are an error.
func NewDeflater(kind int32) (*Deflater, error) {
	d := &Deflater{kind: kind}
	one, err := d.begin()
	if err != nil {
		return nil, err
	}
	d.spare.Put(one)
	return d, nil
}

// begin makes a compressor. It starts no goroutine.
func (d *Deflater) begin() (*deflating, error) {
	one, err := &deflating{}, error(nil)
	switch d.kind {
	case SysZlib:
		one.zlib, err = zlib.NewWriterLevel(nil, zlibLevel)
	case SysLZ4:
		one.lz4 = lz4.NewWriter(nil)
		// Java reads frames whose blocks depend on none before. The smallest blocks cost the least memory on both sides.
		err = one.lz4.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ConcurrencyOption(1))
	case SysZstd:
		one.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	default:
		err = fmt.Errorf("unknown compression %d", d.kind>>8)
	}
	return one, err
}

// Deflate appends the compressed body to dst, and gives the SysFlag bits that say so. When compression doesn't make
// the body smaller, or fails, ok is false and dst as it was.
func (d *Deflater) Deflate(dst, body []byte) (out []byte, sysFlag int32, ok bool) {
	one, _ := d.spare.Get().(*deflating)
	if one == nil {
		var err error
		if one, err = d.begin(); err != nil {
			return dst, 0, false
		}
	}
	defer d.spare.Put(one)
	compressed, err := one.deflate(body)
	if err != nil || len(compressed) >= len(body) {
		return dst, 0, false
	}
	return append(dst, compressed...), SysCompressed | d.kind, true
}

// deflate gives the compressed body, which lies in memory that the next compression uses.
func (one *deflating) deflate(body []byte) ([]byte, error) {
	if one.zstd != nil {
		one.buf = one.zstd.EncodeAll(body, one.buf[:0])
		return one.buf, nil
	}
	out := bytes.NewBuffer(one.buf[:0])
	var w io.WriteCloser
	if one.lz4 != nil {
		one.lz4.Reset(out)
		w = one.lz4
	} else {
		one.zlib.Reset(out)
		w = one.zlib
	}
	_, err := w.Write(body)
	if end := w.Close(); err == nil {
		err = end
	}
	one.buf = out.Bytes()
	return one.buf, err
}
