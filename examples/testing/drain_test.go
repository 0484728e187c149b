package orders

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

type slowLedger struct{ started chan struct{} }

func (l slowLedger) Book(context.Context, string) error {
	close(l.started)
	time.Sleep(25 * time.Second) // less than the drain's 30 s
	return nil
}

// An order that is being booked when the service is told to stop is booked to the end.
func TestStopWaitsForTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{
			Topics: map[string]int{"orders": 4},
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		client, err := rocketkit.Open(cluster.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		ledger := slowLedger{started: make(chan struct{})}
		c, err := NewConsumer(client, ledger)
		if err != nil {
			t.Fatal(err)
		}
		p, err := producer.New(client, producer.Config{Group: "checkout"})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(context.Background())
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("two books")}); err != nil {
			t.Fatal(err)
		}

		ctx, stop := context.WithCancel(t.Context())
		go func() { <-ledger.started; stop() }()
		began := time.Now()
		if err := rocketkit.Run(ctx, c); err != nil {
			t.Error(err)
		}
		t.Logf("the drain took %v on the bubble's clock", time.Since(began).Round(time.Second))
		if err := cluster.WaitConsumed(t.Context(), "billing", "orders"); err != nil {
			t.Error(err)
		}
	})
}
