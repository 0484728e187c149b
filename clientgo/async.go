package clientgo

import (
	"context"
	"fmt"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	rocketkitproducer "github.com/rocketkit/rocketkit/producer"
)

// SendAsync sends one message, and has the callback called once, with the result or the error, unless SendAsync itself
// returns an error, on a goroutine of its own, which Shutdown waits for. It is tried for as long as by SendSync. A batch is
// refused: send it by SendSync. SendAsync waits while as many messages are under way as the producer takes.
func (s *sender) SendAsync(ctx context.Context, callback func(context.Context, *primitive.SendResult, error), messages ...*primitive.Message) error {
	if err := s.check(messages); err != nil {
		return err
	}
	switch {
	case callback == nil:
		return configError("SendAsync: the callback is nil")
	case len(messages) > 1:
		return fmt.Errorf("clientgo: SendAsync %s: a batch can't be carried over; send it by SendSync", messages[0].Topic)
	}
	return s.intercept(ctx, primitive.SendAsync, messages, nil, func(ctx context.Context, messages []*primitive.Message, _ *primitive.SendResult) error {
		out, err := outgoingAll(messages)
		if err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, s.within())
		if !s.chooses(messages[0]) {
			if _, err := s.choose(within, messages[0], out, ""); err != nil {
				cancel()
				return err
			}
		}
		s.producer.SendAsync(within, out[0], func(r rocketkitproducer.Receipt, err error) {
			cancel()
			var result *primitive.SendResult
			if err == nil {
				result = primitive.NewSendResult()
				fill(result, &r)
			}
			s.calling.Go(func() { callback(ctx, result, err) }) // one that blocks holds up no other, as with client-go
		})
		return nil
	})
}
