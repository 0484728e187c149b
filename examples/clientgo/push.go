package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// push receives what has a tag, with keys, properties and ids as they were sent.
func push(ctx context.Context, on transport, topic, group string) (err error) {
	got := make(chan *primitive.MessageExt, 100)
	stop, err := consume(on, topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "paid || shipped"},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range messages {
				got <- m
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithGroupName(group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithConsumeGoroutineNums(4))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	p, err := produce(on, producer.WithGroupName(group+"-sender"), producer.WithRetry(2), producer.WithSendMsgTimeout(5*time.Second))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	sent := map[string]*primitive.SendResult{}
	for i, tag := range []string{"paid", "canceled", "shipped", "paid"} {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "order %d", i)).WithTag(tag).WithKeys([]string{fmt.Sprint("order-", i), "all"})
		m.WithProperty("city", "Berlin")
		result, err := p.SendSync(ctx, m)
		if err != nil {
			return err
		}
		if result.Status != primitive.SendOK || result.MessageQueue == nil || result.MsgID == "" || result.OffsetMsgID == "" {
			return fmt.Errorf("sent: %v", result)
		}
		if tag != "canceled" {
			sent[result.MsgID] = result
		}
	}
	for range len(sent) {
		m, err := next(ctx, got)
		if err != nil {
			return err
		}
		result := sent[m.MsgId]
		delete(sent, m.MsgId)
		switch {
		case result == nil:
			return fmt.Errorf("not sent, or received twice: %v", m)
		case m.Topic != topic, m.GetTags() == "canceled", m.GetProperty("city") != "Berlin", m.GetProperty(primitive.PropertyKeys) == "":
			return fmt.Errorf("received: %v", m)
		case m.Queue.QueueId != result.MessageQueue.QueueId, m.QueueOffset != result.QueueOffset, m.OffsetMsgId != result.OffsetMsgID:
			return fmt.Errorf("received: %v, sent: %v", m, result)
		}
	}
	return nil
}

// consume starts a consumer of one topic.
func consume(on transport, topic string, selector consumer.MessageSelector,
	handle func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error), options ...consumer.Option,
) (stop func() error, err error) {
	c, err := on.PushConsumer(options...)
	if err != nil {
		return nil, err
	}
	if err := c.Subscribe(topic, selector, handle); err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return c.Shutdown, nil
}

// produce starts a producer.
func produce(on transport, options ...producer.Option) (rocketmq.Producer, error) {
	p, err := on.Producer(options...)
	if err != nil {
		return nil, err
	}
	return p, p.Start()
}

// next waits for what a handler has received.
func next[T any](ctx context.Context, got <-chan T) (v T, err error) {
	select {
	case v = <-got:
		return v, nil
	case <-ctx.Done():
		return v, fmt.Errorf("nothing more received: %w", ctx.Err())
	}
}
