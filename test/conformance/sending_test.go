package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/peer"
)

// produce makes a Producer that the test closes.
func produce(t *testing.T, client *rocketkit.Client, cfg producer.Config) *producer.Producer {
	t.Helper()
	p, err := producer.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// arrivals notes when messages are handled, and where they came from.
type arrivals struct {
	mu  sync.Mutex
	at  map[string]time.Time
	got map[string]rocketkit.Message
	all *tally
}

func newArrivals() *arrivals {
	return &arrivals{at: map[string]time.Time{}, got: map[string]rocketkit.Message{}, all: newTally()}
}

func (a *arrivals) handle(_ context.Context, m *rocketkit.Message) error {
	a.mu.Lock()
	a.at[string(m.Body())], a.got[string(m.Body())] = time.Now(), *m
	a.mu.Unlock()
	a.all.add(string(m.Body()))
	return nil
}

// Timed messages come no earlier than they should, in the queue that the receipt says; one that is recalled doesn't come.
func TestTimedMessages(t *testing.T) { onEach(t, testTimedMessages) }

func testTimedMessages(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "reminders")
	p := produce(t, client, producer.Config{Group: "sender"})
	m := func(body string) producer.Message { return producer.Message{Topic: "reminders", Body: []byte(body)} }
	if on.before("5") {
		late := m("late")
		late.Delay = time.Second
		if _, err := p.Send(t.Context(), late); err == nil || !strings.Contains(err.Error(), "since RocketMQ 5.0 only") {
			t.Errorf("a broker without timers: %v", err)
		}
		return
	}
	got := newArrivals()
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"reminders": {Handler: got.handle}}})

	receipts := map[string]producer.Receipt{}
	due := map[string]time.Time{}
	sent := func(m producer.Message) {
		t.Helper()
		begun := time.Now()
		r, err := p.Send(t.Context(), m)
		if err != nil {
			t.Fatalf("%s: %v", m.Body, err)
		}
		receipts[string(m.Body)], due[string(m.Body)] = r, begun.Add(m.Delay)
		if !m.DeliverAt.IsZero() {
			due[string(m.Body)] = m.DeliverAt.Truncate(time.Millisecond)
		}
	}
	recalled, delayed, at, past := m("recalled"), m("delayed"), m("at"), m("past")
	recalled.Delay, delayed.Delay = 2*time.Second, 2500*time.Millisecond
	at.DeliverAt, past.DeliverAt = time.Now().Add(3*time.Second), time.Now().Add(-time.Hour)
	at.Queue = rocketkit.Queue{Broker: writable(t, p, "reminders")[0].Broker, ID: 5}
	for _, m := range []producer.Message{recalled, delayed, at, past} {
		sent(m)
	}
	far := m("far")
	far.Delay = 80 * time.Hour
	if _, err := p.Send(t.Context(), far); err == nil || producer.Retryable(err) || !strings.Contains(err.Error(), "timerMaxDelaySec") {
		t.Errorf("beyond the timers' reach: %v", err)
	}
	switch handle := receipts["recalled"].RecallHandle; {
	case on.before("5.3.2"):
		sent(m("recalled")) // there the test ends as if it had been recalled and sent anew
	default:
		if id, err := p.Recall(t.Context(), "reminders", handle); err != nil || id != receipts["recalled"].ID {
			t.Fatalf("recalled %q, %v; want %q", id, err, receipts["recalled"].ID)
		}
		if receipts["past"].RecallHandle != "" {
			t.Error("a message that is delivered at once has a handle")
		}
	}
	last := m("last")
	last.Delay = 4 * time.Second // after what was recalled
	sent(last)

	got.all.await(t, "the last", func(counts map[string]int) bool {
		return counts["last"] > 0 && counts["delayed"] > 0 && counts["at"] > 0 && counts["past"] > 0
	})
	got.mu.Lock()
	defer got.mu.Unlock()
	if _, came := got.at["recalled"]; came && !on.before("5.3.2") {
		t.Error("a recalled message came")
	}
	for _, body := range []string{"delayed", "at", "past", "last"} {
		m, r := got.got[body], receipts[body]
		if got.at[body].Before(due[body]) || m.ID() != r.ID || m.Queue() != r.Queue {
			t.Errorf("%s came at %v as %s from %v; was due at %v as %s in %v", body, got.at[body], m.ID(), m.Queue(), due[body], r.ID, r.Queue)
		}
	}
	if q := receipts["at"].Queue; q.ID != 5 {
		t.Errorf("went to %v, not to the queue that it named", q)
	}
}

