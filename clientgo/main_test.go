package clientgo_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/clientgo"
	"github.com/rocketkit/rocketkit/mqtest"
)

// client-go starts a goroutine when it is linked.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

const patience = 20 * time.Second

// cluster is one in the process, with the topic orders for tenant red.
func cluster(t *testing.T) (*mqtest.Cluster, *rocketkit.Client) {
	t.Helper()
	c := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 4}})
	return c, open(t, c)
}

// open gives another Client of tenant red.
func open(t *testing.T, c *mqtest.Cluster) *rocketkit.Client {
	t.Helper()
	cfg := c.Config()
	cfg.Tenant = "red"
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

// start starts a consumer of orders from the oldest message on, which is shut down with the test.
func start(t *testing.T, client *rocketkit.Client, handle clientgo.Handler, options ...consumer.Option) rocketmq.PushConsumer {
	t.Helper()
	c, err := clientgo.NewPushConsumer(client, append([]consumer.Option{
		consumer.WithGroupName("billing"), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe("orders", consumer.MessageSelector{}, handle); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, c) })
	return c
}

func shutdown(t *testing.T, c interface{ Shutdown() error }) {
	t.Helper()
	if err := c.Shutdown(); err != nil {
		t.Error(err)
	}
}

// produce starts a producer.
func produce(t *testing.T, client *rocketkit.Client, options ...producer.Option) rocketmq.Producer {
	t.Helper()
	p, err := clientgo.NewProducer(client, append([]producer.Option{producer.WithGroupName("checkout")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, p) })
	return p
}

// send sends messages with numbered bodies to one queue.
func send(t *testing.T, p rocketmq.Producer, n int) {
	t.Helper()
	messages := make([]*primitive.Message, n)
	for i := range messages {
		messages[i] = primitive.NewMessage("orders", fmt.Append(nil, i))
	}
	if _, err := p.SendSync(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
}

// call is a handler's call.
type call struct {
	bodies   []string
	attempts []int32
}

// recorder is a handler that tells of its calls.
func recorder(decide func(ctx context.Context, c call) (consumer.ConsumeResult, error)) (clientgo.Handler, <-chan call) {
	calls := make(chan call, 1000)
	return func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		var c call
		for _, m := range messages {
			c.bodies = append(c.bodies, string(m.Body))
			c.attempts = append(c.attempts, m.ReconsumeTimes)
		}
		defer func() { calls <- c }()
		return decide(ctx, c)
	}, calls
}

func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
