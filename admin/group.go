package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Switch is a setting that is on or off. The zero Switch means "not set".
type Switch int

// What a Switch may be.
const (
	On  Switch = 1
	Off Switch = 2
)

// NoRetries is the GroupConfig.MaxRetries of a group whose messages are dead letters after the first failure.
const NoRetries = -1

// GroupConfig is what CreateGroup and UpdateGroup are to set. Every field but Name may be left zero: a new group gets
// the defaults, and UpdateGroup leaves the setting as it is.
type GroupConfig struct {
	// Name is the group's logical name.
	Name string

	// MaxRetries is how many times a message is tried again before it becomes a dead letter. 0 means 16 in a new group,
	// NoRetries means none. Consumers may set a lower bound of their own.
	MaxRetries int

	// RetryQueues is how many queues the group's retry topic gets on each broker. 0 means 1 in a new group.
	RetryQueues int

	// Consume says whether the group may consume at all. A group that may not is refused by every pull, until it is
	// On again; nothing is lost. Not set means On in a new group.
	Consume Switch

	// Brokers are the names of the brokers meant. Empty means all of the cluster, in CreateGroup, and all that have the
	// group, in UpdateGroup.
	Brokers []string
}

// Group is a group as its brokers have it.
type Group struct {
	Name    string          // logical
	Brokers []GroupSettings // sorted by broker
}

// GroupSettings are a group's settings on one broker; brokers needn't agree.
type GroupSettings struct {
	Broker      string
	MaxRetries  int // 0 means none
	RetryQueues int
	Consume     bool
}

// CreateGroup makes a group on the masters of all brokers, or of those in c.Brokers. A broker that has the group already
// keeps it, with all it has committed; if what c sets differs there, nothing is changed anywhere and the error wraps
// [ErrExists]. So creating again what was created in part is safe. Brokers make a group by themselves, with defaults,
// when its first consumer appears, unless autoCreateSubscriptionGroup is off.
func (a *Admin) CreateGroup(ctx context.Context, c GroupConfig) error {
	op := "create group " + shown(c.Name)
	t, physical, have, missing, err := a.openGroup(ctx, op, c)
	if err != nil {
		return err
	}
	for _, h := range have {
		if has, wants := c.differs(h.config); has != "" {
			return fmt.Errorf("admin: %s: %s has %s, not %s: %w", op, h.server.name, has, wants, ErrExists)
		}
		t.done = append(t.done, h.server.name)
	}
	fresh := c.apply(protocol.NewGroupConfig(physical))
	a.tell(ctx, t, missing, func(ctx context.Context, s server) error {
		return a.change(ctx, s, protocol.CreateGroup{Config: fresh}.Frame())
	})
	return t.err()
}

// UpdateGroup changes what c sets on every broker that has the group, or on those in c.Brokers, and keeps the rest. A
// group that no broker has gives an error that wraps [ErrNoGroup], and so does a broker of c.Brokers that lacks it.
func (a *Admin) UpdateGroup(ctx context.Context, c GroupConfig) error {
	op := "update group " + shown(c.Name)
	if c.MaxRetries == 0 && c.RetryQueues == 0 && c.Consume == 0 {
		return invalid(op, "MaxRetries, RetryQueues, Consume", errNothingSet)
	}
	t, _, have, missing, err := a.openGroup(ctx, op, c)
	if err != nil {
		return err
	}
	if len(have) == 0 && len(t.failed) == 0 {
		return fmt.Errorf("admin: %s: %w", op, ErrNoGroup)
	}
	if len(c.Brokers) > 0 {
		t.lack(missing, ErrNoGroup)
	}
	servers, configs := applied(have, c.apply)
	a.tell(ctx, t, servers, func(ctx context.Context, s server) error {
		return a.change(ctx, s, protocol.CreateGroup{Config: configs[s.name]}.Frame())
	})
	return t.err()
}

// openGroup validates c and reads the group on the brokers it means.
func (a *Admin) openGroup(ctx context.Context, op string, c GroupConfig) (
	t *tally, physical string, have []held[protocol.GroupConfig], missing []server, err error,
) {
	if physical, err = a.group(op, "Name", c.Name); err == nil {
		err = c.check(op)
	}
	if err != nil {
		return nil, "", nil, nil, err
	}
	brokers, err := a.someBrokers(ctx, op, c.Brokers)
	if err != nil {
		return nil, "", nil, nil, err
	}
	t = &tally{op: op}
	have, missing = a.groupNow(ctx, t, masters(brokers), physical)
	return t, physical, have, missing, nil
}

