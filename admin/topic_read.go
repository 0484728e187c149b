package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Topic is a topic as its brokers have it.
type Topic struct {
	Name    string          // logical
	Brokers []TopicSettings // sorted by broker
}

// TopicSettings are a topic's settings on one broker; brokers needn't agree.
type TopicSettings struct {
	Broker      string
	ReadQueues  int // queues 0 to ReadQueues-1 are consumed
	WriteQueues int // queues 0 to WriteQueues-1 are sent to
	Permission  Permission
	Attributes  map[string]string // empty before RocketMQ 5.0
}

// TopicNames are all topics of a tenant, sorted.
type TopicNames struct {
	Topics      []string // the topics that services send to
	Retry       []string // the groups that have a retry topic; %RETRY% and the group is its name
	DeadLetters []string // the groups that have a dead-letter topic; %DLQ% and the group is its name
}

// Topic returns a topic's settings on every broker that has it. One that no name server knows gives an error that
// wraps [rocketkit.ErrNoRoute].
func (a *Admin) Topic(ctx context.Context, topic string) (Topic, error) {
	op := "read topic " + shown(topic)
	physical, err := a.readable(op, topic)
	if err != nil {
		return Topic{}, err
	}
	servers, err := a.topicMasters(ctx, op, physical)
	if err != nil {
		return Topic{}, err
	}
	t := &tally{op: op}
	have, _ := a.topicNow(ctx, t, servers, physical)
	result := Topic{Name: topic}
	for _, h := range have {
		result.Brokers = append(result.Brokers, TopicSettings{
			Broker:      h.server.name,
			ReadQueues:  int(h.config.ReadQueues),
			WriteQueues: int(h.config.WriteQueues),
			Permission:  Permission(h.config.Perm),
			Attributes:  h.config.Attributes,
		})
		t.done = append(t.done, h.server.name)
	}
	return result, t.err()
}

// ListTopics lists the tenant's topics, as the union of what the name servers say. Where they don't list topics
// (enableAllTopicList=false) the masters are asked.
func (a *Admin) ListTopics(ctx context.Context) (TopicNames, error) {
	const op = "list topics"
	brokers, err := a.brokers(ctx, op)
	if err != nil {
		return TopicNames{}, err
	}
	answers, outcomes := onEach(ctx, a.nameServers(ctx), func(ctx context.Context, s server) ([]string, error) {
		answer, err := a.ask(ctx, s, protocol.ListTopics{}.Frame())
		if err != nil {
			return nil, err
		}
		return protocol.ParseListTopics(answer)
	})
	err = nil
	if noneAnswered(outcomes) != nil {
		t := &tally{op: op}
		servers := masters(brokers)
		answers, outcomes = onEach(ctx, servers, func(ctx context.Context, s server) ([]string, error) {
			configs, err := a.allTopics(ctx, s)
			return slices.Collect(maps.Keys(configs)), err
		})
		t.add(servers, outcomes)
		err = t.err()
	}
	return a.topicNames(brokers, slices.Concat(answers...)), err
}

// topicNames sorts out physical names.
func (a *Admin) topicNames(brokers []Broker, physical []string) TopicNames {
	slices.Sort(physical)
	var names TopicNames
	for _, p := range slices.Compact(physical) {
		logical, mine := a.view.Names.LogicalTopic(p)
		if !mine || systemTopic(p) || namedAfter(brokers, p) {
			continue
		}
		if group, ok := strings.CutPrefix(logical, retryPrefix); ok {
			names.Retry = append(names.Retry, group)
		} else if group, ok := strings.CutPrefix(logical, deadLetterPrefix); ok {
			names.DeadLetters = append(names.DeadLetters, group)
		} else {
			names.Topics = append(names.Topics, logical)
		}
	}
	return names
}

// namedAfter tells whether a topic is one that brokers make of their own and their cluster's name (TopicConfigManager).
func namedAfter(brokers []Broker, physical string) bool {
	return slices.ContainsFunc(brokers, func(b Broker) bool {
		return physical == b.Name || physical == b.Cluster || physical == b.Cluster+"_REPLY_TOPIC"
	})
}

// held is what a server has.
type held[T any] struct {
	server server
	config T
}

// applied gives the servers that have something, and by their names what each is to have instead.
func applied[T any](have []held[T], change func(T) T) ([]server, map[string]T) {
	servers, configs := make([]server, 0, len(have)), make(map[string]T, len(have))
	for _, h := range have {
		servers = append(servers, h.server)
		configs[h.server.name] = change(h.config)
	}
	return servers, configs
}

// topicNow reads a topic's settings on each server. Those that can't tell are entered in t.
func (a *Admin) topicNow(ctx context.Context, t *tally, servers []server, physical string) (have []held[protocol.TopicConfig], missing []server) {
	configs, outcomes := onEach(ctx, servers, func(ctx context.Context, s server) (protocol.TopicConfig, error) {
		return a.topicOn(ctx, s, physical)
	})
	for i, s := range servers {
		switch {
		case outcomes[i] == nil:
			have = append(have, held[protocol.TopicConfig]{s, configs[i]})
		case protocol.HasCode(outcomes[i], protocol.CodeTopicNotExist):
			missing = append(missing, s)
		default:
			t.add([]server{s}, outcomes[i:i+1])
		}
	}
	return have, missing
}

