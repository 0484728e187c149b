package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// The tests here are named after what happens to orderly consumers of rocketmq-client-go (v2.1.3), and show that it
// doesn't here.

// handled is what a handler was given, in order, as "body attempt".
type handled struct {
	mu  sync.Mutex
	all []string
}

func (h *handled) add(m *rocketkit.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, fmt.Sprint(string(m.Body()), " ", m.Attempt()))
}

func (h *handled) read() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

// orderly runs a consumer of one queue with three messages, 1 to 3, until its group has consumed them, or for the time
// given, and tells what came and what is committed.
func orderly(t *testing.T, order consumer.Order, limit time.Duration, handle func(*rocketkit.Message) error) (came []string, committed int64) {
	t.Helper()
	cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 1}, Logger: slog.New(slog.DiscardHandler)})
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	for i := range 3 {
		send(client, producer.Message{Topic: "orders", ShardingKey: "a", Body: fmt.Append(nil, i+1)})
	}
	seen := &handled{}
	c, err := consumer.New(client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"orders": {Order: order, Handler: func(_ context.Context, m *rocketkit.Message) error { seen.add(m); return handle(m) }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- rocketkit.Run(ctx, c) }()
	waiting, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_ = cluster.WaitConsumed(waiting, "billing", "orders")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, q := range cluster.Offsets("billing", "orders") {
		committed = q.Committed
	}
	return seen.read(), committed
}

// A message that is to be retried is skipped, and committed over: lost (apache/rocketmq-client-go#1229).
func TestOrderlyRetryLaterThenCommitLoses(t *testing.T) {
	t.Parallel()
	for _, order := range []consumer.Order{consumer.OrderKey, consumer.OrderQueue} {
		synctest.Test(t, func(t *testing.T) {
			came, committed := orderly(t, order, time.Hour, func(m *rocketkit.Message) error {
				if string(m.Body()) == "1" && m.Attempt() < 3 {
					return errors.New("later")
				}
				return nil
			})
			if want := []string{"1 1", "1 2", "1 3", "2 1", "3 1"}; !slices.Equal(came, want) || committed != 3 {
				t.Errorf("came %v, committed %d, want %v and 3", came, committed, want)
			}
		})
		synctest.Test(t, func(t *testing.T) { // nor is it committed over when the process ends first
			came, committed := orderly(t, order, 10*time.Minute, func(m *rocketkit.Message) error {
				return consumer.RetryIn(time.Hour, errors.New("later"))
			})
			if want := []string{"1 1"}; !slices.Equal(came, want) || committed != 0 {
				t.Errorf("came %v, committed %d, want %v and 0", came, committed, want)
			}
		})
	}
}

// A handler that asks for its message again is called millions of times in a few seconds.
func TestOrderlySuspendSpins(t *testing.T) {
	t.Parallel()
	for _, order := range []consumer.Order{consumer.OrderKey, consumer.OrderQueue} {
		for _, again := range []error{errors.New("not now"), consumer.RetryIn(0, nil), consumer.RetryIn(-time.Second, nil)} {
			synctest.Test(t, func(t *testing.T) {
				began, calls := time.Now(), 0
				_, _ = orderly(t, order, 5*time.Minute, func(*rocketkit.Message) error {
					if time.Since(began) < 5*time.Second {
						calls++
					}
					return again
				})
				if calls < 3 || calls > 500 {
					t.Errorf("%q: %d calls in 5 s", again, calls)
				}
			})
		}
	}
}

// A handler that panics ends its queue: nothing of it comes any more.
func TestOrderlyPanicEndsItsQueue(t *testing.T) {
	t.Parallel()
	for _, order := range []consumer.Order{consumer.OrderKey, consumer.OrderQueue} {
		synctest.Test(t, func(t *testing.T) {
			came, committed := orderly(t, order, time.Hour, func(m *rocketkit.Message) error {
				if string(m.Body()) == "2" && m.Attempt() == 1 {
					panic("on purpose")
				}
				return nil
			})
			if want := []string{"1 1", "2 1", "2 2", "3 1"}; !slices.Equal(came, want) || committed != 3 {
				t.Errorf("came %v, committed %d, want %v and 3", came, committed, want)
			}
		})
	}
}
