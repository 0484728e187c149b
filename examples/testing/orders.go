// Package orders is a service in small, and how it is tested without a broker: orders_test.go runs it against a whole
// cluster in the process, on a clock of its own.
package orders

import (
	"context"
	"errors"
	"fmt"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
)

// Ledger is what the service books orders in.
type Ledger interface {
	Book(ctx context.Context, order string) error
}

// ErrUnknownCustomer is what no repetition can cure.
var ErrUnknownCustomer = errors.New("unknown customer")

// NewConsumer makes the service's consumer: it books each order, gives up at once on unknown customers, and leaves all
// other trouble to RocketMQ's retries.
func NewConsumer(client *rocketkit.Client, ledger Ledger) (*consumer.Consumer, error) {
	book := func(ctx context.Context, m *rocketkit.Message) error {
		err := ledger.Book(ctx, string(m.Body()))
		if errors.Is(err, ErrUnknownCustomer) {
			return consumer.DeadLetter(err)
		}
		if err != nil {
			return fmt.Errorf("book %s: %w", m.Body(), err)
		}
		return nil
	}
	return consumer.New(client, consumer.Config{
		Group:  "billing",
		Start:  consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: book}},
	})
}
