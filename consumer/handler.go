package consumer

import (
	"context"

	"github.com/rocketkit/rocketkit"
)

// Handler handles one message. It is called on as many goroutines at once as its topic has workers. ctx ends after the
// topic's Timeout, and when a drain is over; a handler that has not returned then keeps its worker until it does.
// A panic counts as an error. Topics with an Order call it with one message at a time of each key, or queue.
type Handler func(ctx context.Context, m *rocketkit.Message) error

// Middleware wraps a handler with what several share: logging, tracing, deduplication.
type Middleware func(Handler) Handler
