package clientgo

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// errNotYet is what the methods return that package producer has nothing for.
var errNotYet = errors.New("rocketkit's producer doesn't do that yet")

// SendAsync is refused.
func (s *sender) SendAsync(context.Context, func(context.Context, *primitive.SendResult, error), ...*primitive.Message) error {
	return fmt.Errorf("clientgo: SendAsync: %w", errNotYet)
}
