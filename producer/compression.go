package producer

import (
	"fmt"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// DefaultCompressionThreshold is Compression.Threshold when that is 0: 4 KiB, as of the Java client and rocketmq-client-go.
const DefaultCompressionThreshold = 4 << 10

// Compression says which bodies are compressed. The zero value compresses none, while the Java client and
// rocketmq-client-go compress by zlib from 4 KiB on: Compression{Algorithm: Zlib} does as they do. What compression
// doesn't make smaller goes out as it is, and so do the messages of batches, whose form has no room to say it.
type Compression struct {
	// Algorithm must be one that every consumer of the topic knows: Zlib they all know, while LZ4 and Zstd are known to
	// rocketkit and to Java clients from 5.0 on, not to rocketmq-client-go.
	Algorithm CompressionAlgorithm

	// Threshold is the size in bytes from which on bodies are compressed; 0 means DefaultCompressionThreshold.
	Threshold int
}

// CompressionAlgorithm is a way to compress, by the number that RocketMQ gives it (CompressionType).
type CompressionAlgorithm int

// The ways to compress.
const (
	NoCompression CompressionAlgorithm = 0
	LZ4           CompressionAlgorithm = CompressionAlgorithm(protocol.SysLZ4 >> compressionShift)  // quick
	Zstd          CompressionAlgorithm = CompressionAlgorithm(protocol.SysZstd >> compressionShift) // small and quick
	Zlib          CompressionAlgorithm = CompressionAlgorithm(protocol.SysZlib >> compressionShift) // readable by all
)

const compressionShift = 8 // where SysFlag has the algorithm

// String gives the algorithm's name.
func (a CompressionAlgorithm) String() string {
	switch a {
	case NoCompression:
		return "none"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	case Zlib:
		return "zlib"
	}
	return fmt.Sprintf("CompressionAlgorithm(%d)", int(a))
}

// complete validates c and fills in its defaults. Without compression the Deflater is nil.
func (c Compression) complete() (Compression, *protocol.Deflater, error) {
	switch {
	case c.Algorithm < NoCompression || c.Algorithm > Zlib:
		return c, nil, configError("Compression.Algorithm", "%d is none of LZ4, Zstd and Zlib; 0 compresses nothing", c.Algorithm)
	case c.Threshold < 0:
		return c, nil, configError("Compression.Threshold", "%d is negative; 0 means %d", c.Threshold, DefaultCompressionThreshold)
	case c.Threshold == 0:
		c.Threshold = DefaultCompressionThreshold
	}
	if c.Algorithm == NoCompression {
		return c, nil, nil
	}
	deflater, err := protocol.NewDeflater(int32(c.Algorithm) << compressionShift)
	if err != nil {
		return c, nil, configError("Compression.Algorithm", "%v", err)
	}
	return c, deflater, nil
}

// compress compresses the request's body if that is wanted and helps. The properties lie in scratch, and the compressed
// body comes behind them.
func (p *Producer) compress(r *send.Request, scratch *[]byte) {
	if p.deflater == nil || len(r.Body) < p.cfg.Compression.Threshold {
		return
	}
	n := len(*scratch)
	whole, flag, smaller := p.deflater.Deflate(*scratch, r.Body)
	if !smaller {
		return
	}
	*scratch = whole
	r.Properties, r.Body = whole[:n:n], whole[n:]
	r.SysFlag |= flag
}