// GroupTopic is a topic that belongs to a group.
type GroupTopic string

// What DeleteGroup can delete beside a group. Each is the beginning of the topic's name, before the group's.
const (
	Retry       GroupTopic = retryPrefix      // with the messages that wait to be tried again
	DeadLetters GroupTopic = deadLetterPrefix // with every dead letter
)

// DeleteGroup deletes a group and all that it has committed, on every master and then on every replica, and those of
// its own topics that also names, as [Admin.DeleteTopic] does; others stay. What isn't there counts as deleted. Stop its
// consumers first: brokers make a group anew for a consumer that is still there, and one that is just stopping can leave
// a last trace, so delete again where that matters.
func (a *Admin) DeleteGroup(ctx context.Context, group string, also ...GroupTopic) error {
	op := "delete group " + shown(group)
	physical, err := a.group(op, "group", group)
	if err != nil {
		return err
	}
	for _, topic := range also {
		if topic != Retry && topic != DeadLetters {
			return invalid(op, "also", fmt.Errorf("%q is neither Retry nor DeadLetters", string(topic)))
		}
	}
	brokers, err := a.someBrokers(ctx, op, nil)
	if err != nil {
		return err
	}
	t := &tally{op: op}
	// Replicas copy a master's offsets but never delete any, and would revive them when one becomes master.
	for _, servers := range [][]server{masters(brokers), replicas(brokers)} {
		a.tell(ctx, t, servers, func(ctx context.Context, s server) error {
			return a.change(ctx, s, protocol.DeleteGroup{Group: physical, RemoveOffsets: true}.Frame())
		})
	}
	for _, topic := range also {
		a.deleteTopic(ctx, t, brokers, string(topic)+physical)
	}
	return t.err()
}

// Group returns a group's settings on every broker that has it; those it could read when others fail. A group that no
// broker has gives an error that wraps [ErrNoGroup].
func (a *Admin) Group(ctx context.Context, group string) (Group, error) {
	op := "read group " + shown(group)
	physical, err := a.group(op, "group", group)
	if err != nil {
		return Group{}, err
	}
	brokers, err := a.someBrokers(ctx, op, nil)
	if err != nil {
		return Group{}, err
	}
	t := &tally{op: op}
	have, _ := a.groupNow(ctx, t, masters(brokers), physical)
	if len(have) == 0 && len(t.failed) == 0 {
		return Group{}, fmt.Errorf("admin: %s: %w", op, ErrNoGroup)
	}
	result := Group{Name: group}
	for _, h := range have {
		result.Brokers = append(result.Brokers, GroupSettings{
			Broker:      h.server.name,
			MaxRetries:  int(h.config.RetryMaxTimes),
			RetryQueues: int(h.config.RetryQueues),
			Consume:     h.config.ConsumeEnable,
		})
		t.done = append(t.done, h.server.name)
	}
	return result, t.err()
}

// ListGroups lists the tenant's groups on all masters, sorted; those it could read when some fail.
func (a *Admin) ListGroups(ctx context.Context) ([]string, error) {
	const op = "list groups"
	brokers, err := a.someBrokers(ctx, op, nil)
	if err != nil {
		return nil, err
	}
	servers := masters(brokers)
	tables, outcomes := onEach(ctx, servers, a.allGroups)
	t := &tally{op: op}
	t.add(servers, outcomes)
	mine := map[string]bool{}
	for _, table := range tables {
		for physical := range table {
			if logical, ok := a.view.Names.LogicalGroup(physical); ok && !systemGroup(physical) {
				mine[logical] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(mine)), t.err()
}

// groupNow reads a group's settings on each server. Those that can't tell are entered in t. It asks for all groups,
// since a broker that is asked for one (GET_SUBSCRIPTIONGROUP_CONFIG 352) makes it when it isn't there.
func (a *Admin) groupNow(ctx context.Context, t *tally, servers []server, physical string) (have []held[protocol.GroupConfig], missing []server) {
	tables, outcomes := onEach(ctx, servers, a.allGroups)
	for i, s := range servers {
		config, found := tables[i][physical]
		switch {
		case outcomes[i] != nil:
			t.add([]server{s}, outcomes[i:i+1])
		case found:
			have = append(have, held[protocol.GroupConfig]{s, config})
		default:
			missing = append(missing, s)
		}
	}
	return have, missing
}

func (a *Admin) allGroups(ctx context.Context, s server) (map[string]protocol.GroupConfig, error) {
	answer, err := a.ask(ctx, s, protocol.ListGroups{}.Frame())
	if err != nil {
		return nil, err
	}
	return protocol.ParseListGroups(answer)
}
