package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/peer"
)

const mixedQueues = 8

// member is one of a mixed group.
type member struct {
	id     func() string // client id, empty while it isn't known
	queues func() []int  // of the group's topic, by what the member says
	leave  func()        // in order
	die    func()        // without a word, where it is a process
}

// A group of one rocketkit, one client-go and one Java member consumes every message while members of each kind come and
// go; whenever it rests, they share the queues as the average allocation has it, and nobody gets anything twice.
func TestMixedGroup(t *testing.T) { onEach(t, testMixedGroup) }

func testMixedGroup(t *testing.T, on target) {
	testcluster.Require(t) // for the Java client
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders") // 8 queues
	found(t, client, "billing", "orders")
	got := newTally() // of those that were handled with success
	kinds := []string{"rocketkit", peer.ClientGo.String(), peer.Java.String()}
	join := map[string]func() member{"rocketkit": func() member { return joinOurs(t, on, tenant, got) }}
	for _, library := range peer.Libraries() {
		join[library.String()] = func() member { return joinPeer(t, on, tenant, library, got) }
	}
	members := map[string]member{}
	for _, kind := range kinds {
		members[kind] = join[kind]()
	}
	rest(t, members)

	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	stopTraffic := traffic(t, p)
	for round := range 2 {
		for _, kind := range kinds {
			if round == 0 {
				members[kind].leave()
			} else {
				members[kind].die()
			}
			delete(members, kind)
			rest(t, members)
			members[kind] = join[kind]()
			rest(t, members)
		}
	}
	sent := stopTraffic()
	got.awaitDistinct(t, sent)
	repeated := 0
	for body, n := range got.all() {
		if n > 1 {
			repeated += n - 1
		}
		if !strings.HasPrefix(body, "churn-") {
			t.Errorf("got %q", body)
		}
	}
	t.Logf("%d messages while members came and went, %d were handled again", sent, repeated)

	// At rest: who owns what doesn't change, and nothing comes twice.
	const quiet = 600
	send(t, client, "orders", "rest", quiet)
	got.awaitDistinct(t, sent+quiet)
	rest(t, members)
	for body, n := range got.all() {
		if strings.HasPrefix(body, "rest-") && n != 1 {
			t.Errorf("at rest %s was handled %d times", body, n)
		}
	}
}

// traffic sends 200 messages a second until it is told to stop, and then tells how many there were.
func traffic(t *testing.T, p *producer.Producer) (stop func() int) {
	end, ended := make(chan struct{}), make(chan struct{})
	n := 0
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ; ; n++ {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			if _, err := p.Send(context.Background(), producer.Message{Topic: "orders", Body: fmt.Appendf(nil, "churn-%d", n)}); err != nil {
				t.Error(err)
			}
		}
	}()
	halt := sync.OnceFunc(func() { close(end); <-ended })
	t.Cleanup(halt) // after a failure
	return func() int { halt(); return n }
}

// joinOurs adds a rocketkit member with a client of its own. Each 50th first attempt fails.
func joinOurs(t *testing.T, on target, tenant string, got *tally) member {
	t.Helper()
	client := on.open(t, tenant)
	var calls atomic.Int64
	c := run(t, client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			time.Sleep(2 * time.Millisecond) // the work
			if m.Attempt() == 1 && calls.Add(1)%50 == 0 {
				return consumer.RetryIn(time.Second, errors.New("on purpose"))
			}
			got.add(string(m.Body()))
			return nil
		}}},
	})
	end := func() { c.end(t) }
	return member{id: client.ID, leave: end, die: end, queues: func() (owned []int) {
		for _, q := range c.Stats().Topics["orders"].Queues {
			owned = append(owned, q.Queue.ID)
		}
		return owned
	}}
}

// joinPeer adds one of Apache's, which knows physical names alone.
func joinPeer(t *testing.T, on target, tenant string, library peer.Library, got *tally) member {
	t.Helper()
	physical := tenant + "%orders"
	c := library.Consume(t, peer.ConsumerConfig{
		NameServers: on.servers, Group: tenant + "%billing", Topic: physical, Earliest: true, Work: 2 * time.Millisecond, FailEvery: 50,
		On: func(r peer.Received) {
			if r.Verdict == peer.OK {
				got.add(string(r.Body))
			}
		},
	})
	return member{id: c.ClientID, leave: func() { stop(t, c) }, die: c.Kill, queues: func() (owned []int) {
		for _, q := range c.Queues(physical) {
			owned = append(owned, q.ID)
		}
		return owned
	}}
}

// rest waits until all members say of themselves what the average allocation gives them: so that each queue has one owner.
func rest(t *testing.T, members map[string]member) {
	t.Helper()
	begin := time.Now()
	for limit := begin.Add(patience); ; time.Sleep(20 * time.Millisecond) {
		has, want := map[string][]int{}, map[string][]int{}
		ids := map[string]string{}
		for kind, m := range members {
			has[kind] = slices.Sorted(slices.Values(m.queues()))
			ids[m.id()] = kind
		}
		order := slices.Sorted(maps.Keys(ids))
		for i, id := range order {
			want[ids[id]] = share(mixedQueues, len(order), i)
		}
		state := fmt.Sprintf("ids %v: %v, want %v", ids, has, want)
		if len(order) == len(members) && maps.EqualFunc(has, want, slices.Equal) {
			t.Logf("after %v: %v", time.Since(begin).Round(time.Millisecond), has)
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("the members don't agree within %v: %s", patience, state)
		}
	}
}

// share is what the average allocation (AllocateMessageQueueAveragely) gives the i-th of n members: runs of neighbors, the
// first ones longer by one.
func share(queues, n, i int) (ids []int) {
	for q := range queues {
		longer := queues % n * (queues/n + 1) // queues of those with longer runs
		owner := q / (queues/n + 1)
		if q >= longer {
			owner = queues%n + (q-longer)/(queues/n)
		}
		if owner == i {
			ids = append(ids, q)
		}
	}
	return ids
}
