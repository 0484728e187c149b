package mqtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// Requests that faults are most often aimed at, numbered as in RocketMQ's class RequestCode. Any other number of that
// class will do as well.
const (
	RequestSend           = 310 // SEND_MESSAGE_V2
	RequestSendBatch      = 320
	RequestPull           = 11
	RequestQueryOffset    = 14
	RequestCommitOffset   = 15
	RequestHeartbeat      = 34
	RequestUnregister     = 35
	RequestSendBack       = 36
	RequestEndTransaction = 37
	RequestMembers        = 38 // GET_CONSUMER_LIST_BY_GROUP
	RequestLock           = 41
	RequestUnlock         = 42
	RequestGetKV          = 101
	RequestRoute          = 105
)

// Fault says which requests go wrong, and how. Its zero value concerns every request and does nothing.
type Fault struct {
	// Which requests: each field that is set has to match.
	Request int    // RocketMQ's request code
	Server  string // "broker-a", "namesrv-a"
	Client  string // the client's id, as rocketkit.Client.ID gives it
	Topic   string // physical; of a heartbeat any that it subscribes to, of a lock any of its queues', of a send-back the first
	Group   string // physical; for a send, the producer's; of a heartbeat any

	Skip  int // let so many pass first
	Times int // then strike so often; 0 means until removed

	// What happens to them. Without After the request isn't carried out, unless Delay is all there is.
	Delay  time.Duration // wait before anything else
	Code   int           // answer this code of RocketMQ's class ResponseCode
	Remark string        // with this remark
	Break  Break         // or give no good answer at all; Code is ignored then
	After  bool          // carry the request out first, so that only its answer is hit
}

// Break is how an answer fails to arrive.
type Break int

// The ways to break.
const (
	Disconnect Break = 1 + iota // the connection ends
	HalfFrame                   // half of the answer arrives, then the connection ends; the request is carried out
	Silence                     // no answer comes; the connection stays
)

// Injected is a Fault at work. Its methods are safe for concurrent use.
type Injected struct {
	cluster *Cluster
	fault   Fault

	seen, struck int // under faults.mu
}

type faults struct {
	mu  sync.Mutex
	all []*Injected
}

// Inject puts a fault to work until it is removed or has struck as often as it says. Of several that match a request,
// the first one injected strikes. It panics when f.Server names no server of the cluster: such a fault would never strike,
// and its test pass for nothing.
func (c *Cluster) Inject(f Fault) *Injected {
	c.requireServer("Fault.Server", f.Server)
	i := &Injected{cluster: c, fault: f}
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.all = append(c.faults.all, i)
	return i
}

// Remove ends the fault. What it has delayed stays delayed.
func (i *Injected) Remove() {
	i.cluster.faults.mu.Lock()
	defer i.cluster.faults.mu.Unlock()
	i.cluster.faults.remove(i)
}

func (f *faults) remove(i *Injected) {
	for at, other := range f.all {
		if other == i {
			f.all = append(f.all[:at:at], f.all[at+1:]...)
			return
		}
	}
}

// Count tells how many requests it has struck.
func (i *Injected) Count() int {
	i.cluster.faults.mu.Lock()
	defer i.cluster.faults.mu.Unlock()
	return i.struck
}

// Wait returns once it has struck n requests, or when ctx ends.
func (i *Injected) Wait(ctx context.Context, n int) error {
	return i.cluster.wait(ctx, func() error {
		if count := i.Count(); count < n {
			return fmt.Errorf("the fault has struck %d requests of %d", count, n)
		}
		return nil
	})
}

// match finds the fault that strikes a request, and counts it.
func (f *faults) match(c *call) *Injected {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.all {
		if !i.concerns(c) {
			continue
		}
		if i.seen++; i.seen <= i.fault.Skip {
			continue
		}
		i.struck++
		if i.struck == i.fault.Times {
			f.remove(i)
		}
		i.cluster.state.change()
		return i
	}
	return nil
}

// begin takes a request the fault strikes: it is carried out, or struck at once.
func (i *Injected) begin(c *call) {
	f := &i.fault
	carry := f.After || f.Break == HalfFrame || f.Break == 0 && f.Code == 0
	if carry && f.After {
		c.conn.server.handle(c) // the answer comes to strike
		return
	}
	i.delayed(c, func() {
		if carry {
			c.conn.server.handle(c)
		} else {
			i.hit(c, nil)
		}
	})
}

// strike gets the answer of a request that was carried out.
func (i *Injected) strike(c *call, answer *frame.Frame) {
	if !i.fault.After {
		i.hit(c, answer)
		return
	}
	i.delayed(c, func() { i.hit(c, answer) })
}

func (i *Injected) delayed(c *call, do func()) {
	if i.fault.Delay <= 0 {
		do()
		return
	}
	i.cluster.schedule.after(i.fault.Delay, func() {
		if !isClosed(c.conn.done) {
			do()
		}
	})
}

func (i *Injected) hit(c *call, answer *frame.Frame) {
	f := &i.fault
	switch {
	case f.Break == Disconnect:
		c.conn.close()
	case f.Break == HalfFrame:
		answer.Opaque, answer.Flag = c.req.Opaque, flagAnswer
		c.conn.sendHalf(answer)
	case f.Break == Silence:
	case f.Code != 0:
		c.send(refuse(int32(f.Code), f.Remark))
	default:
		c.send(answer)
	}
}

// isOf tells whether the connection belongs to the client with the id.
func (k *conn) isOf(clientID string) bool {
	return k.server.cluster.links.of(k.remote).is(clientID) || k.client() == clientID
}
