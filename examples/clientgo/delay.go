package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// delay receives a message once the time of its delay level is over.
func delay(ctx context.Context, on transport, topic, group string) (err error) {
	got := make(chan *primitive.MessageExt, 10)
	stop, err := consume(on, topic, consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			got <- m
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithGroupName(group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	p, err := produce(on, producer.WithGroupName(group+"-sender"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	if _, err := p.SendSync(ctx, primitive.NewMessage(topic, []byte("later")).WithDelayTimeLevel(2)); err != nil { // 5 s
		return err
	}
	m, err := next(ctx, got)
	if err != nil {
		return err
	}
	// By the broker's clock alone: when it made the message visible, and when it got it.
	const least = 4 * time.Second
	if late := time.Duration(m.StoreTimestamp-m.BornTimestamp) * time.Millisecond; late < least || string(m.Body) != "later" {
		return fmt.Errorf("delivered after %v: %v", late, m)
	}
	return nil
}
