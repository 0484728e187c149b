package route_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// servers are name servers that know the topics given, take some time, and may be away.
type servers struct {
	mu    sync.Mutex
	known map[string]int32 // topic: queues
	err   error
	took  time.Duration
	asked map[string]int
}

func newServers(topics ...string) *servers {
	s := &servers{known: map[string]int32{}, asked: map[string]int{}}
	for _, topic := range topics {
		s.known[topic] = 4
	}
	return s
}

func (s *servers) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *servers) count(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[topic]
}

func (s *servers) Ask(ctx context.Context, req *frame.Frame, _ func(*frame.Frame) bool) (*frame.Frame, error) {
	topic, _ := req.Fields.Get("topic")
	s.mu.Lock()
	s.asked[topic]++
	took := s.took
	s.mu.Unlock()
	if took > 0 {
		timer := time.NewTimer(took)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	n, ok := s.known[topic]
	if !ok {
		return &frame.Frame{Code: protocol.CodeTopicNotExist, Remark: "No topic route info"}, nil
	}
	return routeOf(n), nil
}

func routeOf(queues int32) *frame.Frame {
	b, err := json.Marshal(protocol.TopicRoute{
		Queues:  []protocol.QueueData{{Broker: "b", ReadQueues: queues, WriteQueues: queues, Perm: protocol.PermRead | protocol.PermWrite}},
		Brokers: []protocol.BrokerData{{Name: "b", Addresses: map[int64]string{0: "b:10911", 1: "b:10921"}}},
	})
	if err != nil {
		panic(err)
	}
	return &frame.Frame{Body: b}
}

func table(s route.Servers) *route.Table { return route.NewTable(s, slog.New(slog.DiscardHandler)) }

func TestGetAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers("t")
		s.took = time.Second
		table := table(s)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				r, err := table.Get(t.Context(), "t")
				if err != nil || len(r.Read) != 4 {
					t.Errorf("%v, %v", r, err)
				}
			})
		}
		group.Wait()
		if n := s.count("t"); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		if _, err := table.Get(t.Context(), "t"); err != nil || s.count("t") != 1 {
			t.Errorf("asked again for what is known: %v", err)
		}
	})
}

// TestCallersShareAFailure: while name servers don't answer, many callers wait as long as one.
func TestCallersShareAFailure(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"refused":   errors.New("connection refused"),
		"timed out": fmt.Errorf("no name server answers: %w", context.DeadlineExceeded), // the request's, not the caller's
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServers()
				s.took, s.err = 3*time.Second, err
				table := table(s)
				start := time.Now()
				var group sync.WaitGroup
				for range 16 {
					group.Go(func() {
						if _, got := table.Refresh(t.Context(), "t"); !errors.Is(got, err) {
							t.Errorf("error %v, want %v", got, err)
						}
					})
				}
				group.Wait()
				if took := time.Since(start); took > 6*time.Second {
					t.Errorf("16 callers took %v; one takes 3 s", took)
				}
			})
		})
	}
}

// TestAGivenUpAskingIsTakenOver: a caller that gives up doesn't fail those who wait with it.
func TestAGivenUpAskingIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers("t")
		s.took = time.Second
		table := table(s)
		hasty, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := table.Get(hasty, "t"); !errors.Is(err, context.Canceled) {
				t.Errorf("the one that gave up got %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if r, err := table.Get(t.Context(), "t"); err != nil || r == nil {
				t.Errorf("the one that waited got %v, %v", r, err)
			}
		})
		waiting, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		group.Go(func() {
			if _, err := table.Get(waiting, "t"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one that waited shortly got %v", err)
			}
		})
		time.Sleep(500 * time.Millisecond)
		cancel()
		group.Wait()
	})
}

// TestLastGoodIsKept while name servers are away, and when they have forgotten the topic.
func TestLastGoodIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers("t")
		table := table(s)
		first, err := table.Get(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		away := errors.New("away")
		s.set(func() { s.err = away })
		if r, err := table.Refresh(t.Context(), "t"); r != first || !errors.Is(err, away) {
			t.Errorf("%v, %v", r, err)
		}
		s.set(func() { s.err = nil; delete(s.known, "t") })
		if r, err := table.Refresh(t.Context(), "t"); r != first || err == nil || errors.Is(err, route.ErrNoRoute) {
			t.Errorf("%v, %v: a name server that has just come back can't know", r, err)
		}
		time.Sleep(time.Minute)
		if r, err := table.Refresh(t.Context(), "t"); r != first || !errors.Is(err, route.ErrNoRoute) {
			t.Errorf("%v, %v", r, err)
		}
		if r, err := table.Get(t.Context(), "t"); r != first || err != nil {
			t.Errorf("%v, %v", r, err)
		}
	})
}

func TestUnknownTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers()
		table := table(s)
		if r, err := table.Get(t.Context(), "t"); r != nil || !errors.Is(err, route.ErrNoRoute) {
			t.Errorf("%v, %v", r, err)
		}
		if table.Has("t") {
			t.Error("has what doesn't exist")
		}
		s.set(func() { s.known["t"] = 1 })
		if r, err := table.Get(t.Context(), "t"); err != nil || len(r.Read) != 1 {
			t.Errorf("created since: %v, %v", r, err)
		}
		if !table.Has("t") {
			t.Error("doesn't have what it gave")
		}
	})
}

func TestMalformedRoute(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*frame.Frame{
		"no body": {}, "no JSON": {Body: []byte("{")}, "refused": {Code: protocol.CodeSystemError, Remark: "oh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := table(asks(func(context.Context) (*frame.Frame, error) { return answer, nil }))
			if r, err := table.Get(t.Context(), "t"); r != nil || err == nil {
				t.Errorf("%v, %v", r, err)
			}
		})
	}
}

