package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// DefaultQueues is how many queues a topic gets on each broker where TopicConfig doesn't say.
const DefaultQueues = 8

// maxQueues stops slips of the keyboard: brokers take any number and make files for each queue.
const maxQueues = 4096

// Permission says what clients may do with a topic (RocketMQ's class PermName). The zero Permission means "not set".
type Permission int

// What a topic may be set to.
const (
	WriteOnly Permission = 2 // consumers get nothing
	ReadOnly  Permission = 4 // sends are refused; what is there can be consumed
	ReadWrite Permission = 6
)

// String names the permission for texts.
func (p Permission) String() string {
	switch p {
	case WriteOnly:
		return "write only"
	case ReadOnly:
		return "read only"
	case ReadWrite:
		return "read and write"
	}
	return fmt.Sprintf("permission %d", int(p))
}

// TopicConfig is what CreateTopic and UpdateTopic are to set. Every field but Name may be left zero.
type TopicConfig struct {
	// Name is the topic's logical name. UpdateTopic takes "%DLQ%billing" and "%RETRY%billing" too.
	Name string

	// ReadQueues and WriteQueues are how many queues each broker has for consumers and for producers, at most 4096.
	// A new topic has as many of one as of the other when one is 0, and DefaultQueues when both are; UpdateTopic leaves
	// a 0 as it is. To have fewer, lower WriteQueues, let the queues above drain, then lower ReadQueues: what is left in
	// a queue above ReadQueues isn't consumed.
	ReadQueues, WriteQueues int

	// Permission is what clients may do. A new topic is ReadWrite when it is 0; UpdateTopic leaves it as it is.
	Permission Permission

	// Attributes are further settings by name, such as message.type (RocketMQ's class TopicAttributes). Only the named
	// ones are touched; in UpdateTopic an empty value removes one. Brokers before 5.0 ignore them.
	Attributes map[string]string

	// Brokers are the names of the brokers meant. Empty means all of the cluster that have a master, in CreateTopic, and
	// all that have the topic, in UpdateTopic.
	Brokers []string
}

// CreateTopic makes a topic on the masters of all brokers, or of those in c.Brokers, and returns when the name servers
// give its route, so that it can be sent to at once. A broker that has the topic already keeps it; if what c sets differs
// there, nothing is changed anywhere and the error wraps [ErrExists]. So creating again what was created in part is safe.
//
// A broker without a master fails it, as a part. The wait for the routes ends with ctx, or after 35 s: a broker reports
// all it has every 30 s, so later the name server isn't one of its own.
func (a *Admin) CreateTopic(ctx context.Context, c TopicConfig) error {
	op := "create topic " + shown(c.Name)
	if _, err := a.view.Names.Topic(c.Name); err != nil { // a group's own topics are made by brokers
		return invalid(op, "Name", err)
	}
	physical, err := a.changeable(op, "Name", c.Name)
	if err == nil {
		err = c.check(op)
	}
	if err != nil {
		return err
	}
	brokers, err := a.someBrokers(ctx, op, c.Brokers)
	if err != nil {
		return err
	}
	t := &tally{op: op}
	have, missing := a.topicNow(ctx, t, masters(brokers), physical)
	for _, h := range have {
		if has, wants := c.differs(h.config); has != "" {
			return fmt.Errorf("admin: %s: %s has %s, not %s: %w", op, h.server.name, has, wants, ErrExists)
		}
		t.done = append(t.done, h.server.name)
	}
	fresh := c.apply(protocol.NewTopicConfig(physical, DefaultQueues))
	if queues := max(c.ReadQueues, c.WriteQueues); min(c.ReadQueues, c.WriteQueues) == 0 && queues > 0 {
		fresh.ReadQueues, fresh.WriteQueues = int32(queues), int32(queues)
	}
	a.tell(ctx, t, missing, func(ctx context.Context, s server) error {
		return a.change(ctx, s, protocol.CreateTopic{Config: fresh}.Frame())
	})
	if err := t.err(); err != nil {
		return err
	}
	want := map[string]protocol.TopicConfig{}
	for _, s := range missing {
		want[s.name] = fresh
	}
	for _, h := range have {
		want[h.server.name] = h.config
	}
	return a.awaitRoute(ctx, op, physical, want)
}

// UpdateTopic changes what c sets on every broker that has the topic, or on those in c.Brokers, and keeps the rest. It
// returns when the name servers give the new route; clients that are running follow within 30 s. A topic that no broker
// has gives an error that wraps [rocketkit.ErrNoRoute], and so does a broker of c.Brokers that lacks it.
func (a *Admin) UpdateTopic(ctx context.Context, c TopicConfig) error {
	op := "update topic " + shown(c.Name)
	physical, err := a.changeable(op, "Name", c.Name)
	if err == nil {
		err = c.check(op)
	}
	if err != nil {
		return err
	}
	if c.ReadQueues == 0 && c.WriteQueues == 0 && c.Permission == 0 && len(c.Attributes) == 0 {
		return invalid(op, "ReadQueues, WriteQueues, Permission, Attributes", errNothingSet)
	}
	brokers, err := a.someBrokers(ctx, op, c.Brokers)
	if err != nil {
		return err
	}
	t := &tally{op: op}
	have, missing := a.topicNow(ctx, t, masters(brokers), physical)
	if len(have) == 0 && len(t.failed) == 0 {
		return fmt.Errorf("admin: %s: no broker has it: %w", op, rocketkit.ErrNoRoute)
	}
	if len(c.Brokers) > 0 {
		t.lack(missing, rocketkit.ErrNoRoute)
	}
	servers, configs := applied(have, c.apply)
	a.tell(ctx, t, servers, func(ctx context.Context, s server) error {
		return a.change(ctx, s, protocol.CreateTopic{Config: configs[s.name]}.Frame())
	})
	if err := t.err(); err != nil {
		return err
	}
	return a.awaitRoute(ctx, op, physical, configs)
}

