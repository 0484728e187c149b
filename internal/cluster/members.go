package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// beatInterval is the Java client's heartbeatBrokerInterval; brokers forget a silent client after 120 s.
const beatInterval = 30 * time.Second

// ErrMember is what a second member of one group in one Client gives: brokers know a member by client id and group, so
// they would be one.
var ErrMember = errors.New("this Client already has a member in the group")

// Member is one group's part in this process: what its heartbeat says, and who answers the brokers' requests about it.
type Member struct {
	Group    string                 // physical
	Consumer *protocol.ConsumerData // nil for a producer group

	// Handle answers a broker's request about the group (NOTIFY_CONSUMER_IDS_CHANGED 40, GET_CONSUMER_RUNNING_INFO 307,
	// ...); nil when none is expected. Called on a goroutine of its own.
	Handle func(ctx context.Context, broker string, req *frame.Frame) *frame.Frame

	// Connected is told of each new connection to a broker, after the heartbeat over it: a broker that crashed has lost
	// the last seconds of what it knew. May be nil. Called on a goroutine of its own.
	Connected func(address string)

	speaker speaker // in whose name servers are told of it
}

// speaker is a tenant with the keys that it signs with. A broker refuses a heartbeat whose signer lacks the right to one
// group in it, so those who sign have heartbeats of their own; all who don't are one speaker. Brokers add heartbeats up.
type speaker struct {
	keys  *Keys
	names tenant.Names
}

func (v *View) speaker() speaker {
	if v.keys == nil {
		return speaker{}
	}
	return speaker{v.keys, v.Names}
}

// viewOf gives the View that a speaker's requests are made with.
func (c *Cluster) viewOf(s speaker) *View { return c.View(s.names, s.keys) }

type memberKey struct {
	group    string
	consumer bool
}

type members struct {
	mu    sync.Mutex
	all   map[memberKey]Member
	times map[memberKey]int      // how often a producer group has joined: its producers are one member
	quiet map[heard]bool         // whose last heartbeat failed, which was logged
	beats map[chan struct{}]bool // heartbeats under way; each is closed when it has ended
}

// heard is a broker and who speaks to it.
type heard struct {
	broker string
	speaker
}

func (m *members) init() {
	m.all = map[memberKey]Member{}
	m.times = map[memberKey]int{}
	m.beats = map[chan struct{}]bool{}
	m.quiet = map[heard]bool{}
}

// begin notes a heartbeat that is under way until end is called.
func (m *members) begin() (end func()) {
	beat := make(chan struct{})
	m.mu.Lock()
	m.beats[beat] = true
	m.mu.Unlock()
	return func() {
		m.mu.Lock()
		delete(m.beats, beat)
		m.mu.Unlock()
		close(beat)
	}
}

// remove takes a member out and waits until no heartbeat is under way that may still name it. It is false when others
// of a producer group remain.
func (m *members) remove(ctx context.Context, key memberKey) (last bool) {
	m.mu.Lock()
	if m.times[key]--; m.times[key] > 0 {
		m.mu.Unlock()
		return false
	}
	delete(m.times, key)
	delete(m.all, key)
	under := slices.Collect(maps.Keys(m.beats))
	m.mu.Unlock()
	for _, beat := range under {
		select {
		case <-beat:
		case <-ctx.Done():
			return true
		}
	}
	return true
}

// forget drops what is noted of a speaker, unless members remain whom it speaks for.
func (m *members) forget(by speaker) (forgotten bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.all {
		if other.speaker == by {
			return false
		}
	}
	maps.DeleteFunc(m.quiet, func(h heard, _ bool) bool { return h.speaker == by })
	return true
}

// speakerOf gives who speaks for a member.
func (m *members) speakerOf(key memberKey) (by speaker, joined bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	member, joined := m.all[key]
	return member.speaker, joined
}

// isQuiet tells whether a speaker's last heartbeat to a broker failed.
func (m *members) isQuiet(by heard) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.quiet[by]
}

// producers gives a producer group of each who speaks for some.
func (m *members) producers() map[speaker]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	groups := map[speaker]string{}
	for key, member := range m.all {
		if !key.consumer {
			groups[member.speaker] = key.group
		}
	}
	return groups
}

func (m Member) key() memberKey { return memberKey{m.Group, m.Consumer != nil} }

// Join adds a member to the heartbeat and sends one to every broker known from the routes fetched so far. A broker that
// can't be reached doesn't fail it: it hears of the member as soon as it can be. A consumer group joins once (ErrMember);
// a producer group as often as it has producers, which all leave.
func (c *Cluster) Join(ctx context.Context, m Member) error {
	if err := c.Enlist(m); err != nil {
		return err
	}
	c.Beat(ctx)
	return nil
}

// Enlist is Join without the heartbeat: brokers hear of the member with their next one.
func (c *Cluster) Enlist(m Member) error {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	if _, taken := c.members.all[m.key()]; taken && m.Consumer != nil {
		return fmt.Errorf("%w: open a second Client for a second member", ErrMember)
	}
	c.members.all[m.key()] = m
	c.members.times[m.key()]++
	return nil
}

