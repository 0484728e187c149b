//go:build unix

package peer_test

import (
	"sync/atomic"
	"testing"

	"github.com/rocketkit/rocketkit/test/peer"
)

// A process measures one thing after the other.
func TestBench(t *testing.T) {
	onEach(t, func(t *testing.T, l peer.Library, nameServers []string) {
		b, err := l.StartBench(t.Context(), nameServers, nil, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Kill()
		var marks atomic.Int32
		mark := func() { marks.Add(1) }
		for stored := int64(0); stored < 10; { // a busy machine may send nothing in one stretch
			marks.Store(0)
			sent, err := b.Measure(t.Context(), mark, "send", "group", "senders", "topic", "orders", "callers", "4", "size", "100",
				"warm", "1000000", "stretch", "200000000")
			if err != nil || sent.Elapsed <= 0 || marks.Load() != 2 {
				t.Fatalf("sent %+v with %d marks: %v", sent, marks.Load(), err)
			}
			stored += sent.Messages
		}
		for _, group := range []string{"one", "two"} {
			got, err := b.Measure(t.Context(), nil, "consume", "group", group, "topic", "orders", "from", "1", "to", "10", "all", "10", "workers", "2")
			if err != nil || got.Messages != 9 {
				t.Errorf("%s consumed %+v: %v", group, got, err)
			}
		}
		if _, err := b.Measure(t.Context(), nil, "nothing"); err == nil {
			t.Error("it measured what it doesn't know")
		}
	})
}
