package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

func openOn(t *testing.T, cluster *mqtest.Cluster, tenant string) *rocketkit.Client {
	t.Helper()
	cfg := cluster.Config()
	cfg.Tenant, cfg.Logger = tenant, slog.New(slog.DiscardHandler)
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

func sendTo(t *testing.T, client *rocketkit.Client, topic string, bodies ...string) {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "tests"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	for _, body := range bodies {
		if _, err := p.Send(t.Context(), producer.Message{Topic: topic, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
}

// bodies collects what a handler gets.
type bodies struct {
	mu  sync.Mutex
	all []string
}

func (b *bodies) handle(_ context.Context, m *rocketkit.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, string(m.Body()))
	return nil
}

func (b *bodies) sorted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(slices.Values(b.all))
}

// TestTenants: two tenants run the same code on the same names in one process, and nothing crosses.
func TestTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 4, "blue%orders": 4}})
		client := openOn(t, cluster, "red")
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		got := map[string]*bodies{"red": {}, "blue": {}}
		want := map[string][]string{}
		for tenant, b := range got {
			view, err := client.For(tenant, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := consumer.New(view, consumer.Config{Group: "billing", Retries: 1, Topics: map[string]consumer.Topic{"orders": {
				Handler: func(ctx context.Context, m *rocketkit.Message) error {
					if m.Topic() != "orders" || strings.Contains(m.Queue().Topic, "red") || strings.Contains(m.Queue().Topic, "blue") {
						t.Errorf("a handler sees %s, %s", m.Topic(), m.Queue())
					}
					switch {
					case strings.HasSuffix(string(m.Body()), "0") && m.Attempt() == 1:
						return consumer.RetryIn(time.Second, nil)
					case strings.HasSuffix(string(m.Body()), "1"):
						return consumer.DeadLetter(errors.New("no good"))
					}
					return b.handle(ctx, m)
				},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			group.Go(func() {
				if err := c.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			<-c.Ready()
			var sent []string
			for i := range 20 {
				sent = append(sent, fmt.Sprintf("%s %02d", tenant, i))
			}
			sendTo(t, view, "orders", sent...)
			for _, body := range sent {
				if !strings.HasSuffix(body, "1") {
					want[tenant] = append(want[tenant], body)
				}
			}
		}
		time.Sleep(time.Minute)
		cancel()
		group.Wait()
		for tenant, b := range got {
			if !slices.Equal(b.sorted(), want[tenant]) {
				t.Errorf("%s got %v, want %v", tenant, b.sorted(), want[tenant])
			}
			letters := cluster.DeadLetters(tenant + "%billing")
			if len(letters) != 2 {
				t.Errorf("%s has %d dead letters, want 2", tenant, len(letters))
			}
			for _, m := range letters {
				if !strings.HasPrefix(string(m.Body()), tenant) {
					t.Errorf("%s has the dead letter %s", tenant, m.Body())
				}
			}
		}
	})
}

func TestRunOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 1}})
		c, err := consumer.New(openOn(t, cluster, ""), consumer.Config{
			Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: new(bodies).handle}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { first <- c.Run(ctx) }()
		<-c.Ready()
		if err := c.Run(ctx); !errors.Is(err, rocketkit.ErrClosed) || !strings.Contains(err.Error(), "billing") {
			t.Errorf("a second Run returned %v", err)
		}
		cancel()
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

func TestNoRoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{})
		c, err := consumer.New(openOn(t, cluster, "red"), consumer.Config{
			Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: new(bodies).handle}},
		})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Run(t.Context())
		if !errors.Is(err, rocketkit.ErrNoRoute) || !strings.Contains(err.Error(), "orders") || !strings.Contains(err.Error(), "billing") || strings.Contains(err.Error(), "red%") {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 1}})
		client := openOn(t, cluster, "red")
		release := make(chan struct{})
		c, err := consumer.New(client, consumer.Config{
			Group: "billing", Topics: map[string]consumer.Topic{"orders": {Workers: 2, MaxWorkers: 2, Handler: func(_ context.Context, m *rocketkit.Message) error {
				if m.Offset() >= 2 {
					<-release
				}
				if m.Offset() == 1 {
					return consumer.Drop(errors.New("no good"))
				}
				return nil
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s.State != "starting" || len(s.Topics) != 2 {
			t.Errorf("before Run: %+v", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- c.Run(ctx) }()
		<-c.Ready()
		sendTo(t, client, "orders", "a", "b", "c", "d", "e")
		time.Sleep(20 * time.Second)
		s := c.Stats()
		if s.State != "running" || s.WaitingFor != "" || s.Unsettled != 0 {
			t.Errorf("%+v", s)
		}
		orders := s.Topics["orders"]
		queues := orders.Queues
		orders.Queues = nil
		if h := orders.Longest; h.ID == "" || h.Queue != queues[0].Queue || h.Offset < 2 || orders.LastErrorTime.IsZero() ||
			!h.Since.Equal(orders.LastErrorTime) || orders.Times.Count != 2 || orders.Times.Over != 20*time.Second {
			t.Errorf("longest running %+v, times %+v", h, orders.Times)
		}
		orders.Longest, orders.LastErrorTime, orders.Times = consumer.RunningHandler{}, time.Time{}, consumer.HandlerTimes{}
		if want := (consumer.TopicStats{
			Workers: 2, MaxWorkers: 2, Active: 2, Waiting: 1, Cached: 3, CachedBytes: 3, Handled: 1, Failed: 1, LastError: "drop: no good", Timeout: time.Minute,
			From: consumer.Origins{Workers: "code", MaxWorkers: "code", Timeout: "code", Paused: "code"},
		}); fmt.Sprint(orders) != fmt.Sprint(want) {
			t.Errorf("orders: %+v, want %+v", orders, want)
		}
		if len(queues) != 1 || queues[0].Queue.Topic != "orders" || queues[0].Position != 5 || queues[0].Committed != 2 || queues[0].Max != 5 ||
			queues[0].LastPull.IsZero() || queues[0].LastError != "" ||
			queues[0].Lag != 3 || queues[0].Cached != 3 || queues[0].Active != 2 || queues[0].Waiting != 1 || queues[0].RunningSince.IsZero() ||
			!strings.HasPrefix(queues[0].HeldBy, "handler of message ") {
			t.Errorf("queues: %+v", queues)
		}
		if retry, ok := s.Topics["%RETRY%billing"]; !ok || len(retry.Queues) != 1 {
			t.Errorf("retry topic: %+v, %v", retry, ok)
		}
		cancel()
		time.Sleep(time.Second)
		if s := c.Stats(); s.State != "draining" {
			t.Errorf("state %s, want draining", s.State)
		}
		close(release)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if s := c.Stats(); s.State != "stopped" || len(s.Topics["orders"].Queues) != 0 {
			t.Errorf("after Run: %+v", s)
		}
		if n := len(cluster.Members("red%billing")); n != 0 {
			t.Errorf("%d members after Run", n)
		}
	})
}

// TestMembersShare: members of a group share a topic's queues, and who leaves hands over at once.
func TestMembersShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Brokers: 2, Topics: map[string]int{"orders": 4}})
		type member struct {
			*consumer.Consumer
			stop func() error
		}
		start := func() member {
			c, err := consumer.New(openOn(t, cluster, ""), consumer.Config{
				Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: new(bodies).handle}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() { result <- c.Run(ctx) }()
			<-c.Ready()
			return member{c, func() error { cancel(); return <-result }}
		}
		owned := func(members ...member) []int {
			time.Sleep(time.Second) // notices arrive at once
			var counts []int
			seen := map[rocketkit.Queue]int{}
			for _, m := range members {
				queues := m.Stats().Topics["orders"].Queues
				counts = append(counts, len(queues))
				for _, q := range queues {
					seen[q.Queue]++
				}
			}
			for q, n := range seen {
				if n != 1 {
					t.Errorf("%v is owned by %d members", q, n)
				}
			}
			if len(seen) != 8 {
				t.Errorf("%d queues owned, want 8", len(seen))
			}
			slices.Sort(counts)
			return counts
		}
		a := start()
		if got := owned(a); !slices.Equal(got, []int{8}) {
			t.Errorf("one member: %v", got)
		}
		b, c := start(), start()
		if got := owned(a, b, c); !slices.Equal(got, []int{2, 3, 3}) {
			t.Errorf("three members: %v", got)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		if got := owned(a, c); !slices.Equal(got, []int{4, 4}) {
			t.Errorf("two members: %v", got)
		}
		if err := errors.Join(a.stop(), c.stop()); err != nil {
			t.Error(err)
		}
	})
}
