package conformance

import (
	"context"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// A broker that is killed has lost the offsets of its last seconds. A group that has nothing more to do tells it again,
// so that what comes while nobody runs is neither lost nor what was handled repeated.
func TestBrokerCrashKeepsPositions(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{})
	on := target{"real", cluster.NameServers()}
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	got := newTally()
	cfg := consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {
		Handler: func(_ context.Context, m *rocketkit.Message) error { got.add(string(m.Body())); return nil },
	}}}
	c := run(t, client, cfg)
	send(t, client, "orders", "before", 400)
	got.awaitDistinct(t, 400)
	eventually(t, "all committed", func() bool { return committed(t, client, "billing", "orders") == 400 })

	if err := cluster.Broker(0).Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Broker(0).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := admin.New(client)
	eventually(t, "the broker reached again", func() bool { // for up to a second after a failed dial nothing is dialed
		_, err := a.Offsets(t.Context(), "billing", "orders")
		return err == nil
	})
	eventually(t, "all committed again", func() bool { return committed(t, client, "billing", "orders") == 400 })
	c.end(t)
	send(t, client, "orders", "after", 200)
	c = run(t, client, cfg)
	got.awaitDistinct(t, 600)
	c.end(t)
	for body, n := range got.all() {
		if n != 1 {
			t.Errorf("%s was handled %d times", body, n)
		}
	}
}
