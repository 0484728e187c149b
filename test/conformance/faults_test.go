package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
)

func (c *tally) handle(_ context.Context, m *rocketkit.Message) error {
	c.add(string(m.Body()))
	return nil
}

// orders consumes the topic orders from its beginning as the group billing.
func orders(handler consumer.Handler) consumer.Config {
	return consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: handler}}}
}

// A topic that is deleted and created anew under its consumers begins at its first message, be there more messages by then
// than the old one had, or fewer.
func TestTopicCreatedAnew(t *testing.T) { onEach(t, testTopicCreatedAnew) }

func testTopicCreatedAnew(t *testing.T, on target) {
	for name, n := range map[string]int{"with fewer": 80, "with more": 1200} {
		t.Run(name, func(t *testing.T) {
			client := on.open(t, tenantOf(t, fmt.Sprint(n)))
			if on.before("5.0.0") && n > 400 {
				t.Skip("brokers before 5.0 keep the offsets of a topic that is deleted: one that has outgrown them can't be told")
			}
			topic(t, client, "orders")
			got := newTally()
			c := run(t, client, orders(got.handle))
			send(t, client, "orders", "before", 400)
			got.awaitDistinct(t, 400)
			eventually(t, "all committed", func() bool { return committed(t, client, "billing", "orders") == 400 })
			time.Sleep(1500 * time.Millisecond) // pulls are held
			if err := admin.New(client).DeleteTopic(t.Context(), "orders"); err != nil {
				t.Fatal(err)
			}
			topic(t, client, "orders")
			send(t, client, "orders", "after", n)
			got.awaitDistinct(t, 400+n)
			eventually(t, "all committed", func() bool { return committed(t, client, "billing", "orders") == int64(n) })
			c.end(t)
			for body, times := range got.all() {
				if times != 1 {
					t.Errorf("%s was handled %d times", body, times)
				}
			}
		})
	}
}

// Offsets that a tool has set outside of a queue are put right with the first pull; nothing that is sent is skipped.
func TestOffsetsOutsideOfTheQueue(t *testing.T) { onEach(t, testOffsetsOutsideOfTheQueue) }

