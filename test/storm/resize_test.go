package storm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// Pools that go from 1 to 256 workers and back each 100 ms under load, of topics with each order and of batches, lose no
// message, repeat none, keep the orders, and leave no goroutine behind.
func TestResizingUnderLoad(t *testing.T) {
	for name, servers := range map[string]func(t *testing.T) []string{
		"mqtest": func(t *testing.T) []string { return mqtest.New(t, mqtest.Config{TCP: true}).Addresses() },
		"real":   func(t *testing.T) []string { return rocketmq.Cluster(t).NameServers() },
	} {
		t.Run(name, func(t *testing.T) { testResizing(t, servers(t)) })
	}
}

func testResizing(t *testing.T, servers []string) {
	last := 2 * time.Second
	if full() {
		last = time.Minute
	}
	cfg := rocketkit.Config{NameServers: servers, Tenant: "resize", Logger: slog.New(slog.DiscardHandler)}
	topics := map[string]*ledger{"plain": {}, "by-key": {order: consumer.OrderKey}, "by-queue": {order: consumer.OrderQueue}, "in-batches": {batches: true}}
	senders := openAndCreate(t, cfg, topics)
	before := runtime.NumGoroutine()

	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	group := consumer.Config{Group: "resized", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{}}
	for name, l := range topics {
		group.Topics[name] = l.topic()
	}
	c, err := consumer.New(client, group)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	<-c.Ready()

	sending, quit := context.WithTimeout(t.Context(), last)
	defer quit()
	var sent sync.WaitGroup
	for name, l := range topics {
		sent.Go(func() { l.send(sending, t, senders, name) })
	}
	changes := 0
	for size := 256; sending.Err() == nil; size = 257 - size {
		for name := range topics {
			if err := c.Tune(name, consumer.Change{Reset: true, Workers: size}); err != nil {
				t.Fatal(err)
			}
		}
		changes++
		time.Sleep(100 * time.Millisecond) // the pace
	}
	sent.Wait()
	for name := range topics {
		if err := c.Tune(name, consumer.Change{Reset: true, Workers: 64}); err != nil {
			t.Fatal(err)
		}
	}
	for name, l := range topics {
		l.await(t, name)
	}
	stop()
	if err := errors.Join(<-done, client.Close(context.Background())); err != nil {
		t.Error(err)
	}
	awaitAtMost(t, "goroutines", int64(before), func() int64 { return int64(runtime.NumGoroutine()) })
	for name, l := range topics {
		l.report(t, name, changes)
		allCommitted(t, cfg, name)
	}
}

func openAndCreate(t *testing.T, cfg rocketkit.Config, topics map[string]*ledger) *producer.Producer {
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	for name, l := range topics {
		if err := admin.New(client).CreateTopic(t.Context(), admin.TopicConfig{Name: name}); err != nil {
			t.Fatal(err)
		}
		if err := l.sendOnce(p, name); err != nil { // its connections are made
			t.Fatal(err)
		}
	}
	return p
}

// allCommitted fails the test when something would come again.
func allCommitted(t *testing.T, cfg rocketkit.Config, topic string) {
	t.Helper()
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	offsets, err := admin.New(client).Offsets(t.Context(), "resized", topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range offsets {
		if lag, known := o.Lag(); !known || lag != 0 {
			t.Errorf("%s: %d messages of queue %v aren't committed (known: %v)", topic, lag, o.Queue, known)
		}
	}
}

// ledger is what was sent to a topic and what came of it.
type ledger struct {
	order   consumer.Order
	batches bool

	mu     sync.Mutex
	sent   int
	times  []uint8        // how often each was handled to its end
	done   int            // how many were
	newest map[string]int // by key
	wrong  []string
}

const perSend, keys = 32, 100

func (l *ledger) send(ctx context.Context, t *testing.T, p *producer.Producer, topic string) {
	for ctx.Err() == nil {
		if err := l.sendOnce(p, topic); err != nil {
			t.Error(err)
			return
		}
		time.Sleep(8 * time.Millisecond) // the pace
	}
}

// sendOnce sends a batch of messages with one key, since those of a batch go to one queue.
func (l *ledger) sendOnce(p *producer.Producer, topic string) error {
	batch := make([]producer.Message, perSend)
	for i := range batch {
		batch[i] = producer.Message{Topic: topic, ShardingKey: fmt.Sprint(l.sent / perSend % keys), Body: fmt.Append(nil, l.sent+i)}
	}
	l.mu.Lock()
	l.sent += perSend
	l.times = append(l.times, make([]uint8, perSend)...)
	l.mu.Unlock()
	_, err := p.SendBatch(context.Background(), batch)
	return err
}

func (l *ledger) topic() consumer.Topic {
	t := consumer.Topic{Workers: 1, Order: l.order}
	if !l.batches {
		t.Handler = l.handle
		return t
	}
	t.Batch = consumer.Batching{Size: 16, Wait: 10 * time.Millisecond, Handler: func(ctx context.Context, b *consumer.Batch) error {
		for i, m := range b.Messages() {
			b.Set(i, l.handle(ctx, m))
		}
		return nil
	}}
	return t
}

func (l *ledger) handle(_ context.Context, m *rocketkit.Message) error {
	time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) // the work
	if m.Attempt() == 1 && rand.IntN(1000) == 0 {
		return consumer.RetryIn(10*time.Millisecond, errors.New("on purpose"))
	}
	n, err := strconv.Atoi(string(m.Body()))
	if err != nil {
		return consumer.Drop(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.times[n]++; l.times[n] == 1 {
		l.done++
	}
	if key := m.ShardingKey(); l.order != consumer.OrderNone {
		if l.newest == nil {
			l.newest = map[string]int{}
		}
		if newest, some := l.newest[key]; some && n < newest {
			l.wrong = append(l.wrong, fmt.Sprintf("%d after %d of key %s", n, newest, key))
		}
		l.newest[key] = n
	}
	return nil
}

// await waits until all that was sent was handled.
func (l *ledger) await(t *testing.T, topic string) {
	t.Helper()
	for limit := time.Now().Add(2 * patience); ; time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		missing := l.sent - l.done
		l.mu.Unlock()
		if missing == 0 {
			return
		}
		if time.Now().After(limit) {
			t.Errorf("%s: %d of %d messages are missing", topic, missing, l.sent)
			return
		}
	}
}

func (l *ledger) report(t *testing.T, topic string, changes int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	twice := 0
	for _, times := range l.times {
		if times > 1 {
			twice++
		}
	}
	if twice > 0 || len(l.wrong) > 0 {
		t.Errorf("%s: %d came twice; out of order: %q", topic, twice, l.wrong[:min(len(l.wrong), 5)])
	}
	t.Logf("%s: %d messages, %d changes, %d lost, %d twice, %d out of order", topic, l.sent, changes, l.sent-l.done, twice, len(l.wrong))
}
