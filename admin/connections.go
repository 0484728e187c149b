package admin

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Connections are a consumer group's members as the brokers see them.
type Connections struct {
	Group         string         // logical
	Members       []Member       // sorted by client id; empty when none is connected
	Subscriptions []Subscription // sorted by topic, the group's retry topic among them
	Type          string         // how they receive, RocketMQ's ConsumeType: "CONSUME_PASSIVELY" where the group shares the queues
	Model         string         // who gets a message, its MessageModel: "CLUSTERING" is one member, "BROADCASTING" each
	From          string         // where they begin in a topic without offsets, its ConsumeFromWhere: "CONSUME_FROM_LAST_OFFSET"
}

// Member is one consumer.
type Member struct {
	ClientID  string            // of the process's Client, or of its counterpart in other libraries
	Language  string            // RocketMQ's LanguageCode: "GO", "JAVA"
	Version   string            // of RocketMQ, by which the library goes: "V5_4_0"
	Addresses map[string]string // host:port of its connections, as brokers see them, by the broker's name
}

// Subscription is what a group receives of one topic.
type Subscription struct {
	Topic      string // logical
	Expression string // "*" is all, "a || b" two tags, unless Type says otherwise
	Type       string // "TAG" or "SQL92"
}

// Connections asks the masters of all brokers who is in a consumer group (GET_CONSUMER_CONNECTION_LIST 203) and unites
// what they say, since a member needn't be connected to each; what it could learn when some fail. A group without members
// is no error, and neither is one that doesn't exist: brokers tell no difference. Where brokers hold different
// subscriptions, as they may while members that subscribe differently are started, the newest of each topic is returned.
func (a *Admin) Connections(ctx context.Context, group string) (Connections, error) {
	op := "read the connections of group " + shown(group)
	physical, err := a.group(op, "group", group)
	if err != nil {
		return Connections{}, err
	}
	servers, seen, t, err := a.connections(ctx, op, physical)
	if err != nil {
		return Connections{}, err
	}
	c := Connections{Group: group}
	members := map[string]Member{}
	subscriptions := map[string]protocol.SubscriptionData{}
	for i, at := range seen {
		c.Type, c.Model, c.From = cmp.Or(c.Type, at.Type), cmp.Or(c.Model, at.Model), cmp.Or(c.From, at.From)
		for _, known := range at.Connections {
			m, ok := members[known.ClientID]
			if !ok {
				m = Member{known.ClientID, known.Language, protocol.VersionName(known.Version), map[string]string{}}
				members[known.ClientID] = m
			}
			m.Addresses[servers[i].name] = known.Address
		}
		for topic, s := range at.Subscriptions {
			if had, ok := subscriptions[topic]; !ok || had.Version < s.Version {
				subscriptions[topic] = s
			}
		}
	}
	c.Members = slices.SortedFunc(maps.Values(members), compareMembers)
	c.Subscriptions = a.subscriptions(slices.Collect(maps.Values(subscriptions)))
	return c, t.err()
}

func compareMembers(x, y Member) int { return cmp.Compare(x.ClientID, y.ClientID) }

// connections asks every master for what it knows of a group's members. Those that fail are entered in t.
func (a *Admin) connections(ctx context.Context, op, physical string) (servers []server, seen []protocol.ConsumerConnection, t *tally, err error) {
	brokers, err := a.someBrokers(ctx, op, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	servers = masters(brokers)
	seen, t = a.connectionsAt(ctx, op, physical, servers)
	return servers, seen, t, nil
}

// connectionsAt asks the servers. Those that fail are entered in the tally.
func (a *Admin) connectionsAt(ctx context.Context, op, physical string, servers []server) ([]protocol.ConsumerConnection, *tally) {
	t := &tally{op: op}
	seen, outcomes := onEach(ctx, servers, func(ctx context.Context, s server) (protocol.ConsumerConnection, error) {
		answer, err := a.ask(ctx, s, protocol.GetConsumerConnection{Group: physical}.Frame())
		if protocol.HasCode(err, protocol.CodeConsumerNotOnline) {
			return protocol.ConsumerConnection{}, nil
		}
		if err != nil {
			return protocol.ConsumerConnection{}, err
		}
		return protocol.ParseConsumerConnection(answer)
	})
	t.add(servers, outcomes)
	return seen, t
}

// subscriptions gives those to topics of the tenant, sorted.
func (a *Admin) subscriptions(all []protocol.SubscriptionData) []Subscription {
	var own []Subscription
	for _, s := range all {
		if topic, ok := a.view.Names.LogicalTopic(s.Topic); ok {
			own = append(own, Subscription{Topic: topic, Expression: s.Expression, Type: cmp.Or(s.ExpressionType, protocol.ExpressionTag)})
		}
	}
	slices.SortFunc(own, func(x, y Subscription) int { return cmp.Compare(x.Topic, y.Topic) })
	return own
}
