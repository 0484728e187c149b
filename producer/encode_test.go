package producer

import (
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

func benchmarkMessage() *Message {
	return &Message{
		Topic: "orders", Body: make([]byte, 1024), Tag: "paid", Keys: []string{"order-1"},
		Properties: map[string]string{"city": "Berlin"},
	}
}

// The checks and the properties of a message cost no allocation; its id is the one that there is.
func TestEncodingAllocatesNothing(t *testing.T) {
	m := benchmarkMessage()
	var scratch []byte
	if n := testing.AllocsPerRun(100, func() {
		if err := m.check(DefaultMaxMessageSize); err != nil {
			t.Fatal(err)
		}
		scratch = appendProperties(scratch[:0], m, "7F0000010001000000000000000000000")
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

// BenchmarkEncode is what Send does before the request is handed to the connection.
func BenchmarkEncode(b *testing.B) {
	p := &Producer{ids: protocol.NewIDs(address("10.0.0.1@x"), 1)}
	m := benchmarkMessage()
	var scratch []byte
	b.ReportAllocs()
	for b.Loop() {
		if err := m.check(DefaultMaxMessageSize); err != nil {
			b.Fatal(err)
		}
		id := p.ids.Next(time.Now())
		scratch = appendProperties(scratch[:0], m, id)
		protocol.SendMessage{
			ProducerGroup: "checkout", Topic: "red%orders", QueueID: 3, BornTime: 1700000000000,
			Properties: scratch, BrokerName: "broker-a", Body: m.Body,
		}.Frame()
	}
}
