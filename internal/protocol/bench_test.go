package protocol

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// benchBlock is what a pull of 32 messages of 1 KiB brings.
func benchBlock() []byte {
	var properties []byte
	for _, p := range [][2]string{
		{PropertyMinOffset, "0"}, {PropertyMaxOffset, "123456"}, {PropertyUniqueKey, "0A01020300002A9F4E1B7C0C1D2E0001"},
		{PropertyCluster, "DefaultCluster"}, {PropertyTags, "TagA"}, {PropertyWait, "true"}, {PropertyRegion, "DefaultRegion"},
		{PropertyTraceOn, "true"}, {PropertyShardingKey, "customer-42"},
	} {
		properties = AppendProperty(properties, p[0], p[1])
	}
	var block []byte
	for i := range 32 {
		block = EncodeMessage(block, &Message{
			Topic: "orders", QueueID: 3, QueueOffset: int64(i), Body: make([]byte, 1024), Properties: properties,
			BornHost: netip.MustParseAddrPort("10.1.2.3:51234"), StoreHost: netip.MustParseAddrPort("10.1.2.4:10911"),
		})
	}
	return block
}

func BenchmarkDecodeMessages(b *testing.B) {
	block := benchBlock()
	b.ReportAllocs()
	b.SetBytes(int64(len(block)))
	n := 0
	for b.Loop() {
		msgs, err := DecodeMessages(block, "orders")
		if err != nil {
			b.Fatal(err)
		}
		n += len(msgs)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msg/s")
}

func BenchmarkPropertiesGet(b *testing.B) {
	msgs, _ := DecodeMessages(benchBlock(), "orders")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := msgs[0].Properties.Get(PropertyShardingKey); !ok {
			b.Fatal("no sharding key")
		}
	}
}

func BenchmarkEncodeMessage(b *testing.B) {
	msgs, _ := DecodeMessages(benchBlock(), "orders")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = EncodeMessage(dst[:0], &msgs[0])
	}
}

func BenchmarkSendMessageFrame(b *testing.B) {
	r := SendMessage{ProducerGroup: "checkout", Topic: "orders", QueueID: 3, BornTime: 1700000000123, Properties: AppendProperty(nil, "a", "b")}
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Frame()
	}
}

func BenchmarkParsePullResult(b *testing.B) {
	f := &frame.Frame{Fields: fieldsOf("suggestWhichBrokerId", "0", "nextBeginOffset", "123456", "minOffset", "0", "maxOffset", "123500")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePullResult(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNextID(b *testing.B) {
	ids, now := NewIDs(netip.MustParseAddr("10.1.2.3"), 4711), time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = ids.Next(now)
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	body := make([]byte, 0, 16<<10)
	for i := 0; len(body) < 16<<10; i++ {
		body = fmt.Appendf(body, `{"order":%d,"customer":"customer-%d"},`, i, i*7)
	}
	for kind, small := range map[int32][]byte{SysZlib: zlibbed(b, body), SysLZ4: lz4ed(b, body), SysZstd: zstded(b, body)} {
		b.Run(fmt.Sprintf("kind%d", kind>>8), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				m := Message{SysFlag: SysCompressed | kind, Body: small}
				if err := m.Inflate(1 << 20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
