package mqtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// WaitConsumed waits until a group is through with a topic: it has committed all of each queue, none of the topic's
// messages waits for a delay, and the group's retries are consumed too (dead letters count as done). It doesn't count
// what is sent later, nor does it wait for members: without any it waits for some to come. When ctx ends before, the
// error says what is missing. A ctx without a deadline ends shortly before the test does, in a bubble after 24 h.
func (c *Cluster) WaitConsumed(ctx context.Context, group, topic string) error {
	return c.wait(ctx, func() error { return c.consumed(group, topic) })
}

// WaitMembers waits until a group has n members on each running broker.
func (c *Cluster) WaitMembers(ctx context.Context, group string, n int) error {
	return c.wait(ctx, func() error { return c.hasMembers(group, n) })
}

// WaitMessages waits until a topic holds at least n messages.
func (c *Cluster) WaitMessages(ctx context.Context, topic string, n int) error {
	return c.wait(ctx, func() error { return c.holds(topic, n) })
}

// WaitDeadLetters waits until a group has at least n dead letters.
func (c *Cluster) WaitDeadLetters(ctx context.Context, group string, n int) error {
	return c.wait(ctx, func() error { return c.holds(deadLetterPrefix+group, n) })
}

func (c *Cluster) hasMembers(group string, n int) error {
	running := false
	for _, b := range c.brokers {
		b.mu.Lock()
		up, have := b.server.isUp(), 0
		if g := b.members[group]; g != nil {
			have = len(g.members)
		}
		b.mu.Unlock()
		running = running || up
		if up && have != n {
			return fmt.Errorf("group %s has %d members on %s, not %d", group, have, b.name, n)
		}
	}
	if !running {
		return errors.New("no broker runs")
	}
	return nil
}

func (c *Cluster) holds(topic string, n int) error {
	have := 0
	for _, b := range c.brokers {
		b.mu.Lock()
		if t := b.store.topics[topic]; t != nil {
			for _, q := range t.queues {
				have += len(q.records)
			}
		}
		b.mu.Unlock()
	}
	if have < n {
		return fmt.Errorf("topic %s holds %d messages, not %d", topic, have, n)
	}
	return nil
}

// consumed tells what a group hasn't done yet; nil when it is through.
func (c *Cluster) consumed(group, topic string) error {
	retries := retryPrefix + group
	var left []string
	found, known := false, false
	for _, b := range c.brokers {
		b.mu.Lock()
		found = found || b.store.topics[topic] != nil
		_, knows := b.groups[group]
		known = known || knows
		left = append(left, b.unconsumed(group, topic)...)
		left = append(left, b.unconsumed(group, retries)...)
		left = append(left, b.undelivered(topic, retries)...)
		b.mu.Unlock()
	}
	if !found {
		return fmt.Errorf("topic %s doesn't exist", topic)
	}
	if !known {
		return fmt.Errorf("group %s doesn't exist: no member has come yet", group)
	}
	if len(left) == 0 {
		return nil
	}
	if len(c.Members(group)) == 0 {
		left = append(left, "the group has no members")
	}
	return errors.New("group " + group + " isn't through: " + strings.Join(left, "; "))
}

func (b *broker) unconsumed(group, name string) (left []string) {
	t := b.store.topics[name]
	if t == nil {
		return nil
	}
	for id := range t.config.ReadQueues {
		q := b.store.peek(name, id)
		if len(q.records) == 0 {
			continue
		}
		switch committed, ok := b.committed(place{group, name, id}); {
		case !ok:
			left = append(left, fmt.Sprintf("%s %s/%d: nothing committed of %d", name, b.name, id, q.max()))
		case committed < q.max():
			left = append(left, fmt.Sprintf("%s %s/%d: committed %d of %d", name, b.name, id, committed, q.max()))
		}
	}
	return left
}

// undelivered lists the messages that wait for their time to go to one of the topics, the next ones first.
func (b *broker) undelivered(topics ...string) (left []string) {
	var soonest []time.Duration
	for r, due := range b.waiting {
		if topic, _ := r.msg.Properties.Get(protocol.PropertyRealTopic); slices.Contains(topics, topic) {
			soonest = append(soonest, due.Sub(b.now()))
		}
	}
	if len(soonest) > 0 {
		left = append(left, fmt.Sprintf("%d messages on %s wait for a retry or delay, the next for %v", len(soonest), b.name,
			slices.Min(soonest).Round(time.Millisecond)))
	}
	return left
}
