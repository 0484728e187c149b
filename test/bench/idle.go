package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/bench/child"
)

const (
	idleTopics = "bench-idle"
	idleQueues = 4
	idleEvery  = 20 * time.Millisecond // between two messages, once there are any
)

// idle has one consumer of many topics wait, and then sends a message now and then to one or the other.
func idle(ctx context.Context, r *rig) ([]table, error) {
	topics, stretch := r.options.topics, 10*r.options.stretch
	if err := r.createIdle(ctx, topics); err != nil {
		return nil, err
	}
	p, err := r.process(ctx, rocketkitName)
	if err != nil {
		return nil, err
	}
	messages := int(stretch / idleEvery)
	r.say("idle  %d topics, %v of nothing, then %d messages", topics, stretch, messages)
	sent := make(chan error, 1)
	marks := 0
	pid := r.cluster.Broker(0).PID()
	var broker time.Duration
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f, err := p.Measure(ctx, func() {
		if marks++; marks == 1 {
			broker = processorTime(pid)
			return
		}
		broker = processorTime(pid) - broker
		go func() {
			err := r.sendNowAndThen(ctx, topics, messages)
			if err != nil {
				stop(err)
			}
			sent <- err
		}()
	}, "idle", "group", "bench-idle", "prefix", idleTopics, "topics", strconv.Itoa(topics), "queues", strconv.Itoa(idleQueues),
		"n", strconv.Itoa(messages), "warm", strconv.Itoa(int(stretch/4)), "stretch", strconv.Itoa(int(stretch)))
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, r.logs[rocketkitName])
	}
	if err := <-sent; err != nil {
		return nil, err
	}
	r.say("idle  done")
	t := table{
		Name:  "idle",
		Title: fmt.Sprintf("idle: one rocketkit consumer on %d topics of %d queues, %v of nothing, then %d messages, one each %v", topics, idleQueues, stretch, messages, idleEvery),
		Findings: []finding{
			{What: "idle, rocketkit's processor time, % of a core", AtMost: 5, values: []float64{100 * f.CPU.Seconds() / f.Elapsed.Seconds()}},
			{What: "idle, the broker's, % of a core", values: []float64{100 * broker.Seconds() / f.Elapsed.Seconds()}},
			{What: "idle, rocketkit's resident memory, MB", AtMost: 100, values: []float64{float64(f.RSS) / 1e6}},
			{What: "idle, stored to handled, p50, ms", values: []float64{milliseconds(f.P50)}},
			{What: "idle, stored to handled, p99, ms", AtMost: 50, values: []float64{milliseconds(f.P99)}},
			{What: "idle, stored to handled, longest, ms", values: []float64{milliseconds(f.Max)}},
		},
	}
	return []table{t}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (r *rig) createIdle(ctx context.Context, topics int) error {
	r.say("creating %d topics", topics)
	creating, ctx := errgroup.WithContext(ctx)
	creating.SetLimit(8)
	for i := range topics {
		creating.Go(func() error { return r.create(ctx, child.TopicName(idleTopics, i), idleQueues) })
	}
	return creating.Wait()
}

// sendNowAndThen sends messages to topics chosen at random.
func (r *rig) sendNowAndThen(ctx context.Context, topics, messages int) error {
	p, err := producer.New(r.client, producer.Config{Group: "bench-idle"})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close(context.WithoutCancel(ctx)) }() // it has only to say goodbye
	tick := time.NewTicker(idleEvery)
	defer tick.Stop()
	for range messages {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		m := producer.Message{Topic: child.TopicName(idleTopics, rand.IntN(topics)), Body: make([]byte, bodySize)}
		if _, err := p.Send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
