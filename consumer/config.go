package consumer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/engine"
	"github.com/rocketkit/rocketkit/tenant"
)

// Config says what a consumer receives and how. Group and Topics are required.
type Config struct {
	// Group is the consumer group, by its logical name. Its members share each topic's queues; all of them must have the
	// same Topics with the same Tags, or RocketMQ loses messages. One Client holds at most one member of a group.
	Group string

	// Topics are the topics to receive and what handles them, by logical name. A dead-letter topic, "%DLQ%" and the name
	// of a group, can be received like any other.
	Topics map[string]Topic

	// Start is where the group begins in a topic that it has no offsets of. The zero value is Latest.
	// Queues that a topic gains later begin at their oldest message.
	Start Start

	// Retries is how often a failing message is delivered again before it goes to the dead-letter topic.
	// 0 means the group's setting on the broker, 16 unless an operator changed it; negative means none: the first
	// failure dead-letters.
	Retries int

	// Drain is how long running handlers may go on after the end of Run's context, before theirs ends too. For as long
	// another member that gains a queue waits for those that run here; what takes longer is delivered to it again.
	// 0 means 30 s; negative means not at all.
	Drain time.Duration

	// Middleware wraps the handlers of all topics; the first is the outermost.
	Middleware []Middleware
}

// Topic says how one topic is received. Handler is required.
type Topic struct {
	// Handler is called for each message.
	Handler Handler

	// Tags are those of the messages wanted; none means all.
	Tags []string

	// Workers is how many messages are handled at once. 0 means 16; at most 65,536.
	Workers int

	// Timeout is how long a handler may take before its context ends, counted from its start. 0 means 1 min; negative
	// means none.
	Timeout time.Duration
}

// What zero values mean.
const (
	DefaultWorkers = 16
	DefaultTimeout = time.Minute
	DefaultDrain   = 30 * time.Second
)

const maxWorkers = 1 << 16

// Start is where a group begins that has no offsets yet: Latest, Earliest or At.
type Start struct{ at engine.Start }

// Latest begins with what is sent after Run has joined the group. It is the zero Start.
func Latest() Start { return Start{} }

// Earliest begins with the oldest message that the brokers still have.
func Earliest() Start { return Start{engine.Start{Where: engine.StartEarliest}} }

// At begins with the first message stored at t or after, by the brokers' clocks. Brokers before 5.0 find the nearest
// message instead, so that a queue may begin with one that is earlier.
func At(t time.Time) Start { return Start{engine.Start{Where: engine.StartTime, Time: t}} }

func configError(field, format string, args ...any) error {
	return fmt.Errorf("consumer: %s: %s: %w", field, fmt.Sprintf(format, args...), rocketkit.ErrConfig)
}

// engineConfig validates the Config and fills in its defaults.
func (c Config) engineConfig(names tenant.Names) (engine.Config, error) {
	none := engine.Config{}
	if _, err := names.Group(c.Group); err != nil {
		return none, configError("Group", "%v", err)
	}
	if len(c.Topics) == 0 {
		return none, configError("Topics", "none given; a consumer needs at least one")
	}
	if i := slices.IndexFunc(c.Middleware, func(m Middleware) bool { return m == nil }); i >= 0 {
		return none, configError(fmt.Sprintf("Middleware[%d]", i), "is nil")
	}
	if c.Retries > math.MaxInt32 {
		return none, configError("Retries", "%d is more than a broker can count to, %d", c.Retries, math.MaxInt32)
	}
	if c.Start.at.Where == engine.StartTime && c.Start.at.Time.IsZero() {
		return none, configError("Start", "At the zero time; use Earliest to begin with the oldest message")
	}
	e := engine.Config{
		Group: c.Group, Start: c.Start.at, Retries: brokersRetries(c.Retries),
		Drain: orDefault(c.Drain, DefaultDrain), Topics: make(map[string]engine.Topic, len(c.Topics)),
	}
	for _, name := range slices.Sorted(maps.Keys(c.Topics)) {
		t, err := c.Topics[name].engineTopic(name, names, c.Middleware)
		if err != nil {
			return none, err
		}
		e.Topics[name] = t
	}
	return e, nil
}

func (t Topic) engineTopic(name string, names tenant.Names, middleware []Middleware) (engine.Topic, error) {
	none := engine.Topic{}
	field := fmt.Sprintf("Topics[%q]", name)
	if _, err := names.Resource(name); err != nil {
		return none, configError(field, "%v", err)
	}
	if strings.HasPrefix(name, "%RETRY%") {
		return none, configError(field, "a retry topic is received by its group itself; name the topics the messages were sent to")
	}
	if t.Handler == nil {
		return none, configError(field+".Handler", "is nil; every topic needs one")
	}
	for i, tag := range t.Tags {
		if tag == "" || tag == "*" || strings.TrimSpace(tag) != tag || strings.Contains(tag, "|") || strings.ContainsFunc(tag, unicode.IsControl) {
			return none, configError(fmt.Sprintf("%s.Tags[%d]", field, i), "%q is no single tag; leave Tags empty to receive all", tag)
		}
	}
	if t.Workers < 0 || t.Workers > maxWorkers {
		return none, configError(field+".Workers", "%d is not between 1 and %d; 0 means %d", t.Workers, maxWorkers, DefaultWorkers)
	}
	if t.Workers == 0 {
		t.Workers = DefaultWorkers
	}
	handle := t.Handler
	for i := len(middleware) - 1; i >= 0; i-- { // the first is the outermost
		if handle = middleware[i](handle); handle == nil {
			return none, configError(fmt.Sprintf("Middleware[%d]", i), "returns nil for topic %s", name)
		}
	}
	return engine.Topic{
		Tags: slices.Clone(t.Tags), Workers: t.Workers, Timeout: orDefault(t.Timeout, DefaultTimeout), Handle: handle,
	}, nil
}

// brokersRetries translates Config.Retries into what the broker takes: below 0 the group's own setting, 0 none.
func brokersRetries(retries int) int {
	switch {
	case retries == 0:
		return -1
	case retries < 0:
		return 0
	}
	return retries
}

// orDefault makes 0 the default and what is negative 0.
func orDefault(d, zero time.Duration) time.Duration {
	if d == 0 {
		return zero
	}
	return max(d, 0)
}
