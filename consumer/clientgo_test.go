package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
)

// The faults that rocketmq-client-go's consumers have, one test each where no other test proves that these don't have it.
// docs/faults.md lists them all with their tests.

// client-go deletes all other queues' offsets when it persists one queue's, as it does when a queue is lost.
func TestPersistOfOneQueueKeepsTheOthers(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		one := serve(t, cluster, orders(got.handle))
		book(t, one.client, "orders", "before", 40)
		consumed(t, cluster, "orders")
		two := serve(t, cluster, orders(got.handle)) // takes two queues
		synctest.Wait()
		book(t, one.client, "orders", "shared", 40)
		consumed(t, cluster, "orders")
		two.stop()
		time.Sleep(time.Minute)
		one.stop()
		for q, o := range cluster.Offsets("billing", "orders") {
			if o.Committed != 20 {
				t.Errorf("queue %v: committed %d, want 20", q, o.Committed)
			}
		}
		three := serve(t, cluster, orders(got.handle))
		time.Sleep(time.Minute)
		three.stop()
		got.mustBe(t, 80)
	})
}

// client-go drops a queue whose pull has waited for 120 s, and gets again what is being handled.
func TestSlowHandlerKeepsItsQueueBeyond120Seconds(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 2}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		const each = 200 * time.Second
		s := serve(t, cluster, map[string]consumer.Topic{"orders": {Workers: 1, Timeout: -1, Handler: func(ctx context.Context, m *rocketkit.Message) error {
			time.Sleep(each) // the work
			return got.handle(ctx, m)
		}}})
		book(t, s.client, "orders", "slow", 20)
		time.Sleep(20*each + time.Second)
		got.mustBe(t, 20)
		consumed(t, cluster, "orders")
	})
}

// client-go counts what a message waits for its turn as time of its handler, and sends it back for that.
func TestWaitingForAWorkerIsNoTimeOut(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		s := serve(t, cluster, map[string]consumer.Topic{"orders": {Workers: 1, Timeout: time.Minute, Handler: func(ctx context.Context, m *rocketkit.Message) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Second): // the work
			}
			return got.handle(ctx, m)
		}}})
		book(t, s.client, "orders", "slow", 40) // the last one waits for more than half an hour
		consumed(t, cluster, "orders")
		got.mustBe(t, 40)
		if stats := s.Stats().Topics["orders"]; stats.Failed != 0 {
			t.Errorf("%d failed: %s", stats.Failed, stats.LastError)
		}
	})
}

// client-go overwrites what bounds a queue's cache at each rebalance: 200 became 20,480.
func TestRebalanceKeepsTheBoundsOfTheCache(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		release := make(chan struct{})
		stuck := func(ctx context.Context, _ *rocketkit.Message) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done(): // the drain gives up on it
				return ctx.Err()
			}
		}
		s := serve(t, cluster, map[string]consumer.Topic{"orders": {Workers: 1, Timeout: -1, Handler: stuck}})
		t.Cleanup(func() { close(release) })
		book(t, s.client, "orders", "many", 3000)
		const bound = 1024 + 4*32 // a pull of each queue may be under way when it is reached
		for range 3 {
			other := serve(t, cluster, orders(stuck))
			time.Sleep(time.Minute)
			if n := other.Stats().Topics["orders"].Cached; n > bound {
				t.Errorf("the new member holds %d messages", n)
			}
			if n := s.Stats().Topics["orders"].Cached; n > bound {
				t.Errorf("%d messages are held, of at most %d", n, bound)
			}
			if err := cluster.Restart("broker-a"); err != nil {
				t.Fatal(err)
			}
			other.stop()
			time.Sleep(time.Minute)
			if n := s.Stats().Topics["orders"].Cached; n > bound {
				t.Errorf("%d messages are held once the other has left, of at most %d", n, bound)
			}
		}
	})
}

// client-go neither acknowledges nor retries a message whose handler panics: it pins the offset, and after 2,000 more
// messages the queue stands.
func TestPanicIsRetriedAndDoesNotPinTheOffset(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		var panics atomic.Int64
		s := serve(t, cluster, orders(func(ctx context.Context, m *rocketkit.Message) error {
			if m.Attempt() == 1 && strings.HasSuffix(string(m.Body()), "00") {
				panics.Add(1)
				panic("on purpose")
			}
			return got.handle(ctx, m)
		}))
		const n = 3000
		book(t, s.client, "orders", "many", n)
		consumed(t, cluster, "orders")
		got.mustBe(t, n)
		if panics.Load() != n/100-1 {
			t.Errorf("%d panics", panics.Load())
		}
	})
}

