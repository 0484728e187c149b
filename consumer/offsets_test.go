package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// store is an Offsets in memory that checks what an Offsets may rely on. Each consumer has a door of its own to it.
type store struct {
	t  *testing.T
	mu sync.Mutex

	positions map[rocketkit.Queue]int64
	loads     []string // the queues of each Load
	commits   int
	backwards int   // commits below what was there
	fail      error // of all calls
}

func newStore(t *testing.T) *store {
	t.Helper()
	return &store{t: t, positions: map[rocketkit.Queue]int64{}}
}

// door is one consumer's Offsets.
type door struct {
	*store
	inside chan struct{}
}

func (s *store) door() *door { return &door{store: s, inside: make(chan struct{}, 1)} }

func (d *door) enter() func() {
	select {
	case d.inside <- struct{}{}:
	default:
		d.t.Error("two calls at once")
		return func() {}
	}
	time.Sleep(time.Millisecond) // another would meet it
	return func() { <-d.inside }
}

func (d *door) Load(_ context.Context, queues []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	defer d.enter()()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	d.loads = append(d.loads, fmt.Sprint(queues))
	found := map[rocketkit.Queue]int64{}
	for _, q := range queues {
		if at, ok := d.positions[q]; ok {
			found[q] = at
		}
	}
	return found, nil
}

func (d *door) Commit(_ context.Context, positions map[rocketkit.Queue]int64) error {
	defer d.enter()()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.commits++
	for q, at := range positions {
		if old, ok := d.positions[q]; ok && at < old {
			d.backwards++
		}
	}
	maps.Copy(d.positions, positions)
	return nil
}

func (s *store) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// sum adds up the positions of a topic's queues.
func (s *store) sum(topic string) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, at := range s.positions {
		if q.Topic == topic {
			n += at
		}
	}
	return n
}

