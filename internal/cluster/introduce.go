package cluster

import (
	"context"
	"maps"
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

	doubted bool // a reply didn't come: perhaps because a broker has forgotten where to push it
	renewed time.Time
}

// told is what was told over one connection.
type told struct {
	since   time.Time // when the connection was made
	members map[memberKey]bool
}

// note remembers a heartbeat that was answered. Brokers add heartbeats up, whichever is answered last.
func (i *introductions) note(by heard, since time.Time, members map[memberKey]bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.told == nil {
		i.told = map[heard]told{}
	}
	if before := i.told[by]; before.since.Equal(since) {
		maps.Copy(members, before.members)
	}
	i.told[by] = told{since, members}
}

// left notes that a member is unregistered, by one broker or, without an address, by all.
func (i *introductions) left(key memberKey, address string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for by, t := range i.told {
		if address == "" || by.broker == address {
			delete(t.members, key)
		}
	}
}

// forget drops what is known of a speaker that has no member any more.
func (i *introductions) forget(by speaker) {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.told, func(h heard, _ told) bool { return h.speaker == by })
}

// knows tells whether the server at the address has had a heartbeat with the member over the connection there is now, by
// who speaks for the member.
func (c *Cluster) knows(address string, key memberKey, by speaker) bool {
	since, connected := c.remote.Since(address)
	i := &c.introductions
	i.mu.Lock()
	defer i.mu.Unlock()
	t := i.told[heard{address, by}]
	return connected && t.since.Equal(since) && t.members[key]
}

// Introduce returns when every broker at the addresses has had a heartbeat with the member, which has joined, over its
// present connection, or has failed to take it, or ctx has ended. Brokers that took no heartbeat of the member's lately
// aren't waited for: they get one when they are back. Nor are the heartbeats of other tenants.
func (c *Cluster) Introduce(ctx context.Context, m Member, addresses ...string) {
	c.renewIfDoubted(ctx, addresses)
	by, joined := c.members.speakerOf(m.key())
	if !joined {
		return
	}
	var strangers []string
	for _, address := range addresses {
		if !c.knows(address, m.key(), by) && !c.members.isQuiet(heard{address, by}) {
			strangers = append(strangers, address)
		}
	}
	c.onEach(ctx, strangers, func(address string) { c.beatOf(ctx, address, by) })
}

// onEach does something with each address in the background, and returns when all is done or ctx has ended: a request
// that is given up may still arrive, so what follows on it is done all the same.
func (c *Cluster) onEach(ctx context.Context, addresses []string, do func(address string)) {
	if len(addresses) == 0 {
		return
	}
	var wg sync.WaitGroup
	for _, address := range addresses {
		wg.Add(1)
		if !c.background.Go(func(context.Context) { defer wg.Done(); do(address) }) {
			wg.Done() // closed
		}
	}
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	select {
	case <-all:
	case <-ctx.Done():
	}
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
		c.renew(address)
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
	if due {
		c.onEach(ctx, addresses, c.renew)
	}
}

// renew has a broker enter this client anew among those it can push to: it does so only for a group that it doesn't know
// on the connection yet, so one is unregistered first. Which one it is doesn't matter, so that those of a tenant whose
// requests are refused don't count.
func (c *Cluster) renew(address string) {
	for by, group := range c.members.producers() {
		if c.members.isQuiet(heard{address, by}) {
			continue
		}
		req := protocol.Unregister{ClientID: c.cfg.ClientID, ProducerGroup: group}.Frame()
		_, err := c.viewOf(by).Invoke(c.life, address, req)
		c.introductions.left(memberKey{group: group}, address)
		c.beatOf(c.life, address, by) // after an error too: the group may be gone
		if err == nil {
			return
		}
	}
}
