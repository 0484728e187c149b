package conformance

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
)

// Batches are no larger than asked for and no later than their Wait; what becomes of a message is decided for it alone;
// after panics and failures of parts everything has come.
func TestBatches(t *testing.T) { onEach(t, testBatches) }

func testBatches(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders") // 8 queues
	const n, size = 600, 40
	done, tries := newTally(), newTally()
	var mu sync.Mutex
	largest, queues, panicked := 0, 0, false
	c := run(t, client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Workers: 3, Batch: consumer.Batching{Size: size, Wait: 200 * time.Millisecond,
			Handler: func(_ context.Context, b *consumer.Batch) error {
				from := map[rocketkit.Queue]bool{}
				for _, m := range b.Messages() {
					from[m.Queue()] = true
				}
				mu.Lock()
				largest, queues = max(largest, b.Len()), max(queues, len(from))
				first := !panicked
				panicked = true
				mu.Unlock()
				if first {
					panic("on purpose")
				}
				for i, m := range b.Messages() {
					body := string(m.Body())
					tries.add(body)
					switch k := numberOf(body); {
					case k%50 == 7:
						b.Set(i, consumer.DeadLetter(errors.New("not possible")))
					case k%50 == 8:
						b.Set(i, consumer.Drop(errors.New("not wanted")))
					case k%10 == 3 && tries.count(body) == 1:
						b.Set(i, consumer.RetryIn(time.Second, errors.New("busy")))
						continue
					}
					done.add(body)
				}
				return nil
			}}}},
	})
	bodies := send(t, client, "orders", "m", n)
	done.awaitDistinct(t, n)
	for _, body := range bodies {
		want := 1
		if k := numberOf(body); k%10 == 3 {
			want = 2
		}
		if got := tries.count(body); got != want {
			t.Errorf("%s was handed out %d times, want %d", body, got, want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if largest > size || largest < 2 || queues < 2 {
		t.Errorf("the largest batch had %d messages, want up to %d; the widest was of %d queues", largest, size, queues)
	}
	eventually(t, "nothing held", func() bool { s := c.Stats().Topics["orders"]; return s.Cached == 0 && s.Active == 0 })
	eventually(t, "dead letters", func() bool { return exists(t, client, "%DLQ%billing") })
	eventually(t, "all committed", func() bool { return committed(t, client, "billing", "orders") == n })
}

// A stop doesn't wait for a half-full batch; who comes next gets all of it, once.
func TestStopWithHalfFullBatch(t *testing.T) { onEach(t, testStopWithHalfFullBatch) }

func testStopWithHalfFullBatch(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	const n, size = 130, 100
	got := newTally()
	cfg := consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {
		Batch: consumer.Batching{Size: size, Wait: time.Hour, Handler: func(_ context.Context, b *consumer.Batch) error {
			for _, m := range b.Messages() {
				got.add(string(m.Body()))
			}
			return nil
		}},
	}}}
	c := run(t, client, cfg)
	send(t, client, "orders", "m", n)
	eventually(t, "a full batch, and a rest that waits", func() bool {
		s := c.Stats().Topics["orders"]
		return s.Handled == size && s.Waiting == n-size
	})
	began := time.Now()
	c.end(t)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the stop took %v", took)
	}
	batch := cfg.Topics["orders"]
	batch.Batch.Wait = 0
	cfg.Topics["orders"] = batch
	c = run(t, client, cfg)
	got.awaitDistinct(t, n)
	c.end(t)
	for body, times := range got.all() {
		if times != 1 {
			t.Errorf("%s was handled %d times", body, times)
		}
	}
}

// What isn't JSON of the handler's type is a dead letter at once; the rest arrives as values.
func TestJSON(t *testing.T) { onEach(t, testJSON) }

func testJSON(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "refunds")
	type refund struct{ Amount int }
	var mu sync.Mutex
	sum := 0
	c := run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"refunds": {Handler: consumer.JSON(func(_ context.Context, _ *rocketkit.Message, r refund) error {
			mu.Lock()
			defer mu.Unlock()
			sum += r.Amount
			return nil
		})},
	}})
	sendBodies(t, client, "refunds", `{"amount": 5}`, `{"amount": "7"}`, `{"amount": 8}`, `{`)
	eventually(t, "two handled, two failed", func() bool {
		s := c.Stats().Topics["refunds"]
		return s.Handled == 2 && s.Failed == 2
	})
	eventually(t, "two dead letters", func() bool {
		return exists(t, client, "%DLQ%billing") && stored(t, client, "%DLQ%billing") == 2
	})
	mu.Lock()
	defer mu.Unlock()
	if sum != 13 {
		t.Errorf("handled amounts sum up to %d, want 13", sum)
	}
}
