package clientgo

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	rocketkitproducer "github.com/rocketkit/rocketkit/producer"
)

// ownGoroutines is how many batches and replies of SendAsync are under way at once, which are sent on goroutines of their own.
const ownGoroutines = 64

// SendAsync sends one message, or several of one topic as a batch, and has the callback called once, with the result or the
// error, unless SendAsync itself returns an error, on a goroutine of its own, which Shutdown waits for: so it must not wait for
// Shutdown. It is tried for as long as by SendSync. SendAsync waits while as many messages are under way as the producer
// takes. A panic of the callback goes to [primitive.DefaultPanicHandler] and the log.
func (s *sender) SendAsync(ctx context.Context, done func(context.Context, *primitive.SendResult, error), messages ...*primitive.Message) error {
	if err := s.check(messages); err != nil {
		return err
	}
	if done == nil {
		return configError("SendAsync: the callback is nil")
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
		send := s.sendOne
		if len(out) > 1 || isReply(messages[0]) {
			send = s.sendElsewhere
		}
		err = send(within, messages[0], out, func(result *primitive.SendResult, err error) {
			cancel()
			s.called(func() { done(ctx, result, err) })
		})
		if err != nil {
			cancel()
		}
		return err
	})
}

// sendOne has the producer send. Callbacks get goroutines of their own: one that blocks holds up no other, as with client-go.
func (s *sender) sendOne(ctx context.Context, _ *primitive.Message, out []rocketkitproducer.Message, done func(*primitive.SendResult, error)) error {
	if !s.begin(&s.calling) {
		return clienterrors.ErrNotRunning
	}
	s.producer.SendAsync(ctx, out[0], func(r rocketkitproducer.Receipt, err error) {
		var result *primitive.SendResult
		if err == nil {
			result = primitive.NewSendResult()
			fill(result, &r)
		}
		go func() {
			defer s.calling.Done()
			done(result, err)
		}()
	})
	return nil
}

// sendElsewhere sends what the producer has no asynchronous way for.
func (s *sender) sendElsewhere(ctx context.Context, first *primitive.Message, out []rocketkitproducer.Message, done func(*primitive.SendResult, error)) error {
	select {
	case s.room <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("clientgo: SendAsync %s: %d batches and replies are under way already: %w", first.Topic, ownGoroutines, context.Cause(ctx))
	}
	if !s.begin(&s.asking) {
		<-s.room
		return clienterrors.ErrNotRunning
	}
	go func() {
		defer s.asking.Done()
		result := primitive.NewSendResult()
		err := s.store(ctx, first, out, result)
		if <-s.room; err != nil {
			result = nil
		}
		done(result, err)
	}()
	return nil
}

// begin counts in what Shutdown is to wait for; not once it has begun.
func (s *sender) begin(what *sync.WaitGroup) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		what.Add(1)
	}
	return s.running
}

// called calls somebody's code on a goroutine of ours. client-go, too, lets nothing come of its panics.
func (s *sender) called(code func()) (panicked bool) {
	defer func() {
		if p := recover(); p != nil {
			panicked = true
			s.client.Cluster().Log().Error("callback panicked", "group", s.settings.group, "panic", p, "stack", string(debug.Stack()))
			if primitive.DefaultPanicHandler != nil {
				primitive.DefaultPanicHandler(p)
			}
		}
	}()
	code()
	return false
}