func testOffsetsOutsideOfTheQueue(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	got := newTally()
	c := run(t, client, orders(got.handle))
	send(t, client, "orders", "before", 80)
	got.awaitDistinct(t, 80)
	c.end(t)
	a := admin.New(client)
	ranges, err := a.TopicOffsets(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	offsets := map[rocketkit.Queue]int64{}
	for _, q := range ranges {
		offsets[q.Queue] = 1 << 40
	}
	if err := a.SetOffsets(t.Context(), "billing", offsets); err != nil {
		t.Fatal(err)
	}
	c = run(t, client, orders(got.handle))
	eventually(t, "offsets put right", func() bool { return committed(t, client, "billing", "orders") == 80 })
	send(t, client, "orders", "after", 80)
	got.awaitDistinct(t, 160)
	c.end(t)
	for body, times := range got.all() {
		if times != 1 {
			t.Errorf("%s was handled %d times", body, times)
		}
	}
}

// A topic that gets more queues while it is consumed, and then fewer, in the order that admin tells, loses nothing. Members
// learn of a route within 30 s, one after the other, and share the queues differently meanwhile.
func TestQueuesAddedAndRemoved(t *testing.T) { onEach(t, testQueuesAddedAndRemoved) }

func testQueuesAddedAndRemoved(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	a := admin.New(client)
	got := newTally()
	one, two := run(t, client, orders(got.handle)), run(t, on.open(t, tenant), orders(got.handle))
	queues := func() int { return len(one.Stats().Topics["orders"].Queues) + len(two.Stats().Topics["orders"].Queues) }
	sent := 0
	traffic := func(prefix string) {
		send(t, client, "orders", prefix, 160)
		sent += 160
	}
	traffic("eight")
	for _, change := range []admin.TopicConfig{{ReadQueues: 16, WriteQueues: 16}, {WriteQueues: 4}, {ReadQueues: 4}} {
		got.awaitDistinct(t, sent) // before queues are taken away from consumers, what is in them is to be handled
		change.Name = "orders"
		if err := a.UpdateTopic(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		traffic(fmt.Sprint("changed to ", change.ReadQueues, " and ", change.WriteQueues))
		if change.ReadQueues > 0 {
			eventually(t, fmt.Sprint(change.ReadQueues, " queues consumed"), func() bool { return queues() == change.ReadQueues })
		}
		traffic(fmt.Sprint("with ", change.ReadQueues, " and ", change.WriteQueues))
		got.awaitDistinct(t, sent)
	}
	one.end(t)
	two.end(t)
}

// Connections that are cut anywhere, inside of a frame as a rule, lose nothing.
func TestConnectionsCutAnywhere(t *testing.T) { onEach(t, testConnectionsCutAnywhere) }

func testConnectionsCutAnywhere(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	sender := on.open(t, tenant)
	topic(t, sender, "orders")
	cfg := on.config(t, tenant)
	cuts := &cuts{}
	cfg.Dial = cuts.dial
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	got := newTally()
	c := run(t, client, orders(got.handle))
	cuts.on.Store(true)
	for round := range 10 {
		send(t, sender, "orders", fmt.Sprint("round", round), 400)
	}
	got.awaitDistinct(t, 4000)
	if n := cuts.count.Load(); n < 5 {
		t.Errorf("only %d connections were cut", n)
	}
	cuts.on.Store(false)
	eventually(t, "all committed", func() bool { return committed(t, sender, "billing", "orders") == 4000 })
	c.end(t)
}

// cuts dials connections that end after some ten thousand bytes, in the middle of whatever is on them.
type cuts struct {
	on    atomic.Bool
	count atomic.Int64
}

func (c *cuts) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, of: c, left: 1000 + rand.IntN(50_000)}, nil
}

type cutConn struct {
	net.Conn
	of   *cuts
	left int // bytes until it is cut; the reader's own
}

func (c *cutConn) Read(b []byte) (int, error) {
	if !c.of.on.Load() {
		return c.Conn.Read(b)
	}
	if c.left <= 0 {
		c.of.count.Add(1)
		_ = c.Close()
	}
	n, err := c.Conn.Read(b[:min(len(b), max(c.left, 1))])
	c.left -= n
	return n, err
}

// Handlers that hang keep their queues; all else of the queue, and of the other member's, goes on.
func TestHandlersThatHang(t *testing.T) { onEach(t, testHandlersThatHang) }

func testHandlersThatHang(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	got := newTally()
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	hang := func(_ context.Context, m *rocketkit.Message) error {
		if m.Offset() == 0 {
			<-release
		}
		got.add(string(m.Body()))
		return nil
	}
	one, two := run(t, client, orders(hang)), run(t, on.open(t, tenant), orders(hang))
	has := func(c *running, n int) bool { // and no queue that it still waits for
		queues := c.Stats().Topics["orders"].Queues
		return len(queues) == n && !slices.ContainsFunc(queues, func(q consumer.QueueStats) bool { return q.Position < 0 })
	}
	// One that hangs in a queue on its way to the other is left behind after Config.Drain, and delivered again.
	eventually(t, "four queues each", func() bool { return has(one, 4) && has(two, 4) })
	send(t, client, "orders", "many", 800) // the first of each of 8 queues hangs
	got.awaitDistinct(t, 792)
	if !has(one, 4) || !has(two, 4) {
		t.Errorf("they own %v and %v", one.Stats().Topics["orders"].Queues, two.Stats().Topics["orders"].Queues)
	}
	free()
	got.awaitDistinct(t, 800)
	eventually(t, "all committed", func() bool { return committed(t, client, "billing", "orders") == 800 })
	one.end(t)
	two.end(t)
	for body, times := range got.all() {
		if times != 1 {
			t.Errorf("%s was handled %d times", body, times)
		}
	}
}
