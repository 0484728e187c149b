package conformance

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

// A drain under load leaves nothing behind: 8 queues, 16 workers, 2 ms handlers, stopped and started again in the middle
// of the traffic, every message is handled exactly once.
func TestStopUnderLoadRepeatsNothing(t *testing.T) { onEach(t, testStopUnderLoadRepeatsNothing) }

func testStopUnderLoadRepeatsNothing(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	got := newTally()
	cfg := consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Workers: 16, Handler: func(_ context.Context, m *rocketkit.Message) error {
			time.Sleep(2 * time.Millisecond) // the work
			got.add(string(m.Body()))
			return nil
		}}},
	}
	const rounds, perRound = 4, 1500
	c := run(t, client, cfg)
	for round := range rounds {
		var sending sync.WaitGroup
		sending.Go(func() { send(t, client, "orders", string(rune('a'+round)), perRound) })
		got.awaitDistinct(t, round*perRound+perRound/2)
		c.end(t)
		sending.Wait()
		c = run(t, client, cfg)
	}
	got.awaitDistinct(t, rounds*perRound)
	c.end(t)
	for body, n := range got.all() {
		if n != 1 {
			t.Errorf("%s was handled %d times", body, n)
		}
	}
}

// A stop while the retry topic's messages are under way repeats none of them either.
func TestStopRepeatsNoRetry(t *testing.T) { onEach(t, testStopRepeatsNoRetry) }

func testStopRepeatsNoRetry(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	topic(t, client, "refunds")
	got := newTally()
	handler := func(_ context.Context, m *rocketkit.Message) error {
		if m.Attempt() == 1 {
			return consumer.RetryIn(time.Second, nil)
		}
		time.Sleep(2 * time.Millisecond) // the work
		got.add(string(m.Body()))
		return nil
	}
	cfg := consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Workers: 4, Handler: handler}, "refunds": {Workers: 1, Handler: handler}},
	}
	c := run(t, client, cfg)
	n := len(send(t, client, "orders", "o", 400)) + len(send(t, client, "refunds", "r", 200))
	for _, part := range []int{n / 4, n / 2, 3 * n / 4} {
		got.awaitDistinct(t, part)
		c.end(t)
		c = run(t, client, cfg)
	}
	got.awaitDistinct(t, n)
	c.end(t)
	for body, times := range got.all() {
		if times != 1 {
			t.Errorf("%s was retried %d times", body, times)
		}
	}
}

// A handler that outlasts the drain is canceled, and its message delivered again.
func TestDrainCancelsSlowHandlers(t *testing.T) { onEach(t, testDrainCancelsSlowHandlers) }

func testDrainCancelsSlowHandlers(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	got := newTally()
	var block atomic.Bool
	block.Store(true)
	cfg := consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Drain: 50 * time.Millisecond,
		Topics: map[string]consumer.Topic{"orders": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			if block.Load() {
				got.add("started")
				<-ctx.Done()
				return consumer.RetryIn(time.Second, ctx.Err())
			}
			got.add(string(m.Body()))
			return nil
		}}},
	}
	c := run(t, client, cfg)
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("slow")}); err != nil {
		t.Fatal(err)
	}
	got.awaitDistinct(t, 1)
	block.Store(false)
	c.end(t)
	run(t, client, cfg)
	got.await(t, "the canceled message", func(counts map[string]int) bool { return counts["slow"] > 0 })
}
