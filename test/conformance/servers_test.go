package conformance

import (
	"context"
	"slices"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// One name server away, then a broker too, then all name servers: what is left goes on; the broker's queues go on when it
// is back, and nothing is lost.
func TestServersComeAndGo(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{NameServers: 2, Brokers: 2})
	on := target{"real", cluster.NameServers()}
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders") // 8 queues on each broker
	got := newTally()
	c := run(t, client, orders(func(_ context.Context, m *rocketkit.Message) error {
		got.add(string(m.Body()))
		return nil
	}))
	brokers := func() (names []string) {
		for _, q := range c.Stats().Topics["orders"].Queues {
			names = append(names, q.Queue.Broker)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	sent := 0
	traffic := func(prefix string) {
		t.Helper()
		send(t, client, "orders", prefix, 400)
		sent += 400
		got.awaitDistinct(t, sent)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	traffic("all up")
	must(cluster.NameServer(0).Kill())
	traffic("one name server away")
	must(cluster.Broker(1).Kill())
	traffic("a broker away")
	must(cluster.NameServer(1).Kill())
	traffic("no name server")
	must(cluster.NameServer(0).Start(t.Context()))
	must(cluster.Broker(1).Start(t.Context()))
	traffic("all but one name server back")
	eventually(t, "the broker's queues work again", func() bool {
		for _, q := range c.Stats().Topics["orders"].Queues {
			if q.LastError != "" {
				return false
			}
		}
		return len(brokers()) == 2
	})
	traffic("all queues back")
	c.end(t)
}
