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

// request asks for something, and a consumer replies.
func request(ctx context.Context, on transport, topic, group string) (err error) {
	replier, err := produce(on, producer.WithGroupName(group+"-replier"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, replier.Shutdown()) }()
	stop, err := consume(on, topic, consumer.MessageSelector{}, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			reply, err := consumer.CreateReplyMessage(m, nil)
			if err != nil {
				return consumer.ConsumeSuccess, err // it was no request
			}
			reply.Body = append([]byte("hello, "), m.Body...)
			if _, err := replier.SendSync(ctx, reply); err != nil {
				if how, ok := primitive.GetConcurrentlyCtx(ctx); ok {
					how.DelayLevelWhenNextConsume = 1
				}
				return consumer.ConsumeRetryLater, err
			}
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithGroupName(group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	p, err := produce(on, producer.WithGroupName(group+"-asker"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	reply, err := p.Request(ctx, time.Minute, primitive.NewMessage(topic, []byte("who is there?")))
	if err != nil {
		return err
	}
	if got := string(reply.Body); got != "hello, who is there?" {
		return fmt.Errorf("reply: %q", got)
	}
	return nil
}
