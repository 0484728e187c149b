package producer_test

import (
	"testing"

	"github.com/rocketkit/rocketkit/producer"
)

// BenchmarkSend is a Send up to the answer of a broker in memory, the broker's own work included; see -benchmem of
// BenchmarkEncode for the Producer's part.
func BenchmarkSend(b *testing.B) {
	f := cluster(b, "red%orders", 8, "a")
	p := f.producer("red", producer.Config{})
	m := producer.Message{Topic: "orders", Body: make([]byte, 1024), Tag: "paid", Keys: []string{"order-1"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
