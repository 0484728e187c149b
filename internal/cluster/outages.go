package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// How often the name servers are asked about a broker whose connection broke: after a tenth of the time it has been away,
// within these bounds, until forgetOutage. That one question (GET_BROKER_CLUSTER_INFO 106) is the same for all brokers
// and topics of the Client. Only when its answer says something else than before are the routes that name the broker
// fetched, one after the other, each once: when it has vanished and when it is back. So with 500 topics an outage of any
// length costs the name servers about 1,000 requests for routes, one at a time, and a question each 2 s
// at most, whatever the number of producers and consumers.
const (
	lookLeast    = 250 * time.Millisecond
	lookMost     = 2 * time.Second
	lookShare    = 10
	forgetOutage = 10 * time.Minute // what is away for so long is left to the routes' ordinary interval
)

// outages are the brokers whose connection broke and that aren't back yet.
type outages struct {
	wanted chan struct{}

	mu   sync.Mutex
	open map[string]*outage // by the broker's name
}

type outage struct {
	broker  string
	began   time.Time
	fetched map[string]string // for which of the name servers' answers a topic's route was fetched; of watchOutages alone
	dialing atomic.Int32      // addresses that are being tried

	// Under outages.mu.
	addresses []string // that didn't answer
	topics    []string // whose routes named the broker
}

func (o *outages) init() {
	o.wanted = make(chan struct{}, 1)
	o.open = map[string]*outage{}
}

// look has the name servers asked soon, if a broker is away.
func (o *outages) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.open) == 0 {
		return
	}
	select {
	case o.wanted <- struct{}{}:
	default:
	}
}

func (o *outages) list() []*outage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Values(o.open))
}

func (o *outages) end(one *outage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, one.broker)
}

// Away tells whether a broker's connection broke and it isn't back yet. What the name servers don't list then may come
// again.
func (c *Cluster) Away(broker string) bool {
	c.outages.mu.Lock()
	defer c.outages.mu.Unlock()
	return c.outages.open[broker] != nil
}

// AllAway lists the brokers of which Away is true.
func (c *Cluster) AllAway() map[string]bool {
	c.outages.mu.Lock()
	defer c.outages.mu.Unlock()
	all := make(map[string]bool, len(c.outages.open))
	for broker := range c.outages.open {
		all[broker] = true
	}
	return all
}

// disconnected runs after a connection broke or couldn't be made. When it was a broker's, the outage is followed until
// its end: the routes' ordinary interval of 30 s is too long to find out that it is gone, or back.
func (c *Cluster) disconnected(address string) {
	for broker, nodes := range c.routes.Brokers() {
		if slices.Contains(slices.Collect(maps.Values(nodes)), address) {
			c.outages.add(broker, address, c.routes.Naming(broker))
		}
	}
	if broker, ok := c.checkers.at(address); ok {
		c.outages.add(broker, address, c.routes.Naming(broker))
	}
}

func (o *outages) add(broker, address string, topics []string) {
	o.mu.Lock()
	one := o.open[broker]
	known := one != nil
	if !known {
		one = &outage{broker: broker, began: time.Now(), fetched: map[string]string{}}
		o.open[broker] = one
	}
	one.addresses = union(one.addresses, address)
	one.topics = union(one.topics, topics...)
	o.mu.Unlock()
	if !known {
		o.look()
	}
}

// union makes a new sorted list, so that the old one may be read meanwhile.
func union(list []string, more ...string) []string {
	all := append(slices.Clone(list), more...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (o *outages) of(one *outage) (addresses, topics []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return one.addresses, one.topics
}

// watchOutages looks after the outages until ctx ends.
func (c *Cluster) watchOutages(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.outages.wanted:
		}
		for {
			list := c.outages.list()
			if len(list) == 0 {
				break
			}
			c.lookAt(ctx, list)
			if !c.pauseLooking(ctx) {
				return
			}
		}
	}
}

// pauseLooking waits until it is time to look again: a while, or less when there is news. It is false when ctx has ended.
func (c *Cluster) pauseLooking(ctx context.Context) bool {
	pause := lookMost
	for _, o := range c.outages.list() {
		pause = min(pause, max(lookLeast, time.Since(o.began)/lookShare))
	}
	least, most := time.NewTimer(min(pause, lookLeast)), time.NewTimer(pause)
	defer least.Stop()
	defer most.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-least.C:
	}
	select {
	case <-ctx.Done():
		return false
	case <-c.outages.wanted:
	case <-most.C:
	}
	return true
}

// lookAt asks the name servers who is there, and has routes fetched that say otherwise.
func (c *Cluster) lookAt(ctx context.Context, list []*outage) {
	for _, o := range list {
		if time.Since(o.began) > forgetOutage {
			c.outages.end(o)
		}
	}
	answer, err := c.names.Ask(ctx, protocol.GetCluster{}.Frame(), func(f *frame.Frame) bool { return f.Code == protocol.CodeSuccess })
	if err != nil {
		return
	}
	info, err := protocol.ParseClusterInfo(answer)
	if err != nil {
		return
	}
	c.checkers.listed(info)
	for _, o := range list {
		nodes := info.Brokers[o.broker].Addresses
		all := c.fetchAgain(ctx, o, nodes)
		switch {
		case all && c.isBack(o, nodes):
			c.outages.end(o)
		case len(nodes) > 0:
			c.greet(ctx, o, nodes)
		}
	}
}

// fetchAgain fetches the routes of the broker's topics that say otherwise of it than the name servers do, each once for
// each change; it is false when not all could be had.
func (c *Cluster) fetchAgain(ctx context.Context, o *outage, nodes map[int64]string) bool {
	answer := fmt.Sprint(nodes)
	_, topics := c.outages.of(o)
	for _, topic := range topics {
		if o.fetched[topic] == answer {
			continue
		}
		if r := c.routes.Known(topic); r != nil && !maps.Equal(r.Nodes(o.broker), nodes) {
			if err := c.routes.Again(ctx, topic); err != nil && len(nodes) > 0 { // of a topic with no broker left the last route is kept
				return false
			}
		}
		o.fetched[topic] = answer
	}
	return true
}

// isBack tells whether the outage is over: what the name servers list of the broker is connected. Without members nobody
// connects it before it is needed.
func (c *Cluster) isBack(o *outage, nodes map[int64]string) bool {
	addresses, _ := c.outages.of(o)
	if _, some := c.heartbeat(); !some {
		return len(nodes) > 0
	}
	for id, address := range nodes {
		if _, connected := c.remote.Since(address); !connected && (id == protocol.MasterID || slices.Contains(addresses, address)) {
			return false
		}
	}
	return len(nodes) > 0
}

// greet sends a heartbeat to a broker that the name servers list, which connects it if that is possible: whoever waits
// for it then learns that it is back (Member.Connected). One that doesn't answer delays no other.
func (c *Cluster) greet(ctx context.Context, o *outage, nodes map[int64]string) {
	if o.dialing.Load() > 0 {
		return
	}
	for _, address := range nodes {
		if _, connected := c.remote.Since(address); connected {
			continue
		}
		o.dialing.Add(1)
		c.done.Go(func() {
			defer o.dialing.Add(-1)
			c.remote.Forgive(address)
			c.beat(ctx, address)
		})
	}
}