// Leave takes a member out of the heartbeat and unregisters it (UNREGISTER_CLIENT 35) from every broker, so that the
// others take over its queues at once rather than after 120 s.
func (c *Cluster) Leave(ctx context.Context, m Member) error {
	// A heartbeat that overtakes the unregistering, as brokers serve the two on different threads, would leave a member
	// behind that nobody is, for 120 s.
	if !c.members.remove(ctx, m.key()) {
		return nil
	}
	c.introductions.left(m.key(), "")
	if c.members.forget(m.speaker) {
		c.introductions.forget(m.speaker)
	}
	req := protocol.Unregister{ClientID: c.cfg.ClientID}
	if m.Consumer != nil {
		req.ConsumerGroup = m.Group
	} else {
		req.ProducerGroup = m.Group
	}
	addresses := c.beatAddresses(m.Consumer != nil)
	failures := make([]error, len(addresses))
	var wg sync.WaitGroup
	for i, address := range addresses {
		wg.Go(func() {
			_, failures[i] = c.viewOf(m.speaker).Invoke(ctx, address, req.Frame())
		})
	}
	wg.Wait()
	if m.Consumer == nil && c.replies.expected() {
		c.onEach(ctx, addresses, c.renew) // brokers forget where this client is with any of its producer groups (ProducerManager.unregisterProducer)
	}
	return errors.Join(failures...)
}

// Beat sends a heartbeat to every known broker now and returns when each has answered or failed.
func (c *Cluster) Beat(ctx context.Context) {
	_ = c.FindMasters(ctx) // those that were found before are told all the same
	var wg sync.WaitGroup
	for _, address := range c.beatAddresses(c.hasConsumers()) {
		wg.Go(func() { c.beat(ctx, address) })
	}
	wg.Wait()
}

func (c *Cluster) beatEvery(ctx context.Context) {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.Beat(ctx)
	}
}

// connected runs after each new connection. A broker that was restarted has forgotten its clients: it must hear of them
// before their next pull, not at the next tick.
func (c *Cluster) connected(address string) {
	if !slices.Contains(c.beatAddresses(true), address) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.RequestTimeout)
	defer cancel()
	again := c.introductions.had(address)
	c.beat(ctx, address)
	if again && c.replies.expected() {
		c.done.Go(func() { c.renewLater(address) })
	}
	c.outages.look()
	c.members.mu.Lock()
	all := slices.Collect(maps.Values(c.members.all))
	c.members.mu.Unlock()
	for _, m := range all {
		if m.Connected != nil {
			m.Connected(address)
		}
	}
}

// beat sends the heartbeats of all who speak to a broker.
func (c *Cluster) beat(ctx context.Context, address string) {
	defer c.members.begin()()
	var wg sync.WaitGroup
	for by, data := range c.heartbeats() {
		wg.Go(func() { c.say(ctx, address, by, data) })
	}
	wg.Wait()
}

// beatOf sends the heartbeat of one who speaks.
func (c *Cluster) beatOf(ctx context.Context, address string, by speaker) {
	defer c.members.begin()()
	if data, speaks := c.heartbeats()[by]; speaks {
		c.say(ctx, address, by, data)
	}
}

func (c *Cluster) say(ctx context.Context, address string, by speaker, data protocol.Heartbeat) {
	if _, master := c.checkers.at(address); master && !c.routed(address) {
		data.Consumers = nil // their topics aren't there, and a heartbeat would create the groups
		if len(data.Producers) == 0 {
			return
		}
	}
	ctx = context.WithoutCancel(ctx) // one that is given up may still arrive; the request time-out bounds it
	before, connected := c.remote.Since(address)
	_, err := c.viewOf(by).Invoke(ctx, address, data.Frame())
	if after, still := c.remote.Since(address); err == nil && still && (!connected || before.Equal(after)) {
		c.introductions.note(heard{address, by}, after, named(&data))
	}
	c.logBeat(heard{address, by}, err)
}

// logBeat tells of changes alone.
func (c *Cluster) logBeat(by heard, err error) {
	c.members.mu.Lock()
	known := c.members.quiet[by]
	if err != nil {
		c.members.quiet[by] = true
	} else {
		delete(c.members.quiet, by)
	}
	c.members.mu.Unlock()
	log := c.viewOf(by.speaker).LogOf()
	switch {
	case err != nil && !known:
		log.Warn("heartbeats fail, trying on", "broker", by.broker, "error", err)
	case err == nil && known:
		log.Info("heartbeats work again", "broker", by.broker)
	}
}

// heartbeats gives what is to be said of the members, by who says it.
func (c *Cluster) heartbeats() map[speaker]protocol.Heartbeat {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	beats := map[speaker]protocol.Heartbeat{}
	for _, m := range c.members.all {
		data := beats[m.speaker]
		data.ClientID = c.cfg.ClientID
		if m.Consumer != nil {
			data.Consumers = append(data.Consumers, *m.Consumer)
		} else {
			data.Producers = append(data.Producers, protocol.ProducerData{Group: m.Group})
		}
		beats[m.speaker] = data
	}
	return beats
}

// named gives the members that a heartbeat names.
func named(data *protocol.Heartbeat) map[memberKey]bool {
	keys := make(map[memberKey]bool, len(data.Consumers)+len(data.Producers))
	for i := range data.Consumers {
		keys[memberKey{data.Consumers[i].Group, true}] = true
	}
	for _, p := range data.Producers {
		keys[memberKey{p.Group, false}] = true
	}
	return keys
}

func (c *Cluster) hasConsumers() bool {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	for key := range c.members.all {
		if key.consumer {
			return true
		}
	}
	return false
}

// routed tells whether an address is one of the routes in use.
func (c *Cluster) routed(address string) bool {
	for _, nodes := range c.routes.Brokers() {
		for _, its := range nodes {
			if its == address {
				return true
			}
		}
	}
	return false
}

// beatAddresses lists whom a heartbeat goes to: every master, and the replicas too when there are consumers, since they
// may be read from. Where check-backs are served, the masters are all that there are, else those of the routes in use.
func (c *Cluster) beatAddresses(replicas bool) []string {
	set := map[string]bool{}
	for _, nodes := range c.routes.Brokers() {
		for id, address := range nodes {
			if id == 0 || replicas {
				set[address] = true
			}
		}
	}
	for _, address := range c.checkers.addresses() {
		set[address] = true
	}
	return slices.Sorted(maps.Keys(set))
}