// client-go gives a block of retries, whose messages come from several topics, to the handler of the first one's.
func TestMixedTopicRetryBatch(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 2, "refunds": 2}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		topics := map[string]consumer.Topic{}
		for _, topic := range []string{"orders", "refunds"} {
			topics[topic] = consumer.Topic{Handler: func(ctx context.Context, m *rocketkit.Message) error {
				if m.Topic() != topic || !strings.HasPrefix(string(m.Body()), topic) {
					t.Errorf("the handler of %s was given %s of %s", topic, m.Body(), m.Topic())
				}
				if m.Attempt() == 1 {
					return errors.New("once more")
				}
				return got.handle(ctx, m)
			}}
		}
		s := serve(t, cluster, topics)
		for i := range 50 {
			book(t, s.client, "orders", fmt.Sprint("orders-", i), 1)
			book(t, s.client, "refunds", fmt.Sprint("refunds-", i), 1)
		}
		consumed(t, cluster, "orders")
		consumed(t, cluster, "refunds")
		got.mustBe(t, 100)
	})
}

// In client-go the end of a consumer that couldn't start takes the registration of another with it, and panics.
func TestFailedRunHarmsNoOther(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 2}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		s := serve(t, cluster, orders(got.handle))
		bad, err := consumer.New(s.client, consumer.Config{Group: "audit", Topics: map[string]consumer.Topic{"nowhere": {Handler: got.handle}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := bad.Run(t.Context()); !errors.Is(err, rocketkit.ErrNoRoute) {
			t.Errorf("Run returned %v", err)
		}
		same, err := consumer.New(s.client, consumer.Config{Group: "billing", Topics: orders(got.handle)})
		if err != nil {
			t.Fatal(err)
		}
		if err := same.Run(t.Context()); err == nil {
			t.Error("a second member of a group in one Client runs")
		}
		if _, err := consumer.New(s.client, consumer.Config{Group: "never run", Topics: orders(got.handle)}); err == nil {
			t.Error("a group's name with a space was taken")
		}
		book(t, s.client, "orders", "after", 20)
		within(t, time.Second, func() { consumed(t, cluster, "orders") })
		got.mustBe(t, 20)
		if n := len(cluster.Members("billing")); n != 1 {
			t.Errorf("%d members", n)
		}
	})
}

// In client-go, consumers of one process that look alike share name servers, credentials, time-outs and TLS: the first
// one's.
func TestClientsOfOneProcessShareNothing(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 2}}, func(t *testing.T, first *mqtest.Cluster) {
		second := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 2, "blue%orders": 2}})
		var one, two, three bodies
		a, b := serve(t, first, orders(one.handle)), serve(t, second, orders(two.handle))
		blue := openOn(t, second, "blue")
		c, err := consumer.New(blue, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: orders(three.handle)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		<-c.Ready()
		book(t, a.client, "orders", "one", 10)
		book(t, b.client, "orders", "two", 20)
		book(t, blue, "orders", "three", 30)
		consumed(t, first, "orders")
		consumed(t, second, "orders")
		if err := second.WaitConsumed(t.Context(), "blue%billing", "blue%orders"); err != nil {
			t.Error(err)
		}
		a.stop() // takes nothing from the others
		book(t, b.client, "orders", "more of two", 20)
		book(t, blue, "orders", "more of three", 30)
		consumed(t, second, "orders")
		if err := second.WaitConsumed(t.Context(), "blue%billing", "blue%orders"); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		one.mustBe(t, 10)
		two.mustBe(t, 40)
		three.mustBe(t, 60)
	})
}

// In client-go a look at the state of a consumer while queues or brokers come and go can end the process: its maps are
// read without locks.
func TestStatsWhileQueuesAndBrokersComeAndGo(t *testing.T) {
	onCluster(t, mqtest.Config{Brokers: 2, Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		s := serve(t, cluster, orders(got.handle))
		ctx, stop := context.WithCancel(t.Context())
		var looking sync.WaitGroup
		for range 4 {
			looking.Go(func() {
				for ctx.Err() == nil {
					_ = s.Stats()
					time.Sleep(time.Millisecond)
				}
			})
		}
		for i := range 3 {
			other := serve(t, cluster, orders(got.handle))
			book(t, other.client, "orders", fmt.Sprint("round ", i), 100)
			if err := cluster.Restart("broker-b"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			other.stop()
		}
		consumed(t, cluster, "orders")
		stop()
		looking.Wait()
		if n := len(got.counts()); n != 300 {
			t.Errorf("%d messages were handled, want 300", n)
		}
	})
}
