package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// retry receives a failing message again, after the delay that its handler asked for, and no more often than the group
// allows.
func retry(ctx context.Context, on transport, topic, group string) (err error) {
	attempts := make(chan *primitive.MessageExt, 100)
	stop, err := consume(on, topic, consumer.MessageSelector{}, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			attempts <- m
		}
		if how, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			how.DelayLevelWhenNextConsume = 1 // 1 s
		}
		if messages[0].ReconsumeTimes == 0 {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithGroupName(group), consumer.WithMaxReconsumeTimes(3), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	p, err := produce(on, producer.WithGroupName(group+"-sender"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	result, err := p.SendSync(ctx, primitive.NewMessage(topic, []byte("fails once")))
	if err != nil {
		return err
	}
	for attempt := range int32(2) {
		m, err := next(ctx, attempts)
		if err != nil {
			return fmt.Errorf("attempt %d: %w", attempt, err)
		}
		if m.ReconsumeTimes != attempt || m.Topic != topic || string(m.Body) != "fails once" || m.MsgId != result.MsgID {
			return fmt.Errorf("attempt %d: %v", attempt, m)
		}
	}
	return nil
}
