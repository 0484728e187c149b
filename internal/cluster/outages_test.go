package cluster_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// registry answers as name servers do that know the brokers a and, while it is up, b.
type registry struct{ b atomic.Bool }

func (g *registry) answer(c *conn, req *frame.Frame) {
	brokers := map[string]protocol.BrokerData{"a": {Name: "a", Addresses: map[int64]string{0: "a:1"}}}
	if g.b.Load() {
		brokers["b"] = protocol.BrokerData{Name: "b", Addresses: map[int64]string{0: "b:1"}}
	}
	switch req.Code {
	case protocol.ReqGetRoute:
		var r protocol.TopicRoute
		for name, data := range brokers {
			r.Queues = append(r.Queues, protocol.QueueData{Broker: name, ReadQueues: 4, WriteQueues: 4, Perm: 6})
			r.Brokers = append(r.Brokers, data)
		}
		c.reply(req, jsonBody(r))
	case protocol.ReqGetCluster:
		c.reply(req, jsonBody(protocol.ClusterInfo{Brokers: brokers}))
	default:
		c.reply(req, &frame.Frame{})
	}
}

// kill ends a broker, start brings it back; the name servers know at once.
func (n *network) kill(g *registry, address string) {
	g.b.Store(false)
	n.mu.Lock()
	n.down[address] = true
	var ended []*conn
	for _, c := range n.conns {
		if c.address == address {
			ended = append(ended, c)
		}
	}
	n.mu.Unlock()
	for _, c := range ended {
		_ = c.nc.Close()
	}
}

func (n *network) start(g *registry, address string) {
	g.b.Store(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.down, address)
}

func knowTopics(t *testing.T, v *cluster.View, count int) (topics []string) {
	t.Helper()
	for i := range count {
		topics = append(topics, "red%t"+strconv.Itoa(i))
		if _, err := v.Route(t.Context(), topics[i]); err != nil {
			t.Fatal(err)
		}
	}
	return topics
}

// naming counts the topics whose routes name b.
func naming(v *cluster.View) int { return len(v.Routes().Naming("b")) }

// TestOutage: routes lose a broker that was killed, and have it again soon after it is back, with a heartbeat; the name
// servers are asked for each topic twice and otherwise little, however many topics and members there are.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &registry{}
		n := &network{answer: g.answer, down: map[string]bool{}}
		g.b.Store(true)
		v := open(t, n)
		const topics = 500
		knowTopics(t, v, topics)
		for i := range 10 {
			if err := v.Join(t.Context(), consumerIn("red%g"+strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		time.Sleep(time.Second) // 29 s until the routes' ordinary interval
		routes, looks := len(n.to("ns:1", protocol.ReqGetRoute)), len(n.to("ns:1", protocol.ReqGetCluster))
		if looks != 0 {
			t.Errorf("%d looks while all is well", looks)
		}

		n.kill(g, "b:1")
		time.Sleep(time.Second)
		if left := naming(v); left != 0 || !v.Away("b") || v.Away("a") {
			t.Errorf("%d routes name the broker that was killed; away: b %v, a %v", left, v.Away("b"), v.Away("a"))
		}
		time.Sleep(9 * time.Second)
		n.start(g, "b:1")
		time.Sleep(1500 * time.Millisecond)
		if got := naming(v); got != topics {
			t.Errorf("%d routes of %d name the broker 1.5 s after its return", got, topics)
		}
		if _, connected := v.Since("b:1"); !connected {
			t.Error("the broker isn't connected")
		}
		time.Sleep(3 * time.Second)
		if v.Away("b") {
			t.Error("the outage doesn't end")
		}
		if got := len(n.to("ns:1", protocol.ReqGetRoute)) - routes; got > 2*topics {
			t.Errorf("%d requests for routes, want at most %d", got, 2*topics)
		}
		before := len(n.to("ns:1", protocol.ReqGetCluster))
		if before > 30 {
			t.Errorf("%d looks in an outage of 10 s", before)
		}
		time.Sleep(time.Minute)
		if got := len(n.to("ns:1", protocol.ReqGetCluster)); got != before {
			t.Errorf("%d looks after the outage", got-before)
		}
	})
}

// TestOutageThatLasts is looked at ever less often, and forgotten in the end.
func TestOutageThatLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &registry{}
		n := &network{answer: g.answer, down: map[string]bool{}}
		g.b.Store(true)
		v := open(t, n)
		knowTopics(t, v, 1)
		if err := v.Join(t.Context(), consumerIn("red%g")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		n.kill(g, "b:1")
		time.Sleep(time.Minute)
		looks := func() int { return len(n.to("ns:1", protocol.ReqGetCluster)) }
		first := looks()
		time.Sleep(time.Minute)
		if second := looks() - first; first > 60 || second > 31 {
			t.Errorf("%d looks in the first minute and %d in the second", first, second)
		}
		time.Sleep(10 * time.Minute)
		after := looks()
		time.Sleep(10 * time.Minute)
		if got := looks() - after; got != 0 || v.Away("b") {
			t.Errorf("%d looks at a broker that has been away for long", got)
		}
	})
}

// TestLostConnectionIsNoOutage: a connection that breaks while its broker is well costs one look and no route.
func TestLostConnectionIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &registry{}
		n := &network{answer: g.answer, down: map[string]bool{}}
		g.b.Store(true)
		v := open(t, n)
		knowTopics(t, v, 10)
		if err := v.Join(t.Context(), consumerIn("red%g")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		routes := len(n.to("ns:1", protocol.ReqGetRoute))
		_ = n.connTo("b:1").nc.Close()
		time.Sleep(time.Second)
		if _, connected := v.Since("b:1"); !connected || v.Away("b") {
			t.Errorf("connected again: %v, away: %v", connected, v.Away("b"))
		}
		if got := len(n.to("ns:1", protocol.ReqGetRoute)) - routes; got != 0 {
			t.Errorf("%d routes fetched", got)
		}
		if got := len(n.to("ns:1", protocol.ReqGetCluster)); got > 3 {
			t.Errorf("%d looks", got)
		}
	})
}
