package mqtest

import (
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

const (
	// silenceLimit is how long a member may go without a heartbeat (channelExpiredTimeout), and its connection without
	// anything (serverChannelMaxIdleTimeSeconds).
	silenceLimit = 120 * time.Second
	scanEvery    = 10 * time.Second // how often a broker looks for such (ClientHousekeepingService)
)

// group is a consumer group that has members (ConsumerGroupInfo).
type group struct {
	name, kind, model, from string
	subscriptions           map[string]protocol.SubscriptionData
	members                 []*member // in the order they joined
}

// member is one connection's part in a group.
type member struct {
	conn     *conn
	clientID string
	language string
	version  int32
	seen     time.Time
}

// heartbeat registers a client's consumers and producers (ClientManageProcessor.heartBeat).
func (b *broker) heartbeat(c *call) *frame.Frame {
	beat, err := protocol.ParseHeartbeat(c.req)
	if err != nil {
		return malformed(err)
	}
	if isClosed(c.conn.done) { // disconnected has run, or waits for this to end
		return nil
	}
	c.conn.identify(beat.ClientID)
	for i := range beat.Consumers {
		b.register(c, beat.ClientID, &beat.Consumers[i])
	}
	for _, p := range beat.Producers {
		if !slices.Contains(b.producers[p.Group], c.conn) {
			b.producers[p.Group] = append(b.producers[p.Group], c.conn)
			b.clients[beat.ClientID] = c.conn
		}
	}
	return &frame.Frame{Fields: frame.Fields{{Key: "IS_SUPPORT_HEART_BEAT_V2", Value: "true"}, {Key: "IS_SUB_CHANGE", Value: "true"}}}
}

// register makes a connection a member of a group and, when that changes the group, tells all members, the new one
// included (ConsumerManager.registerConsumer). A group that doesn't exist and isn't created is passed over in silence.
func (b *broker) register(c *call, clientID string, data *protocol.ConsumerData) {
	config, ok := b.findGroup(data.Group)
	if !ok {
		return
	}
	b.topicOfGroup(retryPrefix+data.Group, config.RetryQueues)
	g := b.members[data.Group]
	if g == nil {
		g = &group{name: data.Group, subscriptions: map[string]protocol.SubscriptionData{}}
		b.members[data.Group] = g
	}
	g.kind, g.model, g.from = data.Type, data.Model, data.From
	changed := g.join(c, clientID, b.now())
	if g.subscribe(data.Subscriptions) {
		changed = true
	}
	for _, s := range data.Subscriptions {
		if b.subscribers[s.Topic] == nil {
			b.subscribers[s.Topic] = map[string]bool{}
		}
		b.subscribers[s.Topic][data.Group] = true
	}
	if changed && config.NotifyMembersEnable {
		g.notify()
	}
	b.cluster.state.change()
	b.planScan()
}

func (g *group) join(c *call, clientID string, now time.Time) (changed bool) {
	i := slices.IndexFunc(g.members, func(m *member) bool { return m.conn == c.conn })
	if i < 0 {
		i, changed = len(g.members), true
		g.members = append(g.members, &member{conn: c.conn})
	}
	m := g.members[i]
	m.clientID, m.language, m.version, m.seen = clientID, c.req.Language, c.req.Version, now
	return changed
}

// subscribe takes over what a member subscribes to. A newer expression for a known topic is no change to tell of.
func (g *group) subscribe(list []protocol.SubscriptionData) (changed bool) {
	named := map[string]bool{}
	for _, s := range list {
		named[s.Topic] = true
		old, known := g.subscriptions[s.Topic]
		if !known || s.Version > old.Version {
			g.subscriptions[s.Topic] = s
		}
		changed = changed || !known
	}
	for topic := range g.subscriptions {
		if !named[topic] {
			delete(g.subscriptions, topic)
			changed = true
		}
	}
	return changed
}

// notify tells every member that the group has changed (NOTIFY_CONSUMER_IDS_CHANGED).
func (g *group) notify() {
	if g.model == protocol.Broadcasting {
		return
	}
	for _, m := range g.members {
		m.conn.tell(protocol.ConsumersChanged(g.name))
	}
}

func (b *broker) unregister(c *call) *frame.Frame {
	if name, ok := c.req.Fields.Get("producerGroup"); ok && name != "" {
		if len(b.producers[name]) > 0 {
			id, _ := c.req.Fields.Get("clientID")
			delete(b.clients, id) // also when other producers of that client remain (ProducerManager.unregisterProducer)
		}
		b.removeProducer(name, c.conn)
	}
	if name, ok := c.req.Fields.Get("consumerGroup"); ok && name != "" {
		config, known := b.findGroup(name)
		if g := b.members[name]; g != nil {
			b.removeMember(g, c.conn, !known || config.NotifyMembersEnable)
		}
	}
	return &frame.Frame{}
}

// removeMember takes a connection out of a group.
func (b *broker) removeMember(g *group, k *conn, notify bool) {
	before := len(g.members)
	g.members = slices.DeleteFunc(g.members, func(m *member) bool { return m.conn == k })
	if len(g.members) == before {
		return
	}
	if len(g.members) == 0 {
		delete(b.members, g.name)
		for topic := range g.subscriptions {
			if delete(b.subscribers[topic], g.name); len(b.subscribers[topic]) == 0 {
				delete(b.subscribers, topic)
			}
		}
	} else if notify {
		g.notify()
	}
	b.cluster.state.change()
}

func (b *broker) removeProducer(name string, k *conn) {
	b.producers[name] = slices.DeleteFunc(b.producers[name], func(other *conn) bool { return other == k })
	if len(b.producers[name]) == 0 {
		delete(b.producers, name)
	}
}

// disconnected forgets all that a connection was registered for. Queue locks stay: they only expire.
func (b *broker) disconnected(k *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.members {
		b.removeMember(g, k, true)
	}
	for name, conns := range b.producers {
		if slices.Contains(conns, k) {
			delete(b.clients, k.client()) // also when the client is back on another connection (doChannelCloseEvent)
		}
		b.removeProducer(name, k)
	}
	for _, held := range b.holds {
		for _, h := range slices.Clone(held) {
			if h.call.conn == k {
				b.release(h)
			}
		}
	}
}

// planScan looks for silent members with the broker's next scan, as long as there are any members.
func (b *broker) planScan() {
	if b.scan != nil || len(b.members) == 0 {
		return
	}
	wait := scanEvery - time.Since(b.started)%scanEvery
	b.scan = b.later(wait, func() {
		b.scan = nil
		b.expire()
		b.planScan()
	})
}

// expire closes the connections of members that sent no heartbeat for too long. When nothing else came either, that is
// the end of a connection like any other, and the remaining members are told. A real broker tells them nothing of a
// member that still sends other requests, either: they notice when they next ask who is there.
func (b *broker) expire() {
	for name, g := range b.members {
		for _, m := range slices.Clone(g.members) {
			if b.now().Sub(m.seen) <= silenceLimit {
				continue
			}
			if !m.conn.isSilent(silenceLimit) {
				b.removeMember(g, m.conn, false)
			}
			m.conn.close() // disconnected removes it where it still is a member
		}
		if len(g.members) == 0 {
			delete(b.members, name)
		}
	}
}

func (b *broker) listMembers(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("consumerGroup")
	g := b.members[name]
	if g == nil {
		return refuse(protocol.CodeSystemError, "no consumer for this group, "+name)
	}
	var ids []string
	for _, m := range g.members {
		ids = append(ids, m.clientID)
	}
	return protocol.AnswerList("consumerIdList", ids)
}

func (b *broker) connections(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("consumerGroup")
	g := b.members[name]
	if g == nil {
		return refuse(protocol.CodeConsumerNotOnline, "the consumer group["+name+"] not online")
	}
	info := protocol.ConsumerConnection{Subscriptions: g.subscriptions, Type: g.kind, Model: g.model, From: g.from}
	for _, m := range g.members {
		info.Connections = append(info.Connections, protocol.Connection{
			ClientID: m.clientID, Address: m.conn.remote.String(), Language: m.language, Version: m.version,
		})
	}
	return info.Answer()
}
