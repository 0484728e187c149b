package clientgo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// errNotYet is what the methods return that package producer has nothing for.
var errNotYet = errors.New("rocketkit's producer doesn't do that yet")

// SendAsync is refused.
func (s *sender) SendAsync(context.Context, func(context.Context, *primitive.SendResult, error), ...*primitive.Message) error {
	return fmt.Errorf("clientgo: SendAsync: %w", errNotYet)
}

// Request is refused.
func (s *sender) Request(context.Context, time.Duration, *primitive.Message) (*primitive.Message, error) {
	return nil, fmt.Errorf("clientgo: Request: %w", errNotYet)
}

func (s *sender) requestAsync(context.Context, time.Duration, func(context.Context, *primitive.Message, error), *primitive.Message) error {
	return fmt.Errorf("clientgo: RequestAsync: %w", errNotYet)
}

func (s *sender) reply(context.Context, *primitive.Message, *primitive.SendResult) error {
	return fmt.Errorf("clientgo: reply: %w", errNotYet)
}
