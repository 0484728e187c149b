package mqtest

import (
	"slices"
	"sync"
)

// Partition is a network between a client and a server through which nothing passes. Connections stay open and silent,
// both ways; new ones don't come about. Neither side notices that the other has ended a connection before Heal: brokers
// forget a member that is cut off after 120 s without a heartbeat.
type Partition struct {
	cluster        *Cluster
	client, server string
	healed         chan struct{}
	once           sync.Once
}

type partitions struct {
	mu  sync.Mutex
	all []*Partition
}

// Partition cuts a client (rocketkit.Client.ID) off a server ("broker-a", "namesrv-a"); an empty name means any. Clients
// that were opened with [Cluster.Config] can be cut off at any time, others once they have sent a heartbeat. It panics
// when no server is called so.
func (c *Cluster) Partition(client, server string) *Partition {
	c.requireServer("Partition", server)
	p := &Partition{cluster: c, client: client, server: server, healed: make(chan struct{})}
	c.partitions.mu.Lock()
	defer c.partitions.mu.Unlock()
	c.partitions.all = append(c.partitions.all, p)
	return p
}

// Heal ends the partition: what was sent in the meantime arrives. It may be called again.
func (p *Partition) Heal() {
	p.once.Do(func() {
		q := &p.cluster.partitions
		q.mu.Lock()
		q.all = slices.DeleteFunc(slices.Clone(q.all), func(other *Partition) bool { return other == p })
		q.mu.Unlock()
		close(p.healed)
	})
}

// gate gives what to wait for before anything passes the connection; nil for nothing.
func (q *partitions) gate(k *conn) <-chan struct{} {
	q.mu.Lock()
	all := q.all
	q.mu.Unlock()
	for _, p := range all {
		if (p.server == "" || p.server == k.server.name) && (p.client == "" || k.isOf(p.client)) {
			return p.healed
		}
	}
	return nil
}

// dialGate gives what to wait for before a client may connect; nil for nothing.
func (q *partitions) dialGate(k *link, s *server) <-chan struct{} {
	q.mu.Lock()
	all := q.all
	q.mu.Unlock()
	for _, p := range all {
		if (p.server == "" || p.server == s.name) && (p.client == "" || k.is(p.client)) {
			return p.healed
		}
	}
	return nil
}
