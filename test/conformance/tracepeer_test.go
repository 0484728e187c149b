package conformance

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/peer"
)

// The same message, sent and handled by the Java client and by rocketkit, has the same records, but for ids and times.
func TestTraceLooksLikeJavas(t *testing.T) {
	testcluster.Require(t)
	onEach(t, testTraceLooksLikeJavas)
}

func testTraceLooksLikeJavas(t *testing.T, on target) {
	if on.before("5") {
		t.Skip("brokers before 5.0 put no region into messages, and without one Java's consumers trace nothing")
	}
	tenant := tenantOf(t, "")
	client := on.tracing(t, tenant)
	topic(t, client, "orders")
	topic(t, client, rocketkit.DefaultTenantTraceTopic)
	traceTopic := tenant + "%" + rocketkit.DefaultTenantTraceTopic
	message := peer.Message{Topic: "orders", Body: []byte("hello"), Tag: "paid", Keys: []string{"k1", "k2"}}
	javas := peer.Java.Produce(t, peer.ProducerConfig{NameServers: on.servers, Namespace: tenant, Group: "shop", TraceTopic: traceTopic})
	if _, err := javas.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(client, producer.Config{Group: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := p.Send(t.Context(), ours(message))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	java := peer.Java.Consume(t, peer.ConsumerConfig{
		NameServers: on.servers, Namespace: tenant, Group: "invoicing", Topic: "orders", Earliest: true, TraceTopic: traceTopic,
	})
	got := newTally()
	c := run(t, client, orders(func(_ context.Context, m *rocketkit.Message) error { got.add(m.ID()); return nil }))
	got.awaitDistinct(t, 2)
	c.end(t)
	ctx, cancel := withPatience(t)
	defer cancel()
	if _, err := java.AwaitReceived(ctx, "both messages", func(all []peer.Received) bool { return len(all) == 2 }); err != nil {
		t.Fatal(err)
	}

	rocketkits, theirs := sortRecords(records(t, client, 2+2*4), sent.ID)
	if len(rocketkits) != 5 || !slices.Equal(rocketkits, theirs) {
		t.Errorf("rocketkit's records\n%s\nJava's\n%s", strings.Join(rocketkits, "\n"), strings.Join(theirs, "\n"))
	}
}

// sortRecords tells rocketkit's records, those of the message id's sending and of the group billing, from Java's, without what
// must differ: times, ids, groups.
func sortRecords(all [][]string, id string) (rocketkits, javas []string) {
	differ := map[string][]int{"Pub": {1, 5, 10, 12}, "SubBefore": {1, 3, 4, 5}, "SubAfter": {1, 2, 3, 7, 8}}
	for _, record := range all {
		own := slices.Contains(record, "billing") || record[0] == "Pub" && record[5] == id
		for _, i := range differ[record[0]] {
			record[i] = "*"
		}
		if text := strings.Join(record, " "); own {
			rocketkits = append(rocketkits, text)
		} else {
			javas = append(javas, text)
		}
	}
	slices.Sort(rocketkits)
	slices.Sort(javas)
	return rocketkits, javas
}
