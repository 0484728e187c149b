package conformance

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
)

// crowd is a group "billing" of rocketkit members that share the topic "orders" under traffic.
type crowd struct {
	t      *testing.T
	on     target
	tenant string
	bodies *tally // what was handled
	stored *tally // the same by where it is stored: a producer that had no answer sends again, which is no one's fault here
	halt   func() int

	mu      sync.Mutex
	last    time.Time
	longest time.Duration // that nothing was handled
}

func gather(t *testing.T, on target) *crowd {
	t.Helper()
	c := &crowd{t: t, on: on, tenant: tenantOf(t, ""), bodies: newTally(), stored: newTally()}
	client := on.open(t, c.tenant)
	topic(t, client, "orders")
	found(t, client, "billing", "orders")
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	c.halt = traffic(t, p)
	return c
}

func (c *crowd) handle(_ context.Context, m *rocketkit.Message) error {
	time.Sleep(2 * time.Millisecond) // the work
	c.mu.Lock()
	if !c.last.IsZero() {
		c.longest = max(c.longest, time.Since(c.last))
	}
	c.last = time.Now()
	c.mu.Unlock()
	c.stored.add(m.OffsetID())
	c.bodies.add(string(m.Body()))
	return nil
}

// stall is the longest time that nothing was handled since it was last asked for.
func (c *crowd) stall() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	longest := c.longest
	c.longest = 0
	return longest
}

func (c *crowd) join() member {
	c.t.Helper()
	client := c.on.open(c.t, c.tenant)
	r := run(c.t, client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: c.handle}},
	})
	end := func() { r.end(c.t) }
	return member{id: client.ID, leave: end, die: func() { _ = client.Close(context.Background()); _ = r.kill() }, queues: func() (owned []int) {
		for _, q := range r.Stats().Topics["orders"].Queues {
			owned = append(owned, q.Queue.ID)
		}
		return owned
	}}
}

// kill waits for the end of a consumer whose Client was closed under it: as good as kill -9 for everybody else.
func (r *running) kill() error {
	if r.stop == nil {
		return nil
	}
	r.stop()
	r.stop = nil
	return <-r.done
}

// more waits until n more messages have been handled.
func (c *crowd) more(n int) {
	c.t.Helper()
	c.stored.awaitDistinct(c.t, len(c.stored.all())+n)
}

// handledOnce ends the traffic, waits until all of it has been handled, and checks that nothing was handled twice.
func (c *crowd) handledOnce() {
	c.t.Helper()
	sent := c.halt()
	c.bodies.awaitDistinct(c.t, sent)
	repeated := 0
	for _, n := range c.stored.all() {
		repeated += n - 1
	}
	c.t.Logf("%d messages", sent)
	if repeated > 0 {
		c.t.Errorf("%d of %d messages were handled again", repeated, sent)
	}
}

// Scaling from one member to three and back, and a rolling restart, repeat nothing and stop nothing.
func TestScalingRepeatsNothing(t *testing.T) { onEach(t, testScalingRepeatsNothing) }

func testScalingRepeatsNothing(t *testing.T, on target) {
	c := gather(t, on)
	members := map[string]member{}
	next := 0
	add := func() { members[fmt.Sprint(next)] = c.join(); next++ }
	leave := func() {
		oldest := fmt.Sprint(next - len(members))
		members[oldest].leave()
		delete(members, oldest)
	}
	add()
	for range 2 {
		add()
		rest(t, members)
		c.more(100)
	}
	for range 3 {
		leave()
		c.more(20)
		add()
		rest(t, members)
		c.more(100)
	}
	for range 2 {
		leave()
		rest(t, members)
		c.more(100)
	}
	c.handledOnce()
	t.Logf("longest stall %v", c.stall())
}

// A member that is killed holds its locks for another minute, and delays nobody by it.
func TestKilledMemberDelaysNobody(t *testing.T) { onEach(t, testKilledMemberDelaysNobody) }

func testKilledMemberDelaysNobody(t *testing.T, on target) {
	c := gather(t, on)
	a, b := c.join(), c.join()
	rest(t, map[string]member{"a": a, "b": b})
	c.more(200)
	b.die()
	rest(t, map[string]member{"a": a})
	c.more(200)
	sent := c.halt() // of which half were in b's queues
	start := time.Now()
	c.bodies.awaitDistinct(t, sent)
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("the killed member's messages came after %v, as if its locks had been waited for", took)
	}
}

// A member that is frozen keeps its queues from a newcomer for as long as its locks last, and no longer; when it thaws,
// nothing is lost.
func TestFrozenMember(t *testing.T) {
	t.Parallel()
	on := target{"real", rocketmq.Cluster(t).NameServers()}
	c := gather(t, on)
	frozen := start(t, on, c.tenant, c.bodies)
	if err := frozen.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	newcomer := c.join()
	eventually(t, "half the queues are the newcomer's", func() bool { return len(newcomer.queues()) == mixedQueues/2 })
	handled := len(c.stored.all())
	limit := began.Add(90 * time.Second)
	for len(c.stored.all()) == handled && time.Now().Before(limit) {
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("the newcomer began %v after the other was frozen", time.Since(began).Round(time.Second))
	if time.Since(began) > 75*time.Second {
		t.Errorf("the newcomer waited %v for locks that last 60 s", time.Since(began))
	}
	if err := frozen.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.bodies.awaitDistinct(t, c.halt())
	if err := frozen.signal(os.Interrupt); err != nil {
		t.Errorf("a clean stop after it was frozen: %v", err)
	}
}

// A broker that is restarted, or killed, has forgotten members and locks: nothing is repeated and nobody takes what is
// another's meanwhile.
func TestBrokerRestartRepeatsNothing(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{})
	c := gather(t, target{"real", cluster.NameServers()})
	members := map[string]member{"a": c.join(), "b": c.join()}
	rest(t, members)
	for _, end := range []func() error{
		func() error { return cluster.Broker(0).Stop(t.Context()) },
		cluster.Broker(0).Kill,
	} {
		c.stall()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		away := time.Now()
		if err := cluster.Broker(0).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		c.more(100)
		t.Logf("away for %v, then traffic after %v", back.Sub(away).Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
		rest(t, members)
	}
	c.handledOnce()
}

// One of two brokers is killed: the other's queues go on, and its own once it is back, with nothing repeated.
func TestOneOfTwoBrokersKilled(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{Brokers: 2})
	c := gather(t, target{"real", cluster.NameServers()})
	a, b := c.join(), c.join()
	both := func() bool { return len(a.queues()) == mixedQueues && len(b.queues()) == mixedQueues } // 8 on each broker
	eventually(t, "queues shared out", both)
	c.more(400)
	if err := cluster.Broker(1).Kill(); err != nil {
		t.Fatal(err)
	}
	c.stall()
	c.more(600)
	t.Logf("longest stall with a broker away: %v", c.stall())
	if err := cluster.Broker(1).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	seen := onNode(c.stored, cluster.Broker(1))
	eventually(t, "messages from the broker that came back", func() bool { return onNode(c.stored, cluster.Broker(1)) > seen+50 })
	t.Logf("messages from it again after %v", time.Since(began).Round(time.Millisecond))
	eventually(t, "queues shared out again", both)
	c.handledOnce()
}

// onNode counts what was stored on a broker: an offset id begins with its address.
func onNode(stored *tally, broker *testcluster.Node) (n int) {
	_, port, _ := strings.Cut(broker.Address(), ":")
	var number int
	_, _ = fmt.Sscan(port, &number)
	prefix := fmt.Sprintf("7F000001%08X", number)
	for id := range stored.all() {
		if strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}
