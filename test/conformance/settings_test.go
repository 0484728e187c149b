package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf"
)

// A retry of a paused topic that waits below another one's, which was handled, goes back to the broker when the member
// stops: the other one isn't repeated, and however few retries the group has, the one that went back is no dead letter.
func TestRetriesOfAPausedTopic(t *testing.T) { onEach(t, testRetriesOfAPausedTopic) }

func testRetriesOfAPausedTopic(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	topic(t, client, "refunds")
	got := newTally()
	handler := func(_ context.Context, m *rocketkit.Message) error {
		got.add(fmt.Sprintf("%s, attempt %d", m.Topic(), m.Attempt()))
		if m.Attempt() == 1 {
			return consumer.RetryIn(time.Second, errors.New("on purpose"))
		}
		return nil
	}
	cfg := consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Retries: 1,
		Topics: map[string]consumer.Topic{"orders": {Handler: handler}, "refunds": {Handler: handler}},
	}
	c := run(t, client, cfg)
	send(t, client, "orders", "o", 1)
	eventually(t, "the order's first attempt", func() bool { return got.count("orders, attempt 1") == 1 })
	if err := c.PauseTopic("orders"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its retry waiting", func() bool { return c.Stats().Topics["orders"].Waiting == 1 })
	send(t, client, "refunds", "r", 1)
	eventually(t, "the refund's second attempt", func() bool { return got.count("refunds, attempt 2") == 1 })
	c.end(t)
	c = run(t, client, cfg)
	eventually(t, "the order again", func() bool { return got.count("orders, attempt 3") == 1 })
	send(t, client, "refunds", "s", 1) // behind whatever would be repeated
	eventually(t, "another refund", func() bool { return got.count("refunds, attempt 2") >= 2 })
	c.end(t)
	for what, n := range got.all() {
		if want := map[string]int{"refunds, attempt 1": 2, "refunds, attempt 2": 2}[what]; n != max(want, 1) {
			t.Errorf("%s: %d times", what, n)
		}
	}
}

// RocketMQ's own tool prints the workers that a settings document has set, and which revision that was.
func TestToolSeesSettings(t *testing.T) {
	o := newTools(t)
	c := run(t, o.client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: nothing, Workers: 16, MaxWorkers: 64}}})
	id, rev := dynconf.ID{Tenant: o.tenant, Group: "billing"}, time.Now().UnixMilli()
	put := func(rev int64, spec string) {
		t.Helper()
		text, err := dynconf.Document{Rev: rev, At: time.Now(), By: "alice", Spec: json.RawMessage(spec)}.Encode(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := admin.New(o.client).KV(dynconf.Namespace).Put(t.Context(), id.Key(), text); err != nil {
			t.Fatal(err)
		}
	}
	put(rev, `{"topics":{"orders":{"workers":24,"maxWorkers":48,"timeout":"45s"}}}`)
	eventually(t, "applied", func() bool { return c.Stats().Settings.Rev == rev })
	o.mqadmin([]string{
		`pool orders +: core=24 max=48 active=0 waiting=0 paused=false timeout=45s`, `PROP_THREADPOOL_CORE_SIZE +: 24`,
		fmt.Sprintf(`settings +: rev=%d at=\S+ from="name servers" by="alice"`, rev),
	}, "consumerStatus", "-i", o.client.ID())
	put(rev+1, `{"topics":{"orders":{"workers":0}}}`)
	eventually(t, "refused", func() bool { return c.Stats().Settings.Error != "" })
	o.mqadmin([]string{
		`pool orders +: core=24 max=48`, fmt.Sprintf(`settings +: rev=%d `, rev),
		fmt.Sprintf(`settings error +: reason=invalid rev=%d since=\S+ error="topics.orders.workers: 0 is not between 1 and 65536"`, rev+1),
	}, "consumerStatus", "-i", o.client.ID())
}
