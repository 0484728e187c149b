package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// renewEvery bounds how often a Client that misses replies registers anew.
const renewEvery = 30 * time.Second

// introductions remember which brokers have heard of which members. A broker knows a member by the connection of its
// heartbeat, and pushes to that.
type introductions struct {
	mu   sync.Mutex
	told map[string]told // by address

	renewing sync.Mutex // held while a group is unregistered and registered again
	doubted  bool       // a reply didn't come: perhaps because a broker has forgotten where to push it
	renewed  time.Time
}

// told is what was told over one connection.
type told struct {
	since   time.Time // when the connection was made
	members map[memberKey]bool
}

// note remembers a heartbeat that was answered.
func (i *introductions) note(address string, since time.Time, members map[memberKey]bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.told == nil {
		i.told = map[string]told{}
	}
	i.told[address] = told{since, members}
}

// knows tells whether the server at the address has had a heartbeat with the member over the connection there is now.
func (c *Cluster) knows(address string, key memberKey) bool {
	since, connected := c.remote.Since(address)
	i := &c.introductions
	i.mu.Lock()
	defer i.mu.Unlock()
	t := i.told[address]
	return connected && t.since.Equal(since) && t.members[key]
}

// Introduce returns when every broker at the addresses has had a heartbeat with the member, which has joined, over its
// present connection, or has failed to take it, or ctx has ended. Brokers that took no heartbeat lately aren't waited for:
// they get one when they are back.
func (c *Cluster) Introduce(ctx context.Context, m Member, addresses ...string) {
	c.renewIfDoubted(ctx, addresses)
	var wg sync.WaitGroup
	waits := false
	for _, address := range addresses {
		if c.knows(address, m.key()) || c.isQuiet(address) {
			continue
		}
		waits = true
		wg.Go(func() { c.beat(ctx, address) })
	}
	if !waits {
		return
	}
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }() // a heartbeat isn't given up with ctx, and ends with the request time-out
	select {
	case <-all:
	case <-ctx.Done():
	}
}

func (c *Cluster) isQuiet(address string) bool {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	return c.members.quiet[address]
}

// DoubtReplies notes that a reply didn't come. Brokers find a client by an entry that they drop when any of its old
// connections ends, be it long after a new one was made (ProducerManager.doChannelCloseEvent), and that heartbeats don't
// bring back. So the next Introduce registers anew, if that wasn't tried lately.
func (c *Cluster) DoubtReplies() {
	c.introductions.mu.Lock()
	defer c.introductions.mu.Unlock()
	c.introductions.doubted = true
}

func (c *Cluster) renewIfDoubted(ctx context.Context, addresses []string) {
	i := &c.introductions
	i.mu.Lock()
	due := i.doubted && time.Since(i.renewed) >= renewEvery
	if due {
		i.doubted, i.renewed = false, time.Now()
	}
	i.mu.Unlock()
	if !due {
		return
	}
	var wg sync.WaitGroup
	for _, address := range addresses {
		if !c.isQuiet(address) {
			wg.Go(func() { c.renew(ctx, address) })
		}
	}
	wg.Wait()
}

// renew has a broker enter this client anew among those it can push to: it does so only for a group that it doesn't know
// on the connection yet, so one is unregistered first.
func (c *Cluster) renew(ctx context.Context, address string) {
	c.introductions.renewing.Lock()
	defer c.introductions.renewing.Unlock()
	group, ok := c.aProducer()
	if !ok {
		return
	}
	req := protocol.Unregister{ClientID: c.cfg.ClientID, ProducerGroup: group}.Frame()
	if _, err := c.invoke(ctx, address, req); err == nil {
		c.beat(ctx, address)
	}
}

// aProducer gives one of the producer groups.
func (c *Cluster) aProducer() (group string, ok bool) {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	for key := range c.members.all {
		if !key.consumer {
			return key.group, true
		}
	}
	return "", false
}
