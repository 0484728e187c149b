package consumer_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

type ownError struct{ text string }

func (e *ownError) Error() string { return e.text }

// A handler that returns a nil pointer as its error, which can't be asked for its text, fails its message and nothing
// else.
func TestErrorThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 1}, Logger: slog.New(slog.DiscardHandler)})
		client, err := rocketkit.Open(cluster.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(t.Context())
		c, err := consumer.New(client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
			"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error {
				var none *ownError
				switch m.Attempt() {
				case 1:
					return none
				case 2:
					return consumer.DeadLetter(none)
				}
				return nil
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		send(client, producer.Message{Topic: "orders", Body: []byte("two books")})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- rocketkit.Run(ctx, c) }()
		if err := cluster.WaitConsumed(t.Context(), "billing", "orders"); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A name server that was just started knows no topic until the brokers have reported to it; a service that starts at the
// same time waits for that, to send as to consume.
func TestNameServerThatKnowsNothingYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 1}, Logger: slog.New(slog.DiscardHandler)})
		if err := cluster.Restart("namesrv-a"); err != nil {
			t.Fatal(err)
		}
		client, err := rocketkit.Open(cluster.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(t.Context())
		handle := func(context.Context, *rocketkit.Message) error { return nil }
		c, err := consumer.New(client, consumer.Config{
			Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: handle}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- rocketkit.Run(ctx, c) }()
		p, err := producer.New(client, producer.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("two books")}); err != nil {
			t.Error(err)
		}
		if err := cluster.WaitConsumed(t.Context(), "billing", "orders"); err != nil {
			t.Error(err)
		}
		stop()
		if err := errors.Join(<-done, p.Close(t.Context())); err != nil {
			t.Error(err)
		}
	})
}