type asks func(ctx context.Context) (*frame.Frame, error)

func (a asks) Ask(ctx context.Context, _ *frame.Frame, _ func(*frame.Frame) bool) (*frame.Frame, error) {
	return a(ctx)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers("t")
		table := table(s)
		var mu sync.Mutex
		var changed []string
		stop := table.Watch(func(topic string) {
			mu.Lock()
			defer mu.Unlock()
			changed = append(changed, topic)
			_, _ = table.Get(t.Context(), topic) // may ask the table
		})
		expect := func(want ...string) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(changed, want) {
				t.Errorf("changed %v, want %v", changed, want)
			}
		}
		refresh := func() {
			t.Helper()
			if _, err := table.Refresh(t.Context(), "t"); err != nil {
				t.Error(err)
			}
		}
		refresh()
		expect("t")
		refresh()
		expect("t")
		s.set(func() { s.known["t"] = 8 })
		refresh()
		expect("t", "t")
		stop()
		s.set(func() { s.known["t"] = 4 })
		refresh()
		expect("t", "t")
	})
}

// TestRun refreshes what is in use, keeps on after trouble, and forgets what nobody asks for.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers("used", "unused")
		table := table(s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); table.Run(ctx) }()
		for _, topic := range []string{"used", "unused"} {
			if _, err := table.Get(ctx, topic); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			time.Sleep(time.Minute)
			_, _ = table.Get(ctx, "used")
		}
		if n := s.count("used"); n < 39 || n > 42 {
			t.Errorf("in 20 minutes a topic in use was asked for %d times, want each 30 s", n)
		}
		before := s.count("unused")
		time.Sleep(5 * time.Minute)
		if after := s.count("unused"); after != before {
			t.Errorf("a topic nobody has asked for in 20 minutes is still refreshed (%d times so far)", after)
		}
		s.set(func() { s.err = errors.New("away") })
		time.Sleep(2 * time.Minute)
		s.set(func() { s.err = nil; s.known["used"] = 9 })
		time.Sleep(time.Minute)
		if r, err := table.Get(ctx, "used"); err != nil || len(r.Read) != 9 {
			t.Errorf("%v, %v", r, err)
		}
		cancel()
		<-done
	})
}

func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers("t")
		table := table(s)
		table.Forget("t") // unknown: nothing
		if _, err := table.Get(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		s.set(func() { delete(s.known, "t"); s.took = time.Second })
		table.Forget("t")
		if r, err := table.Get(t.Context(), "t"); r != nil || !errors.Is(err, route.ErrNoRoute) {
			t.Errorf("%v, %v", r, err)
		}
		// Forgotten while it is being fetched.
		s.set(func() { s.known["t"] = 2 })
		result := make(chan *route.Route, 1)
		go func() { r, _ := table.Refresh(t.Context(), "t"); result <- r }()
		synctest.Wait()
		table.Forget("t")
		if r := <-result; r == nil || len(r.Read) != 2 {
			t.Errorf("%v", r)
		}
	})
}

func TestBrokers(t *testing.T) {
	t.Parallel()
	table := table(newServers("t"))
	if got := table.Brokers(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if _, err := table.Get(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if got := table.Brokers(); len(got) != 1 || got["b"][0] != "b:10911" || got["b"][1] != "b:10921" {
		t.Errorf("%v", got)
	}
}

func TestRoute(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(protocol.TopicRoute{
		Queues: []protocol.QueueData{
			{Broker: "b", ReadQueues: 2, WriteQueues: 1, Perm: protocol.PermRead | protocol.PermWrite},
			{Broker: "a", ReadQueues: 1, WriteQueues: 1, Perm: protocol.PermRead},
			{Broker: "c", ReadQueues: 1, WriteQueues: 1, Perm: protocol.PermRead | protocol.PermWrite},
			{Broker: "d", ReadQueues: 1, WriteQueues: 1, Perm: 0},
		},
		Brokers: []protocol.BrokerData{
			{Name: "a", Addresses: map[int64]string{0: "a:1"}}, {Name: "b", Addresses: map[int64]string{0: "b:1", 1: "b:2"}},
			{Name: "c", Addresses: map[int64]string{2: "c:3", 1: "c:2"}}, {Name: "d", Addresses: map[int64]string{0: "d:1"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	table := table(asks(func(context.Context) (*frame.Frame, error) { return &frame.Frame{Body: body}, nil }))
	r, err := table.Get(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	q := func(broker string, id int32) protocol.Queue {
		return protocol.Queue{Topic: "t", Broker: broker, ID: id}
	}
	if want := []protocol.Queue{q("a", 0), q("b", 0), q("b", 1), q("c", 0)}; !slices.Equal(r.Read, want) {
		t.Errorf("to read: %v, want %v", r.Read, want)
	}
	if want := []protocol.Queue{q("b", 0)}; !slices.Equal(r.Write, want) {
		t.Errorf("to write: %v, want %v", r.Write, want)
	}
	for _, test := range []struct {
		broker string
		id     int64
		want   string
	}{{"b", 0, "b:1"}, {"b", 1, "b:2"}, {"b", 7, "b:1"}, {"c", 0, "c:2"}, {"c", 2, "c:3"}, {"x", 0, ""}} {
		got, ok := r.Address(test.broker, test.id)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("Address(%s, %d) = %q, %v, want %q", test.broker, test.id, got, ok, test.want)
		}
	}
	if _, up := r.Master("c"); up {
		t.Error("c has a master")
	}
	if want := []string{"a", "b", "c", "d"}; !slices.Equal(r.Brokers(), want) {
		t.Errorf("brokers %v", r.Brokers())
	}
}
