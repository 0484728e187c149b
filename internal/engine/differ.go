package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Difference is one topic that another member of the group subscribes to otherwise.
type Difference struct {
	ClientID     string
	Topic        string // logical
	Ours, Theirs string // "*", "a || b" or "SQL92: x > 5"; empty where the topic isn't subscribed to
}

const (
	compareEvery  = rebalanceEvery - time.Second // a member is asked no more often: with each rebalance, at rest
	compareAtOnce = 16                           // members that are asked in one round
	comparePause  = 5 * time.Second              // between two rounds
)

// comparer finds members that subscribe otherwise. A broker has one subscription to a topic for the whole group, the
// newest that a heartbeat brought, and takes topics away that the last heartbeat doesn't name: messages that one member
// wants and the other doesn't are lost, and nobody is told. What a broker holds (GET_CONSUMER_CONNECTION_LIST 203) shows
// one member's subscription, now this one's and now that one's; each member's own is in its running info (307).
type comparer struct {
	wanted chan struct{}

	mu     sync.Mutex
	others []string                // the other members, as of the last rebalance
	found  map[string][]Difference // by client id
}

func newComparer() *comparer {
	return &comparer{wanted: make(chan struct{}, 1), found: map[string][]Difference{}}
}

// saw takes the group's members from a rebalance. It doesn't wait.
func (e *Engine) saw(members []string) {
	others := slices.DeleteFunc(slices.Clone(members), func(id string) bool { return id == e.view.ClientID() })
	slices.Sort(others)
	others = slices.Compact(others)
	c := e.others
	c.mu.Lock()
	c.others = others
	var gone []string
	for id := range c.found {
		if !slices.Contains(others, id) {
			gone = append(gone, id)
		}
	}
	c.mu.Unlock()
	for _, id := range gone {
		e.differ(id, nil)
	}
	if len(others) > 0 {
		wake(c.wanted)
	}
}

// compareSubscriptions asks members after rebalances until ctx ends: those first that differed or were never asked, then
// those that weren't for the longest time.
func (e *Engine) compareSubscriptions(ctx context.Context) {
	asked := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.others.wanted:
		}
		ids := e.others.present()
		maps.DeleteFunc(asked, func(id string, _ time.Time) bool { return !slices.Contains(ids, id) })
		ids = slices.DeleteFunc(ids, func(id string) bool { return time.Since(asked[id]) < compareEvery })
		if len(ids) == 0 {
			continue
		}
		slices.SortStableFunc(ids, func(a, b string) int { return e.others.lastAsked(asked, a).Compare(e.others.lastAsked(asked, b)) })
		for _, id := range ids[:min(len(ids), compareAtOnce)] {
			theirs, err := e.subscriptionsOf(ctx, id)
			if ctx.Err() != nil {
				return
			}
			asked[id] = time.Now()
			if err != nil { // it may be leaving, or of a kind that doesn't answer
				e.log.Debug("subscriptions not compared", "member", id, "error", err)
				continue
			}
			e.differ(id, e.differences(id, theirs))
		}
		if sleep(ctx, comparePause) != nil {
			return
		}
	}
}

func (c *comparer) present() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.others)
}

// lastAsked is when a member was asked, as far as that puts off asking it again.
func (c *comparer) lastAsked(asked map[string]time.Time, id string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.found[id]) > 0 {
		return time.Time{}
	}
	return asked[id]
}

// subscriptionsOf asks a member, by way of a broker that it is connected to.
func (e *Engine) subscriptionsOf(ctx context.Context, id string) ([]protocol.SubscriptionData, error) {
	addresses := map[string]bool{}
	for _, t := range e.topics {
		r, err := e.view.Routes().Get(ctx, t.physical)
		if err != nil {
			continue
		}
		for _, broker := range r.Brokers() {
			if address, ok := r.Address(broker, protocol.MasterID); ok {
				addresses[address] = true
			}
		}
	}
	failures := []error{errors.New("no broker knows the member")}
	for address := range addresses {
		answer, err := e.view.Invoke(ctx, address, protocol.GetRunningInfo{Group: e.group, ClientID: id}.Frame())
		if err == nil {
			var info protocol.ConsumerRunningInfo
			if info, err = protocol.ParseRunningInfo(answer); err == nil {
				return info.Subscriptions, nil
			}
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// differences compares a member's subscriptions with ours.
func (e *Engine) differences(id string, theirs []protocol.SubscriptionData) []Difference {
	ours := make([]protocol.SubscriptionData, 0, len(e.topics))
	for _, t := range e.topics {
		ours = append(ours, t.sub)
	}
	us, them := expressions(ours), expressions(theirs)
	topics := maps.Clone(us)
	maps.Copy(topics, them)
	var all []Difference
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		if us[topic] == them[topic] {
			continue
		}
		name, ok := e.view.Names.LogicalTopic(topic)
		if !ok {
			name = topic // of no tenant of ours
		}
		all = append(all, Difference{ClientID: id, Topic: name, Ours: us[topic], Theirs: them[topic]})
	}
	return all
}

// expressions gives what is subscribed to by topic, each the same way however it was written. The retry topic isn't
// among them: not every library names it.
func expressions(subscriptions []protocol.SubscriptionData) map[string]string {
	all := map[string]string{}
	for _, s := range subscriptions {
		if strings.HasPrefix(s.Topic, retryPrefix) {
			continue
		}
		text := strings.TrimSpace(s.Expression)
		if s.ExpressionType != "" && s.ExpressionType != protocol.ExpressionTag {
			text = s.ExpressionType + ": " + text
		} else if read, err := protocol.SubscriptionFor(s.Topic, text); err == nil {
			slices.Sort(read.Tags)
			text = cmp.Or(strings.Join(read.Tags, " || "), protocol.AllTags)
		}
		all[s.Topic] = text
	}
	return all
}

const retryPrefix = "%RETRY%"

// differ notes how a member differs now, and logs what of that is news.
func (e *Engine) differ(id string, now []Difference) {
	c := e.others
	c.mu.Lock()
	before := c.found[id]
	if c.found[id] = now; len(now) == 0 {
		delete(c.found, id)
	}
	c.mu.Unlock()
	for _, d := range now {
		if !slices.Contains(before, d) {
			e.log.Warn("a member of the group subscribes differently: RocketMQ filters for both by one of the two, "+
				"and messages that only the other wants are lost",
				"member", id, "topic", d.Topic, "ours", cmp.Or(d.Ours, "nothing"), "theirs", cmp.Or(d.Theirs, "nothing"))
		}
	}
	if len(before) > 0 && len(now) == 0 {
		e.log.Info("the member doesn't subscribe differently any more", "member", id)
	}
}

// differing lists all differences there are, by member and topic.
func (c *comparer) differing() []Difference {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Difference
	for _, id := range slices.Sorted(maps.Keys(c.found)) {
		all = append(all, c.found[id]...)
	}
	return all
}
