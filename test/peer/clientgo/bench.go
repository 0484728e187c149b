package main

import (
	"bytes"
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit/test/peer/line"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

// bench measures consuming and sending, with the library's own settings but for the number of workers where one is given.
func bench(o options) error {
	return meter.Serve(os.Stdin, os.Stdout, map[string]meter.Measure{"consume": o.measureConsume, "send": o.measureSend})
}

func (o options) measureConsume(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	set := []consumer.Option{
		consumer.WithNameServer(o.nameServers),
		consumer.WithGroupName(l.Get("group")),
		consumer.WithInstance(l.Get("group")), // without, consumers that follow each other share what is left of the first
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}
	if workers := int(l.Int("workers")); workers > 0 {
		set = append(set, consumer.WithConsumeGoroutineNums(workers))
	}
	c, err := consumer.NewPushConsumer(set...)
	if err != nil {
		return meter.Figures{}, err
	}
	m := meter.New(l.Int("from"), l.Int("to"), l.Int("all"), mark)
	work := time.Duration(l.Int("work"))
	handle := func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if work > 0 {
			time.Sleep(work)
		}
		m.Add(int64(len(msgs)))
		return consumer.ConsumeSuccess, nil
	}
	if err := c.Subscribe(l.Get("topic"), consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}, handle); err != nil {
		return meter.Figures{}, err
	}
	if err := c.Start(); err != nil {
		return meter.Figures{}, err
	}
	f, err := m.Wait(ctx)
	if err != nil {
		return f, err // without a shutdown, which ends the process while messages come in
	}
	return f, c.Shutdown()
}

func (o options) measureSend(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	p, err := producer.NewDefaultProducer(producer.WithNameServer(o.nameServers), producer.WithGroupName(l.Get("group")),
		producer.WithInstanceName(l.Get("group")), producer.WithSendMsgTimeout(o.timeout))
	if err != nil {
		return meter.Figures{}, err
	}
	if err := p.Start(); err != nil {
		return meter.Figures{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var sent atomic.Int64
	var callers sync.WaitGroup
	body, batch := bytes.Repeat([]byte{'x'}, int(l.Int("size"))), max(1, int(l.Int("batch")))
	for range l.Int("callers") {
		callers.Go(func() {
			for ctx.Err() == nil {
				messages := make([]*primitive.Message, batch)
				for i := range messages {
					messages[i] = primitive.NewMessage(l.Get("topic"), body)
				}
				if _, err := p.SendSync(context.Background(), messages...); err != nil {
					stop(err)
				}
				sent.Add(int64(batch))
			}
		})
	}
	f, err := meter.Stretch(ctx, time.Duration(l.Int("warm")), time.Duration(l.Int("stretch")), mark, sent.Load)
	stop(nil)
	callers.Wait()
	if err != nil {
		return f, err
	}
	return f, p.Shutdown()
}
