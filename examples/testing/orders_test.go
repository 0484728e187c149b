package orders_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	orders "github.com/rocketkit/rocketkit/examples/testing"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// A ledger that never works costs an order 16 retries over some hours of the bubble's clock; then it lies in the
// dead-letter topic.
func TestOrderIsGivenUpAfterSixteenRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		ledger := &brokenLedger{}
		client := run(t, cluster, ledger)
		send(t, client, "two books")

		began := time.Now()
		if err := cluster.WaitDeadLetters(t.Context(), "billing", 1); err != nil {
			t.Fatal(err)
		}
		if got := string(cluster.DeadLetters("billing")[0].Body()); got != "two books" {
			t.Errorf("dead letter %q", got)
		}
		if ledger.calls.Load() != 17 {
			t.Errorf("the ledger was asked %d times, want once and 16 retries", ledger.calls.Load())
		}
		t.Logf("it took %v on the bubble's clock", time.Since(began).Round(time.Second))
	})
}

// An order that is being booked when the service is told to stop is booked to the end.
func TestStopWaitsForTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		client, err := rocketkit.Open(cluster.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		ledger := slowLedger{started: make(chan struct{})}
		c, err := orders.NewConsumer(client, ledger)
		if err != nil {
			t.Fatal(err)
		}
		send(t, client, "two books")
		ctx, stop := context.WithCancel(t.Context())
		go func() { <-ledger.started; stop() }()
		if err := rocketkit.Run(ctx, c); err != nil {
			t.Error(err)
		}
		if err := cluster.WaitConsumed(t.Context(), "billing", "orders"); err != nil {
			t.Error(err)
		}
	})
}

// newCluster gives a cluster with the topic of the service; what clients log belongs to the test's output.
func newCluster(t *testing.T) *mqtest.Cluster {
	return mqtest.New(t, mqtest.Config{
		Topics: map[string]int{"orders": 4},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
}

// run runs the service until the test ends.
func run(t *testing.T, cluster *mqtest.Cluster, ledger orders.Ledger) *rocketkit.Client {
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	c, err := orders.NewConsumer(client, ledger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- rocketkit.Run(ctx, c) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, client.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return client
}

func send(t *testing.T, client *rocketkit.Client, order string) {
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte(order)}); err != nil {
		t.Fatal(err)
	}
}

type brokenLedger struct{ calls atomic.Int32 }

func (l *brokenLedger) Book(context.Context, string) error {
	l.calls.Add(1)
	return errors.New("the ledger is down")
}

type slowLedger struct{ started chan struct{} }

func (l slowLedger) Book(context.Context, string) error {
	close(l.started)
	time.Sleep(25 * time.Second) // less than the drain's 30 s
	return nil
}
