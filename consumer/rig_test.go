package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// onCluster runs a test in a bubble, on a cluster of its own.
func onCluster(t *testing.T, cfg mqtest.Config, test func(t *testing.T, cluster *mqtest.Cluster)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg.Logger = slog.New(slog.DiscardHandler)
		test(t, mqtest.New(t, cfg))
	})
}

// service is a consumer that runs, and its client.
type service struct {
	*consumer.Consumer
	client *rocketkit.Client
	stop   func() // in order; may be called again
}

// serve runs a consumer of the group billing and waits until it is ready.
func serve(t *testing.T, cluster *mqtest.Cluster, topics map[string]consumer.Topic) *service {
	t.Helper()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	c, err := consumer.New(client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stopped := false
	s := &service{Consumer: c, client: client, stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-done, client.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}}
	t.Cleanup(s.stop)
	select {
	case <-c.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("Run returned %v", err)
	}
	return s
}

// orders is serve for the one topic orders and its handler.
func orders(handler consumer.Handler) map[string]consumer.Topic {
	return map[string]consumer.Topic{"orders": {Handler: handler, Timeout: -1}}
}

// book sends n messages, prefix-0 and so on, by turns to the topic's queues.
func book(t *testing.T, client *rocketkit.Client, topic, prefix string, n int) {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	for i := range n {
		if _, err := p.Send(t.Context(), producer.Message{Topic: topic, Body: fmt.Appendf(nil, "%s-%d", prefix, i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// counts gives how often each body was handled.
func (b *bodies) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[string]int{}
	for _, body := range b.all {
		counts[body]++
	}
	return counts
}

// mustBe fails the test unless n messages were handled, each once.
func (b *bodies) mustBe(t *testing.T, n int) {
	t.Helper()
	counts := b.counts()
	for body, times := range counts {
		if times != 1 {
			t.Errorf("%s was handled %d times", body, times)
		}
	}
	if len(counts) != n {
		t.Errorf("%d messages were handled, want %d", len(counts), n)
	}
}

// consumed waits until the group is through with a topic.
func consumed(t *testing.T, cluster *mqtest.Cluster, topic string) {
	t.Helper()
	if err := cluster.WaitConsumed(t.Context(), "billing", topic); err != nil {
		t.Fatal(err)
	}
}

// within fails the test when something took longer, on the bubble's clock.
func within(t *testing.T, limit time.Duration, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took > limit {
		t.Errorf("took %v, more than %v", took, limit)
	}
}
