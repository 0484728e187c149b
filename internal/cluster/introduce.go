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
	told map[heard]told

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
func (i *introductions) note(by heard, since time.Time, members map[memberKey]bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.told == nil {
		i.told = map[heard]told{}
	}
	i.told[by] = told{since, members}
}

// hasHeard tells whether the server at the address has had a heartbeat over the connection there is now.
func (c *Cluster) hasHeard(address string) bool {
	return c.toldOver(address, func(told) bool { return true })
}

// knows tells whether the server at the address has had a heartbeat with the member over the connection there is now.
func (c *Cluster) knows(address string, key memberKey) bool {
	return c.toldOver(address, func(t told) bool { return t.members[key] })
}

// toldOver tells whether something that was told over the present connection to the address satisfies is.
func (c *Cluster) toldOver(address string, is func(told) bool) bool {
	since, connected := c.remote.Since(address)
	i := &c.introductions
	i.mu.Lock()
	defer i.mu.Unlock()
	for by, t := range i.told {
		if connected && by.broker == address && t.since.Equal(since) && is(t) {
			return true
		}
	}
	return false
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
	for by := range c.members.quiet {
		if by.broker == address {
			return true
		}
	}
	return false
}

// had tells whether the address took a heartbeat before.
func (i *introductions) had(address string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for by := range i.told {
		if by.broker == address {
			return true
		}
	}
	return false
}

// renewLater registers anew some times after a connection was replaced: when the broker notices the end of the old one, at
// once or, where nothing told it, after the 120 s that it lets one be silent, it drops the entry of the new one.
func (c *Cluster) renewLater(address string) {
	since, connected := c.remote.Since(address)
	for _, pause := range []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 130 * time.Second} {
		timer := time.NewTimer(pause)
		select {
		case <-c.life.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if now, still := c.remote.Since(address); !connected || !still || !now.Equal(since) {
			return // its successor has its own
		}
		c.renew(c.life, address)
	}
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
	m, ok := c.aProducer()
	if !ok {
		return
	}
	req := protocol.Unregister{ClientID: c.cfg.ClientID, ProducerGroup: m.Group}.Frame()
	if _, err := c.viewOf(m.speaker).Invoke(ctx, address, req); err == nil {
		c.beat(ctx, address)
	}
}

// aProducer gives one of the producer groups.
func (c *Cluster) aProducer() (m Member, ok bool) {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	for key, m := range c.members.all {
		if !key.consumer {
			return m, true
		}
	}
	return Member{}, false
}
