package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// batch sends several messages at once and receives several at once.
func batch(ctx context.Context, on transport, topic, group string) (err error) {
	const n = 30
	p, err := produce(on, producer.WithGroupName(group+"-sender"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	messages := make([]*primitive.Message, n)
	for i := range messages {
		messages[i] = primitive.NewMessage(topic, fmt.Appendf(nil, "click %d", i)).WithTag("click")
	}
	result, err := p.SendSync(ctx, messages...)
	if err != nil {
		return err
	}
	if result.Status != primitive.SendOK {
		return fmt.Errorf("sent: %v", result)
	}
	got := make(chan []string, n)
	stop, err := consume(on, topic, consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		bodies := make([]string, len(messages))
		for i, m := range messages {
			if bodies[i] = string(m.Body); *m.Queue != *messages[0].Queue {
				bodies[i] = "of another queue"
			}
		}
		got <- bodies
		return consumer.ConsumeSuccess, nil
	}, consumer.WithGroupName(group), consumer.WithConsumeMessageBatchMaxSize(10), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	seen, largest := map[string]int{}, 0
	for len(seen) < n {
		bodies, err := next(ctx, got)
		if err != nil {
			return err
		}
		largest = max(largest, len(bodies))
		for _, body := range bodies {
			seen[body]++
		}
	}
	for i := range n {
		if body := fmt.Sprintf("click %d", i); seen[body] != 1 {
			return fmt.Errorf("%s received %d times", body, seen[body])
		}
	}
	if largest < 2 || largest > 10 {
		return fmt.Errorf("the largest batch had %d messages", largest)
	}
	return nil
}
