package consumer_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// A handler that outlives its lost queue, and then fails, doesn't send its message back: the queue's new owner has it
// already, and two copies would be retried from then on.
func TestFailureAfterTheQueueIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 2}, Logger: slog.New(slog.DiscardHandler)})
		release := make(chan struct{})
		slow := func(_ context.Context, m *rocketkit.Message) error {
			if m.Attempt() > 1 {
				return nil
			}
			<-release
			return errors.New("too late")
		}
		quick := func(context.Context, *rocketkit.Message) error { return nil }
		_, client, stopFirst := join(t, cluster, slow)
		order := producer.Message{Topic: "orders", Body: []byte("two books")}
		send(client, order, order, order, order, order, order, order, order) // by turns to both queues
		synctest.Wait()
		second, _, stopSecond := join(t, cluster, quick)
		time.Sleep(time.Minute) // the first has let the lost queue go, its handlers still run
		close(release)
		if err := cluster.WaitConsumed(t.Context(), "billing", "orders"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		lost := int(second.Stats().Topics["orders"].Handled) // of the queue that went over
		if retried := len(cluster.Messages("%RETRY%billing")); lost != 4 || retried != 4 {
			t.Errorf("%d messages were sent back and %d went over, want 4 each", retried, lost)
		}
		stopFirst()
		stopSecond()
	})
}

// join runs a member of the group until stop.
func join(t *testing.T, cluster *mqtest.Cluster, handler consumer.Handler) (c *consumer.Consumer, client *rocketkit.Client, stop func()) {
	t.Helper()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	c, err = consumer.New(client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: handler, Timeout: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return c, client, func() {
		cancel()
		if err := errors.Join(<-done, client.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}
}
