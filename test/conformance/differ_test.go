package conformance

import (
	"slices"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/test/peer"
)

// Members that subscribe differently report each other until one of them leaves; those that write the same tags in
// another order don't.
func TestDifferingSubscriptions(t *testing.T) { onEach(t, testDifferingSubscriptions) }

func testDifferingSubscriptions(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	one, two, three := on.open(t, tenant), on.open(t, tenant), on.open(t, tenant)
	topic(t, one, "orders")
	topic(t, one, "refunds")
	with := func(client *rocketkit.Client, tags []string, more ...string) *running {
		cfg := consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: nothing, Tags: tags}}}
		for _, name := range more {
			cfg.Topics[name] = consumer.Topic{Handler: nothing}
		}
		return run(t, client, cfg)
	}
	a := with(one, []string{"x", "y"})
	b := with(two, []string{"y", "x"})
	c := with(three, []string{"x"}, "refunds")
	ofC := []consumer.Difference{
		{ClientID: three.ID(), Topic: "orders", Ours: "x || y", Theirs: "x"},
		{ClientID: three.ID(), Topic: "refunds", Ours: "", Theirs: "*"},
	}
	for _, r := range []*running{a, b} {
		eventually(t, "the third member reported", func() bool { return slices.Equal(r.Stats().Differing, ofC) })
	}
	eventually(t, "both reported by the third", func() bool { return len(c.Stats().Differing) == 4 })
	c.end(t)
	for _, r := range []*running{a, b} {
		eventually(t, "the report's end", func() bool { return len(r.Stats().Differing) == 0 })
	}
}

// Members that run Apache's clients are asked too.
func TestDifferingPeers(t *testing.T) { onEach(t, testDifferingPeers) }

func testDifferingPeers(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	if err := admin.New(client).CreateGroup(t.Context(), admin.GroupConfig{Name: "billing"}); err != nil {
		t.Fatal(err)
	}
	r := run(t, client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: nothing, Tags: []string{"b", "a"}}}})
	for _, library := range libraries() {
		join := func(tags ...string) *peer.Consumer {
			return consumeFor(t, library, on, tenant, peer.ConsumerConfig{Group: "billing", Topic: "orders", Tags: tags})
		}
		same := join("a", "b")
		other := join("a")
		eventually(t, library.String()+" reported", func() bool {
			want := consumer.Difference{ClientID: other.ClientID(), Topic: "orders", Ours: "a || b", Theirs: "a"}
			return slices.Equal(r.Stats().Differing, []consumer.Difference{want})
		})
		stop(t, other)
		if library == peer.ClientGo {
			other.Kill() // it doesn't leave its group
		}
		eventually(t, "the report's end", func() bool { return len(r.Stats().Differing) == 0 })
		stop(t, same)
	}
}
