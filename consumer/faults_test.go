package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
)

// A handler that hangs for half an hour holds up its own message and nothing else: its queue is neither given up nor
// pulled anew, others of the queue and of other queues go on, and all is committed once it returns.
func TestHandlerThatHangs(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		release := make(chan struct{})
		var got bodies
		handler := func(ctx context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "first-0" {
				<-release
			}
			return got.handle(ctx, m)
		}
		one, two := serve(t, cluster, orders(handler)), serve(t, cluster, orders(handler))
		synctest.Wait()
		book(t, one.client, "orders", "first", 8)
		for range 30 { // rebalances come each 20 s, notices at once
			time.Sleep(time.Minute)
			book(t, two.client, "orders", "next", 0)
		}
		book(t, one.client, "orders", "late", 100)
		synctest.Wait()
		got.mustBe(t, 107)
		for _, s := range []*service{one, two} {
			if n := len(s.Stats().Topics["orders"].Queues); n != 2 {
				t.Errorf("a member owns %d queues, want 2", n)
			}
		}
		least := 0
		for _, o := range cluster.Offsets("billing", "orders") {
			if o.Committed == 0 {
				least++
			}
		}
		if least != 1 {
			t.Errorf("%d queues stand at their beginning, want the one of the message that hangs", least)
		}
		close(release)
		within(t, time.Second, func() { consumed(t, cluster, "orders") })
		time.Sleep(time.Hour)
		got.mustBe(t, 108)
	})
}

// Brokers whose clocks jump an hour ahead or back, under traffic and with retries under way, neither stall nor lose
// anything, nor are they asked as fast as they answer.
func TestBrokersClocksJump(t *testing.T) {
	for name, jumps := range map[string][]time.Duration{
		"ahead": {time.Hour}, "back": {-time.Hour}, "to and fro": {time.Hour, -time.Hour, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, mqtest.Config{Brokers: 2, Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
				var got bodies
				pulls := cluster.Inject(mqtest.Fault{Request: mqtest.RequestPull})
				s := serve(t, cluster, orders(func(ctx context.Context, m *rocketkit.Message) error {
					if m.Attempt() == 1 && strings.HasSuffix(string(m.Body()), "7") {
						return consumer.RetryIn(30*time.Second, nil)
					}
					return got.handle(ctx, m)
				}))
				sent := 0
				for jump, ahead := range jumps {
					book(t, s.client, "orders", fmt.Sprint("before ", jump), 100)
					if err := cluster.SetClock("broker-a", ahead); err != nil {
						t.Fatal(err)
					}
					before := pulls.Count()
					for i := range 5 {
						within(t, time.Second, func() { book(t, s.client, "orders", fmt.Sprint("after ", jump, "-", i), 20) })
						time.Sleep(20 * time.Second)
					}
					sent += 200
					within(t, 2*time.Minute, func() { consumed(t, cluster, "orders") })
					got.mustBe(t, sent)
					// 9 queues: one message or block after the other, and a held pull of 15 s each.
					if n := pulls.Count() - before; n > 1200 {
						t.Errorf("%d pulls in some 2 minutes", n)
					}
				}
				time.Sleep(10 * time.Minute)
				if n := len(s.Stats().Topics["orders"].Queues); n != 8 {
					t.Errorf("%d queues, want 8", n)
				}
			})
		})
	}
}

