package consumer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/engine"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// Config says what a consumer receives and how. Group and Topics are required.
type Config struct {
	// Group is the consumer group, by its logical name. Its members share each topic's queues; all of them must have the
	// same Topics with the same Tags or SQL, or RocketMQ loses messages: Stats.Differing and the log name members that
	// don't. One Client holds at most one member of a group.
	Group string

	// Topics are the topics to receive and what handles them, by logical name. A dead-letter topic, "%DLQ%" and the name
	// of a group, can be received like any other.
	Topics map[string]Topic

	// Start is where the group begins in a topic that it has no offsets of. The zero value is Latest.
	// Queues that a topic gains later begin at their oldest message.
	Start Start

	// Retries is how often a failing message is delivered again before it goes to the dead-letter topic.
	// 0 means the group's setting on the broker, 16 unless an operator changed it; negative means none: the first
	// failure dead-letters. Where a topic's Order keeps a failing message in its place, 0 means 16, whatever the broker's
	// setting.
	Retries int

	// MaxAttempts is the most attempts that a settings document may ask for that isn't signed, see [Settings]. 0 means 16
	// times what Retries come to with the first; at most 10,000. More on this at Topic.Bounds.
	MaxAttempts int

	// Drain is how long running handlers may go on after the end of Run's context, before theirs ends too. For as long
	// another member that gains a queue waits for those that run here; what takes longer is delivered to it again.
	// 0 means 30 s; negative means not at all.
	Drain time.Duration

	// Offsets keeps the group's positions elsewhere than on the brokers. Nil means on the brokers alone.
	Offsets Offsets

	// Middleware wraps the Handlers of all topics; the first is the outermost. It doesn't wrap batch handlers: where a
	// topic has a Batch, BatchMiddleware must not be nil, so that what all messages need isn't left out unnoticed.
	Middleware []Middleware

	// BatchMiddleware wraps the batch handlers of all topics; the first is the outermost. An empty slice that isn't nil
	// says that they need none beside a Middleware.
	BatchMiddleware []BatchMiddleware

	// Settings is where the group's settings document comes from, which changes the Topics' settings while the Consumer
	// runs. Nil means from the name servers, and nowhere when the Client's Settings.Off says so.
	Settings dynconf.Source

	adjust func(*engine.Config)
}

// Adjusted returns the Config with a last say over the settings that are made of it. It is for rocketkit's own packages,
// which need what Config has no field for: its parameter's type is internal.
func (c Config) Adjusted(adjust func(*engine.Config)) Config {
	c.adjust = adjust
	return c
}

// Topic says how one topic is received. It needs a Handler or a Batch.Handler, not both.
type Topic struct {
	// Handler is called for each message.
	Handler Handler

	// Batch has the messages handled several at once, in place of Handler; not with an Order.
	Batch Batching

	// Tags are those of the messages wanted; none means all.
	Tags []string

	// SQL is an SQL92 expression over the messages' properties, such as "region = 'eu' AND amount > 5", in place of
	// Tags; empty means none. Brokers filter by it only with enablePropertyFilter=true, which is not their default. Run
	// asks them before it consumes anything, and returns an error that wraps rocketkit.ErrConfig when one doesn't, or can't
	// read the expression. Retried messages aren't filtered again.
	SQL string

	// Workers is how many messages are handled at once; with Batch, how many batches. 0 means 16; at most 65,536.
	Workers int

	// MaxWorkers is how many are while messages wait: each that has waited for 200 ms because all workers are busy gets one
	// more, which goes again once it was idle for 60 s. 0 means as many as Workers, so that their number is fixed; at most
	// 65,536. The topic holds up to 1,024 messages in memory, or 4 for each of MaxWorkers if that is more.
	MaxWorkers int

	// Timeout is how long a handler may take before its context ends, counted from its start: for a message, or for a
	// batch as a whole. 0 means 1 min; negative means none.
	Timeout time.Duration

	// Order says which messages are handled one after the other. 0 is OrderNone: none. It goes with a Handler only.
	Order Order

	// Key tells a message's key, for OrderKey only; an empty key is none. nil means Message.ShardingKey. All messages of
	// a key must lie in one queue, as they do when the producer's ShardingKey is this key, or follows from it. Key is called
	// once for each message as it is received, by one goroutine per queue, so it must be quick and safe for concurrent
	// use; a compressed message is decompressed for it once more. A message of which Key panics fails with that on each
	// attempt, among those that have no key.
	Key func(*rocketkit.Message) string

	// Bounds are how far a settings document may move these settings that isn't signed. The zero value means up to 16 times
	// the numbers here.
	Bounds Bounds
}

// What zero values mean.
const (
	DefaultWorkers = 16
	DefaultTimeout = time.Minute
	DefaultDrain   = 30 * time.Second
)

