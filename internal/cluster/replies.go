package cluster

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// replies are the requests that wait for a reply, by the correlation id that a reply repeats.
type replies struct {
	mu      sync.Mutex
	waiting map[string]*Awaited
	closed  bool
	used    bool // this Client has made requests, so brokers must know where to push replies to
	counts  ReplyCounts
}

// ReplyCounts counts the replies that brokers have pushed.
type ReplyCounts struct {
	Delivered int64 // to the request that waited for it
	Unclaimed int64 // nobody waited any more: late, a second one, or of a request that was never made here
	Refused   int64 // malformed, or of another tenant
}

// Awaited is a reply that somebody waits for.
type Awaited struct {
	// ID is the correlation id: 128 bits of chance, so that nobody who hasn't seen the request can answer it.
	ID string

	tenant  string
	cluster *Cluster
	arrived func()
	done    chan struct{}
	message *protocol.Message
	broker  string
}

// AwaitReply makes a correlation id and waits for its reply until Forget is called. arrived is called once when the
// reply has come, and mustn't block.
func (v *View) AwaitReply(arrived func()) *Awaited {
	a := &Awaited{ID: rand.Text(), tenant: v.Names.Tenant(), cluster: v.Cluster, arrived: arrived, done: make(chan struct{})}
	r := &v.replies
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = true
	if r.closed {
		close(a.done)
		return a
	}
	if r.waiting == nil {
		r.waiting = map[string]*Awaited{}
	}
	r.waiting[a.ID] = a
	return a
}

// Done is closed when the reply has come, and when the Cluster was closed.
func (a *Awaited) Done() <-chan struct{} { return a.done }

// Reply returns what has come, as the broker of that name sent it: the body may be compressed. It is nil before Done is
// closed, and after it when the Cluster was closed.
func (a *Awaited) Reply() (m *protocol.Message, broker string) {
	a.cluster.replies.mu.Lock()
	defer a.cluster.replies.mu.Unlock()
	return a.message, a.broker
}

// Forget ends the wait. A reply that comes later is counted as unclaimed.
func (a *Awaited) Forget() {
	a.cluster.replies.mu.Lock()
	defer a.cluster.replies.mu.Unlock()
	delete(a.cluster.replies.waiting, a.ID)
}

// ReplyCounts returns what became of the replies that brokers have pushed to this Client.
func (c *Cluster) ReplyCounts() ReplyCounts {
	c.replies.mu.Lock()
	defer c.replies.mu.Unlock()
	return c.replies.counts
}

// reply answers PUSH_REPLY_MESSAGE_TO_CLIENT. One that nobody waits for is taken all the same, as Java's clients do: the
// broker would call a refusal an error, for which the replier would send it again.
func (c *Cluster) reply(_ context.Context, broker string, req *frame.Frame) *frame.Frame {
	push, err := protocol.ParsePushReply(req)
	if err != nil {
		c.replies.count(&c.replies.counts.Refused)
		c.cfg.Log.Warn("malformed reply refused", "broker", broker, "error", err)
		return protocol.Refuse(protocol.CodeSystemError, err.Error())
	}
	id, _ := push.Message.Properties.Get(protocol.PropertyCorrelationID)
	a, foreign := c.replies.take(id, &push, c.brokerAt(broker))
	switch {
	case foreign:
		c.cfg.Log.Warn("reply of another tenant refused", "broker", broker, "from", push.Message.BornHost)
		return protocol.Refuse(protocol.CodeSystemError, "no request of the reply's tenant waits for it")
	case a == nil:
		c.cfg.Log.Debug("reply that nobody waits for", "broker", broker, "correlation id", id, "from", push.Message.BornHost)
	default:
		a.arrived()
	}
	return &frame.Frame{}
}

// take gives a reply to who waits for it, once. foreign tells that it bears another tenant's name: whoever sent it saw
// the request, but isn't one of those that it was made to.
func (r *replies) take(id string, push *protocol.PushReply, broker string) (a *Awaited, foreign bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a = r.waiting[id]
	if a == nil {
		r.counts.Unclaimed++
		return nil, false
	}
	for _, name := range []string{push.ProducerGroup, push.Message.Topic} {
		if owner, _ := tenant.Split(name); owner != "" && owner != a.tenant {
			r.counts.Refused++
			return nil, true
		}
	}
	r.counts.Delivered++
	delete(r.waiting, id)
	a.message, a.broker = &push.Message, broker
	close(a.done)
	return a, false
}

func (r *replies) count(n *int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

func (r *replies) expected() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

// close ends all waits.
func (r *replies) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, a := range r.waiting {
		close(a.done)
	}
	r.waiting = nil
}

// brokerAt gives the name of the broker at an address; the address, when no route names it.
func (c *Cluster) brokerAt(address string) string {
	for name, nodes := range c.routes.Brokers() {
		for _, node := range nodes {
			if node == address {
				return name
			}
		}
	}
	return address
}