// DeleteTopic deletes a topic with its messages, and the offsets that groups have in it: on every master, then on every
// replica, then from every name server, going on where one fails, but not where a master's ACL refuses it. What isn't there
// counts as deleted. Stop its producers
// and consumers first: brokers that create topics on first use would bring it back, and while a master can't be reached
// the topic returns with it, until this is repeated.
func (a *Admin) DeleteTopic(ctx context.Context, topic string) error {
	op := "delete topic " + shown(topic)
	physical, err := a.changeable(op, "topic", topic)
	if err != nil {
		return err
	}
	brokers, err := a.someBrokers(ctx, op, nil)
	if err != nil {
		return err
	}
	t := &tally{op: op}
	a.deleteTopic(ctx, t, brokers, physical)
	return t.err()
}

func (a *Admin) deleteTopic(ctx context.Context, t *tally, brokers []Broker, physical string) {
	onBroker := func(ctx context.Context, s server) error {
		return a.change(ctx, s, protocol.DeleteTopicBroker{Topic: physical}.Frame())
	}
	a.tell(ctx, t, masters(brokers), onBroker)
	if t.denied() {
		return // name servers check nobody: without this the topic would be gone from routes until its brokers report again
	}
	a.tell(ctx, t, replicas(brokers), onBroker) // a replica drops the topic with its master, but not the queues' files
	a.tell(ctx, t, a.nameServers(ctx), func(ctx context.Context, s server) error {
		_, err := a.ask(ctx, s, protocol.DeleteTopicNameServer{Topic: physical}.Frame())
		return err
	})
	a.view.Routes().Forget(physical)
}

var errNothingSet = errors.New("none is set: there is nothing to change")

// check validates all but the name.
func (c TopicConfig) check(op string) error {
	for _, q := range []struct {
		field string
		n     int
	}{{"ReadQueues", c.ReadQueues}, {"WriteQueues", c.WriteQueues}} {
		if q.n < 0 || q.n > maxQueues {
			return invalid(op, q.field, fmt.Errorf("%d is not from 1 to %d, or 0 for what the topic has or gets by default", q.n, maxQueues))
		}
	}
	switch c.Permission {
	case 0, WriteOnly, ReadOnly, ReadWrite:
	default:
		return invalid(op, "Permission", fmt.Errorf("%d is none of WriteOnly, ReadOnly and ReadWrite", int(c.Permission)))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		if name == "" || strings.ContainsAny(name, "+=, ") || strings.ContainsAny(c.Attributes[name], "=, ") {
			return invalid(op, "Attributes", fmt.Errorf("%q=%q: a name isn't empty, and neither part holds '=', ',', a space, or, in the name, '+'",
				name, c.Attributes[name]))
		}
	}
	return nil
}

// apply gives a broker's settings with what c sets. The attributes in it are changes, as CreateTopic's request wants.
func (c TopicConfig) apply(now protocol.TopicConfig) protocol.TopicConfig {
	if c.ReadQueues > 0 {
		now.ReadQueues = int32(c.ReadQueues)
	}
	if c.WriteQueues > 0 {
		now.WriteQueues = int32(c.WriteQueues)
	}
	if c.Permission != 0 {
		now.Perm = int32(c.Permission)
	}
	changes := map[string]string{}
	for name, value := range c.Attributes {
		if _, has := now.Attributes[name]; has || value != "" { // a broker refuses to remove what it hasn't
			changes[name] = value
		}
	}
	now.Attributes = changes
	return now
}

// differs tells the first setting of c that a broker has otherwise.
func (c TopicConfig) differs(now protocol.TopicConfig) (has, wants string) {
	const read, write = "%d read queues", "%d write queues"
	switch {
	case c.ReadQueues > 0 && c.ReadQueues != int(now.ReadQueues):
		return fmt.Sprintf(read, now.ReadQueues), fmt.Sprint(c.ReadQueues)
	case c.WriteQueues > 0 && c.WriteQueues != int(now.WriteQueues):
		return fmt.Sprintf(write, now.WriteQueues), fmt.Sprint(c.WriteQueues)
	case c.Permission != 0 && c.Permission != Permission(now.Perm):
		return "the topic as " + Permission(now.Perm).String(), c.Permission.String()
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		if now.Attributes[name] != c.Attributes[name] {
			return fmt.Sprintf("%s=%q", name, now.Attributes[name]), fmt.Sprintf("%q", c.Attributes[name])
		}
	}
	return "", ""
}

// shown shortens what may be anything, so also megabytes, for an error. Names that are right are shorter.
func shown(name string) string {
	const most = 160
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}
