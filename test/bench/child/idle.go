package child

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/test/peer/line"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

// TopicName names one of the topics of an idle consumer.
func TopicName(prefix string, i int) string { return fmt.Sprintf("%s-%03d", prefix, i) }

// idle runs a consumer of many topics in which nothing happens, and measures a stretch of that. From the second mark on it expects
// n messages, and says how long after being stored they reached their handlers.
func (c *child) idle(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	if err := c.warm(); err != nil {
		return meter.Figures{}, err
	}
	arrivals := &latencies{all: int(l.Int("n")), done: make(chan struct{})}
	topics := map[string]consumer.Topic{}
	for i := range int(l.Int("topics")) {
		topics[TopicName(l.Get("prefix"), i)] = consumer.Topic{Handler: func(_ context.Context, m *rocketkit.Message) error {
			arrivals.add(time.Since(m.StoreTime()))
			return nil
		}}
	}
	member, err := consumer.New(c.client, consumer.Config{Group: l.Get("group"), Start: consumer.Earliest(), Topics: topics})
	if err != nil {
		return meter.Figures{}, err
	}
	var f meter.Figures
	err = during(ctx, member, func(ctx context.Context) error {
		if err := awaitPositions(ctx, member, int(l.Int("topics")*l.Int("queues"))); err != nil {
			return err
		}
		settle, stretch := time.Duration(l.Int("warm")), time.Duration(l.Int("stretch"))
		f, err = meter.Stretch(ctx, settle, stretch, mark, func() int64 { return 0 })
		if err != nil {
			return err
		}
		f.RSS = meter.RSS()
		return arrivals.wait(ctx, &f)
	})
	return f, err
}

// awaitPositions waits until the consumer knows where it stands in each of its queues.
func awaitPositions(ctx context.Context, member *consumer.Consumer, queues int) error {
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		known := 0
		for _, t := range member.Stats().Topics {
			for _, q := range t.Queues {
				if q.Position >= 0 {
					known++
				}
			}
		}
		if known >= queues {
			tick.Stop()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return fmt.Errorf("%d of %d queues found: %w", known, queues, context.Cause(ctx))
		}
	}
}

// latencies are how long messages took, until all have come.
type latencies struct {
	all  int
	done chan struct{}

	mu   sync.Mutex
	took []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, d)
	if len(l.took) == l.all {
		close(l.done)
	}
}

func (l *latencies) wait(ctx context.Context, f *meter.Figures) error {
	select {
	case <-l.done:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("%d of %d messages: %w", len(l.took), l.all, context.Cause(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.Messages = int64(len(l.took))
	f.P50, f.P99, f.Max = quantiles(l.took)
	return nil
}

// quantiles returns the middle, the value that 99 % don't exceed, and the largest. There must be one.
func quantiles(all []time.Duration) (p50, p99, longest time.Duration) {
	sorted := slices.Sorted(slices.Values(all))
	at := func(percent int) time.Duration { return sorted[(len(sorted)*percent+99)/100-1] }
	return at(50), at(99), at(100)
}
