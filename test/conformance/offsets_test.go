package conformance

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// positions is an Offsets in memory.
type positions struct {
	mu        sync.Mutex
	next      map[rocketkit.Queue]int64
	backwards int
}

func (p *positions) Load(_ context.Context, queues []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := map[rocketkit.Queue]int64{}
	for _, q := range queues {
		if at, ok := p.next[q]; ok {
			found[q] = at
		}
	}
	return found, nil
}

func (p *positions) Commit(_ context.Context, moved map[rocketkit.Queue]int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q, at := range moved {
		if at < p.next[q] {
			p.backwards++
		}
	}
	maps.Copy(p.next, moved)
	return nil
}

func (p *positions) sum(topic string) (n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q, at := range p.next {
		if q.Topic == topic {
			n += at
		}
	}
	return n
}

// A group whose positions are kept elsewhere goes on from there; brokers are told, and an operator's reset is carried out.
func TestOffsetsElsewhere(t *testing.T) { onEach(t, testOffsetsElsewhere) }

func testOffsetsElsewhere(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	got := newTally()
	p := &positions{next: map[rocketkit.Queue]int64{}}
	cfg := consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Offsets: p,
		Topics: map[string]consumer.Topic{"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			time.Sleep(20 * time.Millisecond) // so that commits come in between
			got.add(string(m.Body()))
			return nil
		}}},
	}
	send(t, client, "orders", "a", 100)
	c := run(t, client, cfg)
	got.awaitDistinct(t, 100)
	c.end(t)
	if kept, told := p.sum("orders"), committed(t, client, "billing", "orders"); kept != 100 || told != 100 {
		t.Errorf("%d kept, brokers were told of %d", kept, told)
	}
	reset := time.Now()
	time.Sleep(10 * time.Millisecond) // brokers keep time in milliseconds
	send(t, client, "orders", "b", 100)
	c = run(t, client, cfg)
	got.awaitDistinct(t, 200)
	eventually(t, "all is kept", func() bool { return p.sum("orders") == 200 })
	for body, n := range got.all() {
		if n != 1 {
			t.Errorf("%s was handled %d times", body, n)
		}
	}
	resetTo(t, client, "billing", reset)
	got.await(t, "the second half again", func(counts map[string]int) bool {
		n := 0
		for body, times := range counts {
			if body[0] == 'b' && times == 2 {
				n++
			}
		}
		return n == 100
	})
	eventually(t, "all is kept again", func() bool { return p.sum("orders") == 200 })
	c.end(t)
	if p.backwards == 0 {
		t.Error("the reset was never committed")
	}
}

// resetTo has a group go back to a time in "orders", as RocketMQ's resetOffsetByTime does (INVOKE_BROKER_TO_RESET_OFFSET 222).
func resetTo(t *testing.T, client *rocketkit.Client, group string, to time.Time) {
	t.Helper()
	view := client.Cluster()
	physical, err := view.Names.Group(group)
	if err != nil {
		t.Fatal(err)
	}
	for _, broker := range queuesOf(t, client, "orders")[:1] {
		address, err := view.Master(t.Context(), broker.Topic, broker.Broker)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := view.Invoke(t.Context(), address, protocol.ResetOffset{
			Group: physical, Topic: broker.Topic, Time: to.UnixMilli(), Force: true,
		}.Frame()); err != nil {
			t.Fatal(err)
		}
	}
}
