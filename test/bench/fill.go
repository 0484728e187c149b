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

const batch = 64

// fill makes a topic and stores the messages in it that are to be consumed, about the same number in each queue. Each turn reads
// all of them, as a group of its own.
func (r *rig) fill(ctx context.Context, topic string, all int) error {
	r.say("storing %s messages of %d bytes in %d queues of %s", grouped(int64(all)), bodySize, queues, topic)
	if err := r.create(ctx, topic, queues); err != nil {
		return err
	}
	p, err := producer.New(r.client, producer.Config{Group: "bench-fill"})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close(context.WithoutCancel(ctx)) }() // it has only to say goodbye
	body := bytes.Repeat([]byte{'x'}, bodySize)
	var next atomic.Int64
	senders, ctx := errgroup.WithContext(ctx)
	for range 4 {
		senders.Go(func() error {
			messages := make([]producer.Message, 0, batch)
			for {
				end := next.Add(batch)
				n := min(batch, int64(all)-(end-batch))
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
	return senders.Wait()
}

func (r *rig) create(ctx context.Context, name string, queues int) error {
	err := r.admin.CreateTopic(ctx, admin.TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues})
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return nil
}
