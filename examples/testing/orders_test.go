package orders

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

type brokenLedger struct{ calls atomic.Int32 }

func (l *brokenLedger) Book(context.Context, string) error {
	l.calls.Add(1)
	return errors.New("the ledger is down")
}

func TestOrderIsGivenUpAfterSixteenRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{
			Topics: map[string]int{"orders": 4}, // its queues
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		client, err := rocketkit.Open(cluster.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())

		ledger := &brokenLedger{}
		c, err := NewConsumer(client, ledger)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- rocketkit.Run(ctx, c) }()
		defer func() { // also when the test fails: the bubble waits for the service
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()

		p, err := producer.New(client, producer.Config{Group: "checkout"})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(context.Background())
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("two books")}); err != nil {
			t.Fatal(err)
		}

		began := time.Now()
		if err := cluster.WaitDeadLetters(t.Context(), "billing", 1); err != nil {
			t.Fatal(err)
		}
		if got := string(cluster.DeadLetters("billing")[0].Body()); got != "two books" {
			t.Errorf("dead letter %q", got)
		}
		if n := ledger.calls.Load(); n != 17 {
			t.Errorf("the ledger was asked %d times, want once and 16 retries", n)
		}
		t.Logf("it took %v on the bubble's clock", time.Since(began).Round(time.Second))
	})
}
