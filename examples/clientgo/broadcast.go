package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// broadcast has every instance receive every message. A handler's failure has nothing delivered again.
func broadcast(ctx context.Context, on transport, topic, group string) (err error) {
	const instances, n = 2, 20
	type receipt struct {
		instance int
		body     string
	}
	got := make(chan receipt, 10*instances*n)
	for instance := range instances {
		stop, err := consume(on, topic, consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range messages {
				got <- receipt{instance, string(m.Body)}
			}
			if string(messages[0].Body) == "flag 0" {
				return consumer.ConsumeRetryLater, nil
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithGroupName(group), consumer.WithConsumerModel(consumer.BroadCasting), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	p, err := produce(on, producer.WithGroupName(group+"-sender"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	for i := range n {
		if _, err := p.SendSync(ctx, primitive.NewMessage(topic, fmt.Appendf(nil, "flag %d", i))); err != nil {
			return err
		}
	}
	seen := map[receipt]int{}
	for range instances * n {
		r, err := next(ctx, got)
		if err != nil {
			return fmt.Errorf("%d of %d: %w", len(seen), instances*n, err)
		}
		if seen[r]++; seen[r] > 1 {
			return fmt.Errorf("instance %d received %q twice", r.instance, r.body)
		}
	}
	return nil
}