const (
	maxWorkers     = 1 << 16
	defaultRetries = 16 // of a group, unless an operator has changed it (SubscriptionGroupConfig.retryMaxTimes)
)

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
	if i := slices.IndexFunc(c.BatchMiddleware, func(m BatchMiddleware) bool { return m == nil }); i >= 0 {
		return none, configError(fmt.Sprintf("BatchMiddleware[%d]", i), "is nil")
	}
	if c.Retries > math.MaxInt32 {
		return none, configError("Retries", "%d is more than a broker can count to, %d", c.Retries, math.MaxInt32)
	}
	if c.MaxAttempts < 0 || c.MaxAttempts > maxAttempts {
		return none, configError("MaxAttempts", "%d is not between 1 and %d; 0 means %d times as many as Retries come to", c.MaxAttempts, maxAttempts, boundFactor)
	}
	if c.Start.at.Where == engine.StartTime && c.Start.at.Time.IsZero() {
		return none, configError("Start", "At the zero time; use Earliest to begin with the oldest message")
	}
	e := engine.Config{
		Group: c.Group, Start: c.Start.at, Retries: brokersRetries(c.Retries),
		Drain: orDefault(c.Drain, DefaultDrain), Offsets: c.Offsets, Topics: make(map[string]engine.Topic, len(c.Topics)),
	}
	for _, name := range slices.Sorted(maps.Keys(c.Topics)) {
		t, err := c.engineTopic(name, names)
		if err != nil {
			return none, err
		}
		e.Topics[name] = t
	}
	if c.adjust != nil {
		c.adjust(&e)
	}
	return e, nil
}

func (c Config) engineTopic(name string, names tenant.Names) (engine.Topic, error) {
	none := engine.Topic{}
	t, field := c.Topics[name], fmt.Sprintf("Topics[%q]", name)
	if _, err := names.Resource(name); err != nil {
		return none, configError(field, "%v", err)
	}
	if strings.HasPrefix(name, "%RETRY%") {
		return none, configError(field, "a retry topic is received by its group itself; name the topics the messages were sent to")
	}
	if err := t.checkFilter(field); err != nil {
		return none, err
	}
	if err := t.checkWorkers(field); err != nil {
		return none, err
	}
	if err := t.Bounds.validate(field + ".Bounds"); err != nil {
		return none, err
	}
	if !t.Order.valid() {
		return none, configError(field+".Order", "%d is none of OrderNone, OrderKey and OrderQueue", t.Order)
	}
	if t.Key != nil && t.Order != OrderKey {
		return none, configError(field+".Key", "is set, but Order isn't OrderKey, which alone uses it")
	}
	e := engine.Topic{
		Tags: slices.Clone(t.Tags), SQL: t.SQL, Workers: t.Workers, MaxWorkers: t.MaxWorkers, Timeout: orDefault(t.Timeout, DefaultTimeout),
		Order: t.Order.engine(), Key: t.Key,
	}
	err := c.setHandler(&e, t, name, field)
	return e, err
}

// setHandler gives the engine's topic its handler, with the middleware around it.
func (c Config) setHandler(e *engine.Topic, t Topic, name, field string) (err error) {
	switch {
	case t.Handler != nil && t.Batch.Handler != nil:
		return configError(field+".Batch", "has a handler, and so has the topic: messages go to one of them")
	case t.Batch.Handler != nil && t.Order != OrderNone:
		return configError(field+".Batch", "goes with OrderNone only: a batch's messages are handled together")
	case t.Batch.Handler != nil:
		return c.setBatch(e, t.Batch, name, field)
	case t.Batch.Size != 0 || t.Batch.Wait != 0:
		return configError(field+".Batch.Handler", "is nil, but Size or Wait is set")
	case t.Handler == nil:
		return configError(field+".Handler", "is nil; every topic needs one, or a Batch.Handler")
	}
	e.Handle, err = wrap(t.Handler, c.Middleware, "Middleware", name)
	return err
}

// wrap puts middleware around a handler.
func wrap[H ~func(A, B) error, M ~func(H) H, A, B any](handler H, middleware []M, field, topic string) (H, error) {
	for i := len(middleware) - 1; i >= 0; i-- { // the first is the outermost
		if handler = middleware[i](handler); handler == nil {
			return nil, configError(fmt.Sprintf("%s[%d]", field, i), "returns nil for topic %s", topic)
		}
	}
	return handler, nil
}

// checkFilter looks at Tags and SQL, at most one of which may be given.
func (t Topic) checkFilter(field string) error {
	for i, tag := range t.Tags {
		if !protocol.IsTag(tag) {
			return configError(fmt.Sprintf("%s.Tags[%d]", field, i), "%q is no single tag; leave Tags empty to receive all", tag)
		}
	}
	switch {
	case t.SQL == "":
		return nil
	case strings.TrimSpace(t.SQL) == "":
		return configError(field+".SQL", "is blank; leave it empty to receive all")
	case len(t.Tags) > 0:
		return configError(field+".SQL", "is given beside Tags: a broker filters by one of them; in SQL a message's tag is TAGS")
	}
	return nil
}

// checkWorkers fills in how many there are and may be.
func (t *Topic) checkWorkers(field string) error {
	if t.Workers < 0 || t.Workers > maxWorkers {
		return configError(field+".Workers", "%d is not between 1 and %d; 0 means %d", t.Workers, maxWorkers, DefaultWorkers)
	}
	if t.Workers == 0 {
		t.Workers = DefaultWorkers
	}
	if t.MaxWorkers == 0 {
		t.MaxWorkers = t.Workers
	}
	if t.MaxWorkers < t.Workers || t.MaxWorkers > maxWorkers {
		return configError(field+".MaxWorkers", "%d is not between Workers, which is %d, and %d; 0 means as many as Workers",
			t.MaxWorkers, t.Workers, maxWorkers)
	}
	return nil
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