// A start by time counts on the broker's clock, which stamped the messages.
func TestStartByTimeOnABrokerWhoseClockIsOff(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 4, "other": 1}}, func(t *testing.T, cluster *mqtest.Cluster) {
		other := serve(t, cluster, map[string]consumer.Topic{"other": {Handler: new(bodies).handle}})
		book(t, other.client, "orders", "old", 10)
		if err := cluster.SetClock("broker-a", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		book(t, other.client, "orders", "new", 10)
		client := openOn(t, cluster, "")
		var got bodies
		c, err := consumer.New(client, consumer.Config{
			Group: "audit", Start: consumer.At(time.Now().Add(time.Hour - time.Second)), Topics: orders(got.handle),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		if err := cluster.WaitConsumed(t.Context(), "audit", "orders"); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		got.mustBe(t, 10)
	})
}

// Connections that end in the middle of a frame, pulls, commits and heartbeats alike, cost a moment and repeat nothing.
func TestConnectionsCutInsideOfFrames(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		s := serve(t, cluster, orders(got.handle))
		sender := openOn(t, cluster, "") // whose sends aren't cut, and so not repeated
		for _, request := range []int{mqtest.RequestPull, mqtest.RequestCommitOffset, mqtest.RequestHeartbeat, mqtest.RequestMembers} {
			fault := cluster.Inject(mqtest.Fault{Server: "broker-a", Request: request, Client: s.client.ID(), Break: mqtest.HalfFrame, Times: 5})
			for range 5 {
				book(t, sender, "orders", time.Now().String(), 20)
				time.Sleep(20 * time.Second)
			}
			if fault.Count() != 5 {
				t.Errorf("request %d was cut %d times, want 5", request, fault.Count())
			}
			within(t, 3*time.Second, func() { consumed(t, cluster, "orders") })
		}
		got.mustBe(t, 400)
	})
}

// One of three name servers away changes nothing, and all of them nothing either: routes that are known still serve.
func TestNameServersAwayWhileConsuming(t *testing.T) {
	onCluster(t, mqtest.Config{NameServers: 3, Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		s := serve(t, cluster, orders(got.handle))
		down := 0
		for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
			if err := cluster.Stop(server); err != nil {
				t.Fatal(err)
			}
			down++
			book(t, s.client, "orders", server, 50)
			within(t, time.Second, func() { consumed(t, cluster, "orders") })
			time.Sleep(10 * time.Minute)
			book(t, s.client, "orders", "later "+server, 50)
			within(t, time.Second, func() { consumed(t, cluster, "orders") })
			got.mustBe(t, 100*down)
			if n := len(s.Stats().Topics["orders"].Queues); n != 4 {
				t.Errorf("%d queues without %d name servers, want 4", n, down)
			}
		}
		for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
			if err := cluster.Restart(server); err != nil { // knows no topic for 30 s
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		book(t, s.client, "orders", "back", 50)
		within(t, time.Second, func() { consumed(t, cluster, "orders") })
		got.mustBe(t, 350)
	})
}

// A broker that is removed takes its queues with it and brings them back, with what was in them; the other's go on.
func TestBrokerIsRemovedAndComesBack(t *testing.T) {
	onCluster(t, mqtest.Config{Brokers: 2, Topics: map[string]int{"orders": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		var got bodies
		var slow atomic.Bool
		s := serve(t, cluster, orders(func(ctx context.Context, m *rocketkit.Message) error {
			if slow.Load() {
				time.Sleep(time.Second) // the work: some of it is left when the broker goes
			}
			return got.handle(ctx, m)
		}))
		queues := func() (list []string) {
			for _, q := range s.Stats().Topics["orders"].Queues {
				list = append(list, q.Queue.Broker)
			}
			slices.Sort(list)
			return slices.Compact(list)
		}
		book(t, s.client, "orders", "before", 80)
		consumed(t, cluster, "orders")
		slow.Store(true)
		book(t, s.client, "orders", "under way", 80)
		slow.Store(false)
		if err := cluster.Stop("broker-b"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute) // for ten its queues are kept, as what was handled of them is still to be committed
		if got := queues(); !slices.Equal(got, []string{"broker-a"}) {
			t.Errorf("queues of %v eleven minutes after broker-b was removed", got)
		}
		book(t, s.client, "orders", "without", 80)
		time.Sleep(time.Second)
		for body := range got.counts() {
			if strings.HasPrefix(body, "without") {
				slow.Store(true) // some have come
			}
		}
		if !slow.Swap(false) {
			t.Error("nothing is received without broker-b")
		}
		if err := cluster.Restart("broker-b"); err != nil {
			t.Fatal(err)
		}
		within(t, time.Minute, func() { // by when the route is asked for again
			for len(queues()) != 2 {
				time.Sleep(time.Second)
			}
		})
		within(t, 2*time.Second, func() { consumed(t, cluster, "orders") })
		if n := len(got.counts()); n != 240 {
			t.Errorf("%d messages were handled, want 240", n)
		}
	})
}