// topicOn reads a topic's settings; a broker without it gives TOPIC_NOT_EXIST.
func (a *Admin) topicOn(ctx context.Context, s server, physical string) (protocol.TopicConfig, error) {
	answer, err := a.ask(ctx, s, protocol.GetTopicConfig{Topic: physical}.Frame())
	if err == nil {
		return protocol.ParseTopicConfig(answer)
	}
	if !protocol.HasCode(err, protocol.CodeRequestNotSupported) {
		return protocol.TopicConfig{}, err
	}
	all, err := a.allTopics(ctx, s) // before 5.0
	if err != nil {
		return protocol.TopicConfig{}, err
	}
	c, found := all[physical]
	if !found {
		return c, &protocol.Error{Request: protocol.ReqGetAllTopicConfig, Code: protocol.CodeTopicNotExist, Address: s.address}
	}
	return c, nil
}

func (a *Admin) allTopics(ctx context.Context, s server) (map[string]protocol.TopicConfig, error) {
	answer, err := a.ask(ctx, s, protocol.ListTopicConfigs{}.Frame())
	if err != nil {
		return nil, err
	}
	return protocol.ParseTopicConfigs(answer)
}

// routesOf asks every name server for a topic's route. Routes and outcomes are in the order of the servers.
func (a *Admin) routesOf(ctx context.Context, physical string) (servers []server, routes []protocol.TopicRoute, outcomes []error) {
	servers = a.nameServers(ctx)
	routes, outcomes = onEach(ctx, servers, func(ctx context.Context, s server) (protocol.TopicRoute, error) {
		answer, err := a.ask(ctx, s, protocol.GetRoute{Topic: physical}.Frame())
		if err != nil {
			return protocol.TopicRoute{}, err
		}
		return protocol.ParseTopicRoute(answer)
	})
	return servers, routes, outcomes
}

// topicMasters gives the masters of the brokers that any name server knows the topic on, sorted by name.
func (a *Admin) topicMasters(ctx context.Context, op, physical string) ([]server, error) {
	_, routes, outcomes := a.routesOf(ctx, physical)
	unknown, answered := false, false
	found := map[string]server{}
	for i, r := range routes {
		unknown = unknown || protocol.HasCode(outcomes[i], protocol.CodeTopicNotExist)
		answered = answered || outcomes[i] == nil
		for _, b := range r.Brokers {
			if s, known := found[b.Name]; !known || s.address == "" {
				found[b.Name] = Broker{Name: b.Name, Addresses: b.Addresses}.master()
			}
		}
	}
	switch {
	case answered:
	case unknown:
		return nil, failed(op, causes(outcomes))
	default:
		return nil, failed(op, noneAnswered(outcomes))
	}
	servers := make([]server, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		servers = append(servers, found[name])
	}
	return servers, nil
}

const (
	routeWait  = 35 * time.Second // a broker reports all its topics every 30 s
	firstPause = 20 * time.Millisecond
	longPause  = 500 * time.Millisecond
)

// awaitRoute waits until every name server that answers, and at least one, gives the topic's route on the brokers that
// want names, with their queues.
func (a *Admin) awaitRoute(ctx context.Context, op, physical string, want map[string]protocol.TopicConfig) error {
	limit, cancel := context.WithTimeout(ctx, routeWait)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		servers, routes, outcomes := a.routesOf(limit, physical)
		answered, lacking := 0, error(nil)
		for i, s := range servers {
			if outcomes[i] != nil && !protocol.HasCode(outcomes[i], protocol.CodeTopicNotExist) {
				continue
			}
			answered++
			if broker := lacks(routes[i], want); broker != "" {
				lacking = fmt.Errorf("%s doesn't give the route to %s", s.name, broker)
			}
		}
		if answered > 0 && lacking == nil {
			break
		}
		if lacking == nil {
			lacking = noneAnswered(outcomes)
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("admin: %s: the brokers have it, but %w: %w", op, lacking, context.Cause(limit))
		case <-time.After(pause):
		}
	}
	if a.view.Routes().Has(physical) {
		_, _ = a.view.Routes().Refresh(ctx, physical) // it refreshes itself later anyway
	}
	return nil
}

// lacks names a broker that isn't in the route as it should be; empty when all are.
func lacks(r protocol.TopicRoute, want map[string]protocol.TopicConfig) string {
	for _, broker := range slices.Sorted(maps.Keys(want)) {
		c := want[broker]
		there := slices.ContainsFunc(r.Queues, func(q protocol.QueueData) bool {
			// A broker that is closed for reading or writing as a whole reports less permission than the topic has.
			return q.Broker == broker && q.ReadQueues == c.ReadQueues && q.WriteQueues == c.WriteQueues && q.Perm&^c.Perm == 0
		})
		if !there {
			return broker
		}
	}
	return ""
}