func writable(t *testing.T, p *producer.Producer, topic string) []rocketkit.Queue {
	t.Helper()
	queues, err := p.Queues(t.Context(), topic)
	if err != nil || len(queues) == 0 {
		t.Fatalf("queues %v, %v", queues, err)
	}
	return queues
}

// Messages go to the queue they name, alone and in batches, and one that the topic hasn't got is refused with what it has.
func TestNamedQueues(t *testing.T) { onEach(t, testNamedQueues) }

func testNamedQueues(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders") // 8 queues
	p := produce(t, client, producer.Config{})
	queues := writable(t, p, "orders")
	if len(queues) != 8 || !slices.IsSortedFunc(queues, func(a, b rocketkit.Queue) int { return a.ID - b.ID }) {
		t.Fatalf("queues %v", queues)
	}
	got := newArrivals()
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: got.handle}}})
	want := map[string]rocketkit.Queue{}
	for i, q := range queues {
		m := producer.Message{Topic: "orders", Body: fmt.Append(nil, "single ", i), Queue: q, ShardingKey: "one"}
		r, err := p.Send(t.Context(), m)
		if err != nil || r.Queue != q {
			t.Errorf("to %v: %v, %v", q, r, err)
		}
		want[string(m.Body)] = q
		m.Body = fmt.Append(nil, "batch ", i)
		receipts, err := p.SendBatch(t.Context(), []producer.Message{m})
		if err != nil || receipts[0].Queue != q || receipts[0].Offset != r.Offset+1 {
			t.Errorf("batch to %v: %v, %v", q, receipts, err)
		}
		want[string(m.Body)] = q
	}
	_, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x"), Queue: rocketkit.Queue{Broker: queues[0].Broker, ID: 8}})
	if err == nil || producer.Retryable(err) || !strings.Contains(err.Error(), "topic orders has "+queues[0].Broker+" 0 to 7") {
		t.Errorf("a queue that isn't there: %v", err)
	}
	got.all.awaitDistinct(t, len(want))
	got.mu.Lock()
	defer got.mu.Unlock()
	for body, q := range want {
		if m := got.got[body]; m.Queue() != q {
			t.Errorf("%s came from %v, want %v", body, m.Queue(), q)
		}
	}
}

// One-way messages arrive when nothing goes wrong.
func TestOneWayMessages(t *testing.T) { onEach(t, testOneWayMessages) }

func testOneWayMessages(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "clicks")
	p := produce(t, client, producer.Config{})
	got := newArrivals()
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"clicks": {Handler: got.handle}}})
	const n = 200
	for i := range n {
		if err := p.SendOneWay(t.Context(), producer.Message{Topic: "clicks", Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	got.all.awaitDistinct(t, n)
}

// What is compressed in any way reaches rocketkit's consumers, and Java's. What client-go knows of, zlib, crosses in
// TestMessagesCrossBetweenLibraries.
func TestCompressedMessagesCross(t *testing.T) { onEach(t, testCompressedMessagesCross) }

func testCompressedMessagesCross(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	boxes := []*inbox{newInbox()}
	run(t, client, consumer.Config{Group: "ours", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: boxes[0].handle}}})
	if slices.Contains(libraries(), peer.Java) && !on.before("5") { // 4.x has the JARs of its own client, which knows zlib only
		boxes = append(boxes, newInbox())
		consumeFor(t, peer.Java, on, tenant, peer.ConsumerConfig{Group: "javas", Topic: "orders", Earliest: true, On: boxes[1].add})
	}
	var bodies []string
	for _, algorithm := range []producer.CompressionAlgorithm{producer.Zlib, producer.LZ4, producer.Zstd} {
		p := produce(t, client, producer.Config{Compression: producer.Compression{Algorithm: algorithm}})
		for _, n := range []int{1000, 20_000} { // within a block of lz4, and beyond
			body := algorithm.String() + strings.Repeat(" again and again", n)
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, body)
		}
	}
	for _, box := range boxes {
		box.seen.awaitDistinct(t, len(bodies))
		for _, body := range bodies {
			if box.seen.count(body) == 0 {
				t.Errorf("%.4s: %d bytes didn't come as they were", body, len(body))
			}
		}
	}
}
