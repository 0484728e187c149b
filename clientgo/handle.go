package clientgo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit"
	rocketkitconsumer "github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/engine"
)

// Handler is what client-go's Subscribe takes.
type Handler = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// runner calls one topic's handler as client-go does, and makes verdicts of its results.
type runner struct {
	settings consumerSettings
	topic    string
	handler  Handler
	log      *slog.Logger
}

// handle is the handler of a topic without batches.
func (r *runner) handle(ctx context.Context, m *rocketkit.Message) error {
	messages := []*primitive.MessageExt{messageOf(m)}
	if r.settings.orderly {
		return r.inOrder(ctx, messages)
	}
	_, verdict := r.concurrently(ctx, messages)
	return verdict
}

// handleBatch hands out a batch in parts of one queue each, as client-go's handlers know it.
func (r *runner) handleBatch(ctx context.Context, b *rocketkitconsumer.Batch) error {
	type part struct {
		queue    rocketkit.Queue
		at       []int
		messages []*primitive.MessageExt
	}
	var parts []*part
	byQueue := map[rocketkit.Queue]*part{}
	for i, m := range b.Messages() {
		p := byQueue[m.Queue()]
		if p == nil {
			p = &part{queue: m.Queue()}
			byQueue[p.queue] = p
			parts = append(parts, p)
		}
		p.at = append(p.at, i)
		p.messages = append(p.messages, messageOf(m))
	}
	var failure error
	for _, p := range parts {
		acknowledged, verdict := r.concurrentlyOrPanic(ctx, p.messages)
		for n, i := range p.at {
			if n < acknowledged {
				b.Set(i, nil)
			} else {
				b.Set(i, verdict)
			}
		}
		if acknowledged < len(p.at) {
			failure = verdict
		}
	}
	return failure
}

// concurrentlyOrPanic makes an error of a panic, so that it is that of its own part alone.
func (r *runner) concurrentlyOrPanic(ctx context.Context, messages []*primitive.MessageExt) (acknowledged int, verdict error) {
	defer func() {
		if p := recover(); p != nil {
			acknowledged, verdict = 0, fmt.Errorf("handler panicked: %v", p)
		}
	}()
	return r.concurrently(ctx, messages)
}

// concurrently calls the handler with the context of unordered consumption. The first so many messages are acknowledged;
// the verdict is that of the others, and nil when there are none.
func (r *runner) concurrently(ctx context.Context, messages []*primitive.MessageExt) (acknowledged int, verdict error) {
	how := primitive.NewConsumeConcurrentlyContext()
	how.MQ = *messages[0].Queue
	result, err := r.call(primitive.WithConcurrentlyCtx(ctx, how), messages)
	if result == consumer.ConsumeSuccess {
		acknowledged = int(min(int64(len(messages)), int64(max(how.AckIndex, -1))+1))
		if acknowledged == len(messages) {
			return acknowledged, nil
		}
	}
	why := reason(result, err)
	switch level := how.DelayLevelWhenNextConsume; {
	case level < 0:
		return acknowledged, rocketkitconsumer.DeadLetter(why)
	case level > 0:
		return acknowledged, rocketkitconsumer.RetryIn(engine.LevelDelay(level), why)
	}
	return acknowledged, why
}

// inOrder calls the handler with the context of ordered consumption. A message that isn't done with stays where it is,
// whatever the handler calls that.
func (r *runner) inOrder(ctx context.Context, messages []*primitive.MessageExt) error {
	how := primitive.NewConsumeOrderlyContext()
	how.MQ = *messages[0].Queue
	result, err := r.call(primitive.WithOrderlyCtx(ctx, how), messages)
	if result == consumer.ConsumeSuccess || result == consumer.Commit {
		return nil
	}
	wait := orDefault(r.settings.suspend, defaultSuspend)
	if how.SuspendCurrentQueueTimeMillis >= 0 {
		wait = milliseconds(how.SuspendCurrentQueueTimeMillis)
	}
	return rocketkitconsumer.RetryIn(wait, reason(result, err))
}

// call calls limiter, interceptors and handler.
func (r *runner) call(ctx context.Context, messages []*primitive.MessageExt) (result consumer.ConsumeResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			if primitive.DefaultPanicHandler != nil {
				primitive.DefaultPanicHandler(p)
			}
			panic(p) // it is the message's failure
		}
	}()
	if r.settings.limiter != nil {
		r.settings.limiter(r.topic)
	}
	seen := &primitive.ConsumeMessageContext{
		ConsumerGroup: r.settings.group, Msgs: messages, MQ: messages[0].Queue, Properties: map[string]string{},
	}
	ctx = primitive.WithMethod(primitive.WithConsumerCtx(ctx, seen), primitive.ConsumerPush)
	if r.settings.interceptor == nil {
		result, err = r.handler(ctx, messages...)
	} else {
		result, err = r.intercepted(ctx, messages, seen)
	}
	if err != nil && result == consumer.ConsumeSuccess {
		r.log.Warn("handler returned an error with ConsumeSuccess: the message is acknowledged", "topic", r.topic, "id", messages[0].MsgId, "error", err)
	}
	return result, err
}

// intercepted calls the handler through the interceptors. One that returns an error without calling on has handled
// nothing, so that the message is retried.
func (r *runner) intercepted(ctx context.Context, messages []*primitive.MessageExt, seen *primitive.ConsumeMessageContext) (consumer.ConsumeResult, error) {
	var holder consumer.ConsumeResultHolder
	called := false
	err := r.settings.interceptor(ctx, messages, &holder, func(ctx context.Context, request, reply any) error {
		handed, ok := request.([]*primitive.MessageExt)
		if !ok {
			return fmt.Errorf("clientgo: an interceptor passes on a %T for the messages", request)
		}
		called = true
		result, err := r.handler(ctx, handed...)
		if answer, ok := reply.(*consumer.ConsumeResultHolder); ok {
			answer.ConsumeResult = result
		}
		seen.Success = result == consumer.ConsumeSuccess
		returned := primitive.FailedReturn
		switch {
		case err != nil:
			returned = primitive.ExceptionReturn
		case seen.Success:
			returned = primitive.SuccessReturn
		}
		seen.Properties[primitive.PropCtxType] = string(returned)
		return err
	})
	if err != nil && !called && holder.ConsumeResult == consumer.ConsumeSuccess {
		holder.ConsumeResult = consumer.ConsumeRetryLater
	}
	return holder.ConsumeResult, err
}

// reason is why a message isn't done with.
func reason(result consumer.ConsumeResult, err error) error {
	if err != nil {
		return err
	}
	switch result {
	case consumer.ConsumeSuccess:
		return errors.New("it is beyond the AckIndex")
	case consumer.ConsumeRetryLater:
		return errors.New("ConsumeRetryLater")
	case consumer.Rollback:
		return errors.New("Rollback")
	case consumer.SuspendCurrentQueueAMoment:
		return errors.New("SuspendCurrentQueueAMoment")
	}
	return fmt.Errorf("ConsumeResult %d", result)
}
