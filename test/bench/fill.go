package main

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/producer"
)

// topic is what consumers read; each turn reads the same messages as a group of its own.
const topic = "bench-consume"

const batch = 64

// fill stores the messages that are to be consumed, once, the same number in each queue as far as it goes.
func (r *rig) fill(ctx context.Context) error {
	if r.filled {
		return nil
	}
	r.say("storing %s messages of %d bytes in %d queues", grouped(int64(r.options.messages)), bodySize, queues)
	if err := r.create(ctx, topic, queues); err != nil {
		return err
	}
	p, err := producer.New(r.client, producer.Config{Group: "bench-fill"})
	if err != nil {
		return err
	}
	defer p.Close(context.WithoutCancel(ctx))
	body := bytes.Repeat([]byte{'x'}, bodySize)
	var next atomic.Int64
	senders, ctx := errgroup.WithContext(ctx)
	for range 4 {
		senders.Go(func() error {
			messages := make([]producer.Message, 0, batch)
			for {
				end := next.Add(batch)
				n := min(batch, int64(r.options.messages)-(end-batch))
				if n <= 0 {
					return nil
				}
				messages = messages[:0]
				for range n {
					messages = append(messages, producer.Message{Topic: topic, Body: body})
				}
				if _, err := p.SendBatch(ctx, messages); err != nil {
					return err
				}
			}
		})
	}
	r.filled = true
	return senders.Wait()
}

func (r *rig) create(ctx context.Context, name string, queues int) error {
	err := r.admin.CreateTopic(ctx, admin.TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues})
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return nil
}