// kept is a bubble's cluster and a service whose offsets are in the store.
type kept struct {
	*mqtest.Cluster
	*store
	t      *testing.T
	client *rocketkit.Client
	log    *lines

	mu   sync.Mutex
	seen map[string]int
}

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func withStore(t *testing.T, test func(k *kept)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &kept{t: t, store: newStore(t), seen: map[string]int{}, log: &lines{}}
		k.Cluster = mqtest.New(t, mqtest.Config{Brokers: 2, Topics: map[string]int{"red%orders": 4}, Logger: slog.New(slog.DiscardHandler)})
		k.client = k.open()
		test(k)
		if err := k.client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func (k *kept) open() *rocketkit.Client {
	k.t.Helper()
	cfg := k.Config()
	cfg.Tenant, cfg.Logger = "red", slog.New(slog.NewTextHandler(k.log, nil))
	client, err := rocketkit.Open(cfg)
	if err != nil {
		k.t.Fatal(err)
	}
	return client
}

func (k *kept) handle(_ context.Context, m *rocketkit.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[string(m.Body())]++
	return nil
}

// run starts a member on a Client of its own; stop drains it.
func (k *kept) run(start consumer.Start, handler consumer.Handler) (c *consumer.Consumer, stop func()) {
	k.t.Helper()
	client := k.open()
	c, err := consumer.New(client, consumer.Config{
		Group: "billing", Start: start, Offsets: k.door(),
		Topics: map[string]consumer.Topic{"orders": {Handler: handler, Workers: 2}},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(k.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return c, func() {
		k.t.Helper()
		cancel()
		if err := errors.Join(<-done, client.Close(context.Background())); err != nil {
			k.t.Error(err)
		}
	}
}

func (k *kept) sendNumbers(from, to int) {
	k.t.Helper()
	for i := from; i < to; i++ {
		send(k.client, producer.Message{Topic: "orders", Body: fmt.Appendf(nil, "%d", i)})
	}
}

func (k *kept) awaitConsumed() {
	k.t.Helper()
	if err := k.WaitConsumed(k.t.Context(), "red%billing", "red%orders"); err != nil {
		k.t.Error(err)
	}
}

// once checks that each of the messages was handled once, and nothing else.
func (k *kept) once(from, to int) {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := from; i < to; i++ {
		if n := k.seen[fmt.Sprint(i)]; n != 1 {
			k.t.Errorf("%d was handled %d times", i, n)
		}
	}
	if len(k.seen) != to-from {
		k.t.Errorf("%d messages were handled, want %d", len(k.seen), to-from)
	}
}

// What the store has counts, and not what brokers have; those are told, so that tools see the progress.
func TestOffsetsCount(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		k.sendNumbers(0, 80)
		for q, at := range k.Offsets("red%billing", "red%orders") {
			q.Topic = "orders"
			k.positions[q] = at.Max - 2
		}
		c, stop := k.run(consumer.Earliest(), k.handle)
		<-c.Ready()
		k.awaitConsumed()
		stop()
		if len(k.seen) != 16 || k.sum("orders") != 80 || k.backwards != 0 {
			t.Errorf("%d messages were handled, %d are kept, %d times backwards", len(k.seen), k.sum("orders"), k.backwards)
		}
		for q := range k.positions {
			if q.Topic == "orders" {
				k.positions[q]-- // as if restored from a backup: brokers are ahead
			}
		}
		c, stop = k.run(consumer.Earliest(), k.handle)
		<-c.Ready()
		synctest.Wait()
		time.Sleep(time.Second)
		stop()
		if again := 8; len(k.seen) != 16 || k.sum("orders") != 80 || sum(k.seen) != 16+again {
			t.Errorf("%d handled %d times, %d are kept", len(k.seen), sum(k.seen), k.sum("orders"))
		}
	})
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// A group whose store is empty begins where Start says, and keeps that; a queue that is added later begins at its oldest
// message, also for a process that starts after that.
func TestOffsetsStart(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		k.sendNumbers(0, 40)
		c, stop := k.run(consumer.Latest(), k.handle)
		<-c.Ready()
		time.Sleep(time.Second)
		if k.sum("orders") != 40 {
			t.Errorf("the start isn't kept: %v", k.positions)
		}
		k.sendNumbers(40, 60)
		k.awaitConsumed()
		stop()
		k.once(40, 60)
		if err := k.CreateTopic("red%orders", 6); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		k.sendNumbers(60, 100)
		_, stop = k.run(consumer.Latest(), k.handle)
		k.awaitConsumed()
		stop()
		k.once(40, 100)
	})
}

// Members come and go while messages flow: who gains a queue loads its position after who lost it has committed, so that
// nothing is handled twice, and no position goes backwards.
func TestOffsetsHandover(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		first, stopFirst := k.run(consumer.Earliest(), k.handle)
		<-first.Ready()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range 2000 {
				k.sendNumbers(i, i+1)
				time.Sleep(10 * time.Millisecond)
			}
		}()
		time.Sleep(time.Second)
		second, stopSecond := k.run(consumer.Earliest(), k.handle)
		<-second.Ready()
		time.Sleep(5 * time.Second)
		stopFirst()
		time.Sleep(5 * time.Second)
		third, stopThird := k.run(consumer.Earliest(), k.handle)
		<-third.Ready()
		<-sent
		k.awaitConsumed()
		stopSecond()
		stopThird()
		if k.backwards != 0 {
			t.Errorf("%d commits went backwards", k.backwards)
		}
		if lost := 2000 - len(k.seen); lost != 0 {
			t.Errorf("%d lost", lost)
		}
		t.Logf("%d of 2000 were handled again", sum(k.seen)-2000)
	})
}

