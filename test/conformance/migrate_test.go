package conformance

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit/clientgo"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/peer"
)

// A live group is rolled from client-go to the bridge, instance by instance, under load: every message is handled.
func TestMigrationUnderLoad(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		tenant := tenantOf(t, "")
		client := on.open(t, tenant)
		topic(t, client, "orders")
		found(t, client, "billing", "orders")
		got := newTally()
		const instances = 3
		var old [instances]member
		for i := range old {
			old[i] = joinPeer(t, on, tenant, peer.ClientGo, got)
		}
		p, err := producer.New(client, producer.Config{Group: "sender"})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(t.Context())
		stopTraffic := traffic(t, p)
		got.awaitDistinct(t, 50)
		for i := range old {
			if i == 1 { // one is killed, as in a roll that goes wrong
				old[i].die()
			} else {
				old[i].leave()
			}
			handled := joinBridge(t, on, tenant, got)
			eventually(t, fmt.Sprintf("bridge member %d has its share", i), func() bool { return handled.Load() >= 50 })
		}
		sent := stopTraffic()
		got.awaitDistinct(t, sent)
		repeated := 0
		for _, n := range got.all() {
			repeated += n - 1
		}
		t.Logf("%d messages while %d members were replaced, %d were handled again", sent, instances, repeated)
	})
}

// joinBridge adds a member with a client of its own, and gives its count of handled messages. Each 50th first attempt fails.
func joinBridge(t *testing.T, on target, tenant string, got *tally) *atomic.Int64 {
	t.Helper()
	c, err := clientgo.NewPushConsumer(on.open(t, tenant), consumer.WithGroupName("billing"),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		t.Fatal(err)
	}
	var calls, handled atomic.Int64
	handle := func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		time.Sleep(2 * time.Millisecond) // the work
		if how, ok := primitive.GetConcurrentlyCtx(ctx); ok && messages[0].ReconsumeTimes == 0 && calls.Add(1)%50 == 0 {
			how.DelayLevelWhenNextConsume = 1
			return consumer.ConsumeRetryLater, nil
		}
		for _, m := range messages {
			got.add(string(m.Body))
			handled.Add(1)
		}
		return consumer.ConsumeSuccess, nil
	}
	if err := c.Subscribe("orders", consumer.MessageSelector{}, handle); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return &handled
}
