package conformance

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

// runs notes which offsets of which queues were handled, and how often.
type runs struct {
	mu    sync.Mutex
	times map[rocketkit.Queue]map[int64]int
}

func (r *runs) add(m *rocketkit.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.times[m.Queue()] == nil {
		r.times[m.Queue()] = map[int64]int{}
	}
	r.times[m.Queue()][m.Offset()]++
}

func (r *runs) all() map[rocketkit.Queue]map[int64]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[rocketkit.Queue]map[int64]int{}
	for q, times := range r.times {
		all[q] = map[int64]int{}
		for offset, n := range times {
			all[q][offset] = n
		}
	}
	return all
}

// upTo is the offset up to which, from an offset on, all were handled more often than before.
func (r *runs) upTo(q rocketkit.Queue, from int64, before map[rocketkit.Queue]map[int64]int) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.times[q][from] > before[q][from] {
		from++
	}
	return from
}

// A group that is consuming is moved back in time with RocketMQ's own tool, while messages come: everything from there on
// is handled again, nothing is lost, and nothing that was handled before the move is committed after it, although a handler
// that began before it ends long after. Then it is moved while nothing comes.
func TestToolResetOffsetByTime(t *testing.T) {
	o := newTools(t)
	a := admin.New(o.client)
	got := &runs{times: map[rocketkit.Queue]map[int64]int{}}
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	handler := func(_ context.Context, m *rocketkit.Message) error {
		if string(m.Body()) == "slow" && m.Attempt() == 1 {
			select {
			case entered <- struct{}{}:
				<-release // the first time only
			default:
			}
		}
		time.Sleep(time.Millisecond)
		got.add(m)
		return nil
	}
	c := run(t, o.client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Workers: 8, Handler: handler}},
	})
	p, err := producer.New(o.client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	send(t, o.client, "orders", "old", 400)
	eventually(t, "the old ones handled", func() bool { return c.Stats().Topics["orders"].Handled == 400 })
	time.Sleep(1100 * time.Millisecond) // tools tell times to the second in some versions
	back := time.Now()
	stopTraffic := traffic(t, p)
	eventually(t, "some more", func() bool { return c.Stats().Topics["orders"].Handled > 900 })
	o.send("slow")
	<-entered

	ends, err := a.SearchOffsets(t.Context(), "orders", back)
	if err != nil {
		t.Fatal(err)
	}
	before := got.all()
	o.mqadmin([]string{`#offset`}, "resetOffsetByTime", "-t", o.tenant+"%orders", "-s", strconv.FormatInt(back.UnixMilli(), 10))
	told := time.Now()
	o.noCommitAhead(a, got, ends, before, func() { close(release) })
	t.Logf("under traffic everything was handled again within %v of the tool's end", time.Since(told).Round(time.Millisecond))
	sent := 400 + stopTraffic() + 1
	o.awaitAll(a, c, got, sent)

	// At rest it takes as long as the broker holds a pull.
	before = got.all()
	o.mqadmin([]string{`#offset`}, "resetOffsetByTime", "-t", o.tenant+"%orders", "-s", strconv.FormatInt(back.UnixMilli(), 10))
	told = time.Now()
	o.noCommitAhead(a, got, ends, before, func() {})
	t.Logf("at rest everything was handled again within %v of the tool's end", time.Since(told).Round(time.Millisecond))
	o.awaitAll(a, c, got, sent)
}

// noCommitAhead waits until every queue has handled again what it had before the reset, and sees to it that meanwhile the
// group never has committed more than that.
func (o *tools) noCommitAhead(a *admin.Admin, got *runs, starts map[rocketkit.Queue]int64, before map[rocketkit.Queue]map[int64]int, meanwhile func()) {
	o.Helper()
	eventually(o.T, "all handled again", func() bool {
		committed, err := a.Offsets(o.Context(), "billing", "orders")
		if err != nil {
			o.Fatal(err)
		}
		done := true
		for _, at := range committed {
			again := got.upTo(at.Queue, starts[at.Queue], before)
			if at.Committed > again && !o.on.before("5") { // earlier brokers store nothing themselves: the member does when it is told
				o.Errorf("%v: committed %d, though after the reset only what is below %d was handled", at.Queue, at.Committed, again)
			}
			for offset := range before[at.Queue] {
				done = done && (offset < starts[at.Queue] || offset < again)
			}
		}
		meanwhile()
		meanwhile = func() {}
		return done && !o.Failed()
	})
}

// awaitAll waits until the group has committed all, and checks that all was handled.
func (o *tools) awaitAll(a *admin.Admin, c *running, got *runs, sent int) {
	o.Helper()
	eventually(o.T, "all committed", func() bool {
		offsets, err := a.Offsets(o.Context(), "billing", "orders")
		if err != nil {
			o.Fatal(err)
		}
		for _, at := range offsets {
			if lag, known := at.Lag(); !known || lag > 0 {
				return false
			}
		}
		return true
	})
	handled := 0
	for _, times := range got.all() {
		handled += len(times)
	}
	if handled != sent {
		o.Errorf("%d of %d messages were handled: %s", handled, sent, fmt.Sprint(c.Stats()))
	}
}
