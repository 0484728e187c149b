package mqtest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Messages returns what a topic holds on all brokers, in the order it was stored. Messages that wait for their delay, and
// transactions without an outcome, aren't in it yet; what retention has deleted, no longer.
func (c *Cluster) Messages(topic string) []rocketkit.Message { return c.messages(topic, asItIs) }

// DeadLetters returns what a group has given up on, in the order it did.
func (c *Cluster) DeadLetters(group string) []rocketkit.Message {
	return c.Messages(deadLetterPrefix + group)
}

func asItIs(name string) string { return name }

// messages gives the messages of a physical topic; shown makes the names in them from physical ones.
func (c *Cluster) messages(topic string, shown func(string) string) []rocketkit.Message {
	type stored struct {
		msg    protocol.Message
		broker string
	}
	var all []stored
	for _, b := range c.brokers {
		b.mu.Lock()
		if t := b.store.topics[topic]; t != nil {
			for _, q := range t.queues {
				for _, r := range q.records {
					all = append(all, stored{r.msg, b.name})
				}
			}
		}
		b.mu.Unlock()
	}
	slices.SortFunc(all, func(x, y stored) int {
		return cmp.Or(cmp.Compare(x.msg.StoreMillis, y.msg.StoreMillis), cmp.Compare(x.broker, y.broker),
			cmp.Compare(x.msg.CommitLogOffset, y.msg.CommitLogOffset))
	})
	list := make([]rocketkit.Message, len(all))
	for i := range all {
		m := all[i].msg
		_ = m.Inflate(0) // a body that can't be is shown as it is
		queue := rocketkit.Queue{Topic: shown(topic), Broker: all[i].broker, ID: int(m.QueueID)}
		list[i] = rocketkit.Received(&m, shown(sentTo(&m)), queue)
	}
	return list
}

// sentTo is the topic a message was sent to, also when it is a retry or a dead letter.
func sentTo(m *protocol.Message) string {
	if origin, ok := m.Properties.Get(protocol.PropertyRetryTopic); ok {
		return origin
	}
	return m.Topic
}

// Offset is how far a group has come in a queue.
type Offset struct {
	Committed int64 // next offset to consume; -1 when the group has committed none
	Min, Max  int64 // what the queue holds: Max is one past its newest message
}

// Offsets returns how far a group has come in each queue of a topic.
func (c *Cluster) Offsets(group, topic string) map[rocketkit.Queue]Offset {
	return c.offsets(group, topic, asItIs)
}

func (c *Cluster) offsets(group, topic string, shown func(string) string) map[rocketkit.Queue]Offset {
	all := map[rocketkit.Queue]Offset{}
	for _, b := range c.brokers {
		b.mu.Lock()
		if t := b.store.topics[topic]; t != nil {
			for id := range t.config.ReadQueues {
				q := b.store.peek(topic, id)
				o := Offset{Committed: -1, Min: q.min, Max: q.max()}
				if committed, ok := b.committed(place{group, topic, id}); ok {
					o.Committed = committed
				}
				all[rocketkit.Queue{Topic: shown(topic), Broker: b.name, ID: int(id)}] = o
			}
		}
		b.mu.Unlock()
	}
	return all
}

// Members returns the ids of a group's members, sorted. One that isn't known to every running broker is listed all the
// same.
func (c *Cluster) Members(group string) []string {
	ids := map[string]bool{}
	for _, b := range c.brokers {
		b.mu.Lock()
		if g := b.members[group]; g != nil {
			for _, m := range g.members {
				ids[m.clientID] = true
			}
		}
		b.mu.Unlock()
	}
	return slices.Sorted(maps.Keys(ids))
}

// Groups returns the names of the consumer groups that exist, sorted, without RocketMQ's own.
func (c *Cluster) Groups() []string {
	names := map[string]bool{}
	for _, b := range c.brokers {
		b.mu.Lock()
		for name := range b.groups {
			names[name] = !slices.Contains(systemGroups, name)
		}
		b.mu.Unlock()
	}
	maps.DeleteFunc(names, func(_ string, own bool) bool { return !own })
	return slices.Sorted(maps.Keys(names))
}

// Topics returns the names of the topics that exist, sorted, without RocketMQ's own but with the groups' retry and
// dead-letter topics.
func (c *Cluster) Topics() []string {
	names := map[string]bool{}
	for _, b := range c.brokers {
		b.mu.Lock()
		for name := range b.store.topics {
			if !c.isSystemTopic(name) {
				names[name] = true
			}
		}
		b.mu.Unlock()
	}
	return slices.Sorted(maps.Keys(names))
}
