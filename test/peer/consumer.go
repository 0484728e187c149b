package peer

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// ConsumerConfig says what a push consumer does. NameServers, Group and Topic are required.
type ConsumerConfig struct {
	NameServers []string
	Namespace   string // the library's own; empty means that Group and Topic are physical names
	Group       string
	Topic       string

	Tags     []string // none means all
	Earliest bool     // where a group without offsets begins; false means with what comes
	Orderly  bool
	Workers  int           // 0 means 20
	Work     time.Duration // how long a message takes, in whole milliseconds

	// FailEvery has the first attempt of every k-th message fail, PanicEvery panic (in Java: throw), DeadEvery every k-th
	// message become a dead letter at once (not when Orderly). They count the messages that this process gets for the first
	// time. 0 means none.
	FailEvery, PanicEvery, DeadEvery int

	// Reply, when above 0, has the peer answer each request that it gets, with "re: " and its body, filled up to Reply bytes.
	Reply int

	// Timeout is how long requests may take, as far as the library can be told: client-go only of sends. 0 means the
	// library's own, 3 s; in a test, whose machine may be busy with others, 20 s.
	Timeout time.Duration

	// TraceTopic is the physical topic that the message trace is written to; empty means no trace. Only Java's.
	TraceTopic string

	RetryLevel  int // delay level of failed messages; 0 means 1, which is 1 s; negative leaves it to the broker
	MaxAttempts int // 0 means the library's: 17, or no end when Orderly

	// On is called with each message, one after the other; not when Quiet. It mustn't call the Consumer. May be nil.
	On func(Received)

	// Brief has the peer tell no properties and of a body only what stands before its first space, and no Received kept
	// but handed to On alone: for many messages.
	Brief bool

	Quiet bool     // has the peer count messages rather than tell of each, for benchmarks
	JVM   []string // flags; nil means a small heap and a quick start
}

// Consumer is a push consumer in another process. Its methods are safe for concurrent use.
type Consumer struct {
	process
	brief    bool
	received []Received
	queues   []Queue
	count    int64
}

// StartConsumer starts a push consumer and returns when it has joined its group; its queues come later. What the library
// logs goes to log, which may be nil. Ctx is for the start, building the program included; the process lasts until Stop
// or Kill, or until this process ends.
func (l Library) StartConsumer(ctx context.Context, cfg ConsumerConfig, log io.Writer) (*Consumer, error) {
	command, err := l.build(ctx, cfg.JVM, log)
	if err != nil {
		return nil, err
	}
	return StartConsumer(ctx, l.String(), command, cfg, log)
}

// StartConsumer starts another program that consumes and speaks as Apache's do; it gets the same arguments, behind those
// of command. Name is the program's in errors.
func StartConsumer(ctx context.Context, name string, command []string, cfg ConsumerConfig, log io.Writer) (*Consumer, error) {
	c := &Consumer{process: process{name: name + " consumer of " + cfg.Topic}, brief: cfg.Brief}
	command = append(slices.Clone(command), cfg.flags()...)
	if err := c.start(ctx, command, log, func(e line.Line) { c.on(e, cfg.On) }); err != nil {
		return nil, err
	}
	return c, nil
}

func (cfg ConsumerConfig) flags() []string {
	tags, workers, level := strings.Join(cfg.Tags, "||"), cfg.Workers, cfg.RetryLevel
	if tags == "" {
		tags = "*"
	}
	if workers == 0 {
		workers = 20
	}
	switch {
	case level == 0:
		level = 1
	case level < 0:
		level = 0
	}
	flags := []string{
		"consume", flag("namesrv", strings.Join(cfg.NameServers, ";")), flag("namespace", cfg.Namespace), flag("group", cfg.Group),
		flag("topic", cfg.Topic), flag("tags", tags), flag("earliest", cfg.Earliest), flag("orderly", cfg.Orderly),
		flag("workers", workers), flag("work", fmt.Sprintf("%dms", cfg.Work.Milliseconds())), flag("fail-every", cfg.FailEvery),
		flag("panic-every", cfg.PanicEvery), flag("dead-every", cfg.DeadEvery), flag("retry-level", level), flag("max-attempts", cfg.MaxAttempts), flag("quiet", cfg.Quiet),
		flag("brief", cfg.Brief), flag("timeout-ms", cfg.Timeout.Milliseconds()),
	}
	if cfg.Reply > 0 {
		flags = append(flags, flag("reply", cfg.Reply))
	}
	if cfg.TraceTopic != "" {
		flags = append(flags, flag("trace-topic", cfg.TraceTopic))
	}
	return flags
}

func flag(name string, value any) string { return fmt.Sprintf("-%s=%v", name, value) }

// on takes an event, under the process's lock.
func (c *Consumer) on(e line.Line, got func(Received)) {
	switch e.Verb {
	case line.Got:
		r := receivedOf(e)
		if !c.brief {
			c.received = append(c.received, r)
		}
		c.count++
		if got != nil {
			got(r)
		}
	case line.Count:
		c.count = e.Int("n")
	case line.Queues:
		c.queues = nil
		for _, text := range e.Values["q"] {
			c.queues = append(c.queues, queueOf(text))
		}
	}
}

// Received returns all messages that were handed to the listener, in the order it finished them.
func (c *Consumer) Received() []Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.received)
}

// Count returns how many they are, also when the peer is quiet.
func (c *Consumer) Count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Queues returns the queues of a topic that the library works on, as of 100 ms ago at most.
func (c *Consumer) Queues(topic string) []Queue {
	c.mu.Lock()
	defer c.mu.Unlock()
	var owned []Queue
	for _, q := range c.queues {
		if q.Topic == topic {
			owned = append(owned, q)
		}
	}
	return owned
}

// AwaitReceived waits until done holds of all messages received so far, and returns them.
func (c *Consumer) AwaitReceived(ctx context.Context, what string, done func([]Received) bool) ([]Received, error) {
	err := c.Await(ctx, what, func() bool { return done(c.received) })
	return c.Received(), err
}
