package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// ordered receives the states of each order one after the other, also where a state fails at first.
func ordered(ctx context.Context, on transport, topic, group string) (err error) {
	const orders, states = 3, 5
	var mu sync.Mutex
	handled := map[string][]string{} // by order
	failed := map[string]bool{}
	done := make(chan struct{}, orders*states)
	stop, err := consume(on, topic, consumer.MessageSelector{}, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range messages {
			order, state, _ := strings.Cut(string(m.Body), " ")
			if m.GetShardingKey() != order {
				return consumer.ConsumeSuccess, fmt.Errorf("sharding key %q of order %q", m.GetShardingKey(), order)
			}
			if state == "2" && !failed[order] {
				failed[order] = true
				if how, ok := primitive.GetOrderlyCtx(ctx); ok {
					how.SuspendCurrentQueueTimeMillis = 100
				}
				return consumer.SuspendCurrentQueueAMoment, nil
			}
			handled[order] = append(handled[order], state)
			done <- struct{}{}
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithGroupName(group), consumer.WithConsumerOrder(true), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	p, err := produce(on, producer.WithGroupName(group+"-sender"), producer.WithQueueSelector(producer.NewHashQueueSelector()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	if err := sendStates(ctx, p, topic, orders, states); err != nil {
		return err
	}
	for range orders * states {
		if _, err := next(ctx, done); err != nil {
			return err
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for order, seen := range handled {
		if got := strings.Join(seen, " "); got != "0 1 2 3 4" {
			return fmt.Errorf("%s: %s", order, got)
		}
	}
	if len(failed) != orders {
		return fmt.Errorf("failed at first: %v", failed)
	}
	return nil
}

// sendStates sends each state of all orders, and the next. An order's states go to one queue.
func sendStates(ctx context.Context, p rocketmq.Producer, topic string, orders, states int) error {
	queues := map[string]int{}
	for state := range states {
		for order := range orders {
			key := fmt.Sprint("order-", order)
			result, err := p.SendSync(ctx, primitive.NewMessage(topic, fmt.Appendf(nil, "%s %d", key, state)).WithShardingKey(key))
			if err != nil {
				return err
			}
			if queue, ok := queues[key]; ok && queue != result.MessageQueue.QueueId {
				return fmt.Errorf("%s went to queues %d and %d", key, queue, result.MessageQueue.QueueId)
			}
			queues[key] = result.MessageQueue.QueueId
		}
	}
	return nil
}
