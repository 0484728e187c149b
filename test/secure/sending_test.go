package secure

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

// sendsFor: transactions, requests and replies, recalls, look-ups and the message trace, all by the tenant itself.
func sendsFor(t *testing.T, client *rocketkit.Client) {
	p, err := producer.New(client, producer.Config{Group: "sender", Check: func(context.Context, *rocketkit.Message) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		ranges, err := admin.New(client).TopicOffsets(t.Context(), rocketkit.DefaultTenantTraceTopic)
		if err != nil || !slices.ContainsFunc(ranges, func(r admin.QueueRange) bool { return r.Max > 0 }) {
			t.Errorf("trace: %+v %v", ranges, err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	local := errors.New("no")
	if _, err := p.Transact(ctx, producer.Message{Topic: "orders", Body: []byte("rolled back")},
		func(context.Context) error { return producer.Rollback(local) }); !errors.Is(err, producer.ErrRolledBack) {
		t.Errorf("rollback: %v", err)
	}
	committed, err := p.Transact(ctx, producer.Message{Topic: "orders", Keys: []string{"k-" + client.Tenant()}, Body: []byte("committed")},
		func(context.Context) error { return nil })
	if err != nil {
		t.Errorf("commit: %v", err)
	}
	eventually(t, "brokers ask "+client.Tenant(), func() bool {
		s := p.Transactions()
		return s.Brokers > 0 && s.Asking == s.Brokers
	})

	delayed, err := p.Send(ctx, producer.Message{Topic: "orders", Body: []byte("never"), Delay: time.Hour})
	if err != nil {
		t.Errorf("delayed: %v", err)
	} else if _, err := p.Recall(ctx, "orders", delayed.RecallHandle); err != nil {
		t.Errorf("recall: %v", err)
	}

	ops := admin.New(client)
	eventually(t, "message by id", func() bool {
		_, err = ops.Message(ctx, "orders", committed.ID)
		return err == nil || !errors.Is(err, admin.ErrNotFound)
	})
	if err != nil {
		t.Errorf("by id: %v", err)
	}
	if _, err := ops.MessagesByKey(ctx, "orders", "k-"+client.Tenant(), time.Time{}, time.Time{}, 0); err != nil {
		t.Errorf("by key: %v", err)
	}

	defer run(t, client, consumer.Config{
		Group: "billing", Start: consumer.Latest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			if string(m.Body()) != "how much" {
				return nil
			}
			_, err := p.Reply(ctx, m, producer.Message{Body: []byte("much")})
			return err
		}}},
	})()
	reply, err := p.Request(ctx, producer.Message{Topic: "orders", Body: []byte("how much")})
	if err != nil || string(reply.Body()) != "much" {
		t.Errorf("request: %v %v", reply, err)
	}
}