// Trouble with the store is waited for and shown; meanwhile nothing is committed on brokers either.
func TestOffsetsTrouble(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		k.sendNumbers(0, 40)
		k.failWith(errors.New("the database is down"))
		c, stop := k.run(consumer.Earliest(), k.handle)
		time.Sleep(time.Minute)
		if s := c.Stats(); !strings.Contains(s.WaitingFor, "the database is down") || s.OffsetsError == "" || len(k.Members("red%billing")) != 0 {
			t.Errorf("%+v", s)
		}
		k.failWith(nil)
		k.awaitConsumed()
		k.failWith(errors.New("the database is down again"))
		k.sendNumbers(40, 80)
		time.Sleep(time.Minute)
		if s := c.Stats(); s.OffsetsError == "" || k.log.count("commits fail, trying on") != 2 { // once for each broker
			t.Errorf("%+v; logged %d times", s, k.log.count("commits fail, trying on"))
		}
		k.once(0, 80) // handled all the same
		var told int64
		for _, at := range k.Offsets("red%billing", "red%orders") {
			told += at.Committed
		}
		if told != 40 || k.sum("orders") != 40 {
			t.Errorf("brokers were told of %d, the store has %d", told, k.sum("orders"))
		}
		k.failWith(nil)
		k.awaitConsumed()
		if s := c.Stats(); s.OffsetsError != "" || k.sum("orders") != 80 {
			t.Errorf("%+v; kept %d", s, k.sum("orders"))
		}
		stop()
	})
}

// An operator's reset reaches the store: it is the one commit that goes backwards, and what comes after it counts from there.
func TestOffsetsReset(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		k.sendNumbers(0, 40)
		time.Sleep(time.Minute)
		since := time.Now()
		k.sendNumbers(40, 80)
		c, stop := k.run(consumer.Earliest(), func(ctx context.Context, m *rocketkit.Message) error {
			time.Sleep(time.Second)
			return k.handle(ctx, m)
		})
		<-c.Ready()
		k.awaitConsumed()
		r, err := k.client.Cluster().Routes().Get(t.Context(), "red%orders")
		if err != nil {
			t.Fatal(err)
		}
		for _, broker := range r.Brokers() {
			address, _ := r.Master(broker)
			if _, err := k.client.Cluster().Invoke(t.Context(), address, protocol.ResetOffset{
				Group: "red%billing", Topic: "red%orders", Time: since.UnixMilli(), Force: true,
			}.Frame()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		k.awaitConsumed()
		stop()
		if k.backwards < 1 || k.backwards > 8 || k.sum("orders") != 80 || sum(k.seen) != 120 {
			t.Errorf("%d commits went backwards, %d kept, handled %d times", k.backwards, k.sum("orders"), sum(k.seen))
		}
	})
}

// Retries have positions of their own, in the group's retry topic.
func TestOffsetsOfRetries(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		c, stop := k.run(consumer.Earliest(), func(ctx context.Context, m *rocketkit.Message) error {
			if m.Attempt() == 1 {
				return errors.New("not yet")
			}
			return k.handle(ctx, m)
		})
		<-c.Ready()
		k.sendNumbers(0, 20)
		k.awaitConsumed()
		stop()
		k.once(0, 20)
		if k.sum("%RETRY%billing") != 20 || k.sum("orders") != 20 {
			t.Errorf("kept %v", k.positions)
		}
	})
}

// Queues are loaded together, not one by one, and before the group is joined all of them are.
func TestLoadsAreFew(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		c, stop := k.run(consumer.Earliest(), k.handle)
		<-c.Ready()
		time.Sleep(time.Minute)
		stop()
		if n := strings.Count(k.loads[0], "orders/"); n != 8 {
			t.Errorf("the first Load asks for %d queues of 8: %s", n, k.loads[0])
		}
		if len(k.loads) > 6 {
			t.Errorf("%d Loads for 8 queues and 2 of the retry topic", len(k.loads))
		}
	})
}

// A panic of the store is an error, not the end of the process.
func TestOffsetsPanic(t *testing.T) {
	withStore(t, func(k *kept) {
		t := k.t // of the bubble
		c, err := consumer.New(k.client, consumer.Config{
			Group: "billing", Offsets: panicking{}, Topics: map[string]consumer.Topic{"orders": {Handler: k.handle}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
		if s := c.Stats().OffsetsError; !strings.Contains(s, "panicked: no database") {
			t.Error(s)
		}
	})
}

type panicking struct{}

func (panicking) Load(context.Context, []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	panic("no database")
}
func (panicking) Commit(context.Context, map[rocketkit.Queue]int64) error { panic("no database") }
