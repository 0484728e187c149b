package reader

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// Config says what a Reader reads and from where. Topic is required.
type Config struct {
	// Topic is the topic to read, by its logical name. A group's retry or dead-letter topic ("%DLQ%billing") can be read
	// like any other.
	Topic string

	// Queues are those to read. None means all, those included that the topic gains while it is read. A queue that the
	// topic gains and that isn't named is reported, in Stats and in the log.
	Queues []rocketkit.Queue

	// Positions is where queues begin: the offset of the first message wanted, as Reader.Positions gave it. An offset that
	// the broker no longer has is moved to the oldest it has; see Moved.
	Positions map[rocketkit.Queue]int64

	// Start is where the queues begin that Positions has none of. The zero value is Latest. Who restarts from a checkpoint
	// wants Earliest: what Positions lacks is then a queue that the topic has gained since. Queues that appear while
	// the topic is read begin at their oldest message, whatever Start says, as do those of a broker that was away at first.
	Start Start

	// Tags are those of the messages wanted; none means all.
	Tags []string

	// SQL is an SQL92 expression over properties that messages have to fulfill, instead of Tags. Empty means all. Brokers
	// refuse it unless they run with enablePropertyFilter.
	SQL string

	// Group is the name that requests for messages bear, by its logical name. Brokers hand out messages only to a group that
	// exists, look up their limits by it, and, with ACLs, ask for the right to Sub it. Empty means RocketMQ's own for tools,
	// TOOLS_CONSUMER, which every broker has. Never name a group that has members: an operator's reset of it
	// could reach this Reader, which ignores it, instead of the member that owns the queue.
	Group string

	// BufferMessages and BufferBytes bound what is received and not yet given to the loop. A queue asks for more only while
	// both have room or nothing of it is buffered, so that each queue may exceed them by one answer: 32 messages, of
	// 256 KiB together when they are more than one. 0 means 4096 messages, and 64 MiB.
	BufferMessages int
	BufferBytes    int64

	// Moved is called when the broker moves the position of a queue, because it has deleted the messages there or has lost
	// its newest ones. It runs on the loop's goroutine, after the last message before the gap and before the first
	// behind it. Nil means not at all; the log and Stats tell it in any case.
	Moved func(Move)
}

// What zero values mean.
const (
	DefaultBufferMessages = 4096
	DefaultBufferBytes    = 64 << 20
)

// toolsGroup exists on every broker, also where groups have to be created (SubscriptionGroupManager.init), and pulls
// under it are never refused as a foreign pull consumer's (MixAll.isSysConsumerGroupPullMessage).
const toolsGroup = "TOOLS_CONSUMER"

// Move is a jump of a queue's position that the broker asked for.
type Move struct {
	Queue rocketkit.Queue
	From  int64 // the offset that was asked for
	To    int64 // the offset that is read next
}

// Skipped returns how many offsets were passed over unread; 0 when the queue went back.
func (m Move) Skipped() int64 { return max(0, m.To-m.From) }

// Start is where queues begin that have no position yet: Latest, Earliest or At.
type Start struct {
	where startWhere
	time  time.Time // of startTime
}

type startWhere int

const (
	startLatest startWhere = iota
	startEarliest
	startTime
)

// Latest begins with what is stored after the loop has begun; Reader.Ready tells from when on exactly. It is the zero
// Start.
func Latest() Start { return Start{} }

// Earliest begins with the oldest message that the brokers still have.
func Earliest() Start { return Start{where: startEarliest} }

// At begins with the first message stored at t or after, by the brokers' clocks. Brokers before 5.0 find the nearest
// message instead, so that a queue may begin with one that is earlier.
func At(t time.Time) Start { return Start{where: startTime, time: t} }

func configError(field, format string, args ...any) error {
	return fmt.Errorf("reader: %s: %s: %w", field, fmt.Sprintf(format, args...), rocketkit.ErrConfig)
}

// complete validates the Config and fills a copy's defaults in.
func (c Config) complete(names tenant.Names) (Config, error) {
	if _, err := names.Resource(c.Topic); err != nil {
		return c, configError("Topic", "%v", err)
	}
	if c.Group != "" {
		if _, err := names.Group(c.Group); err != nil {
			return c, configError("Group", "%v", err)
		}
	}
	if err := c.checkQueues(); err != nil {
		return c, err
	}
	if c.Start.where == startTime && c.Start.time.IsZero() {
		return c, configError("Start", "At the zero time; use Earliest to begin with the oldest message")
	}
	if err := c.checkFilter(); err != nil {
		return c, err
	}
	if c.BufferMessages < 0 {
		return c, configError("BufferMessages", "%d is negative; 0 means %d", c.BufferMessages, DefaultBufferMessages)
	}
	if c.BufferBytes < 0 {
		return c, configError("BufferBytes", "%d is negative; 0 means %d", c.BufferBytes, DefaultBufferBytes)
	}
	if c.BufferMessages == 0 {
		c.BufferMessages = DefaultBufferMessages
	}
	if c.BufferBytes == 0 {
		c.BufferBytes = DefaultBufferBytes
	}
	c.Queues, c.Positions, c.Tags = slices.Clone(c.Queues), maps.Clone(c.Positions), slices.Clone(c.Tags)
	return c, nil
}

func (c Config) checkQueues() error {
	for i, q := range c.Queues {
		field := fmt.Sprintf("Queues[%d]", i)
		if why := c.badQueue(q); why != "" {
			return configError(field, "%s %s", q, why)
		}
		if slices.Contains(c.Queues[:i], q) {
			return configError(field, "%s is named twice", q)
		}
	}
	for q, offset := range c.Positions {
		field := fmt.Sprintf("Positions[%s]", q)
		if why := c.badPosition(q, offset); why != "" {
			return configError(field, "%s", why)
		}
	}
	return nil
}

func (c Config) badQueue(q rocketkit.Queue) string {
	switch {
	case q.Topic != c.Topic:
		return fmt.Sprintf("is of another topic than %s", c.Topic)
	case q.Broker == "":
		return "has no broker's name"
	case q.ID < 0 || q.ID > maxQueue:
		return fmt.Sprintf("has no number from 0 to %d", maxQueue)
	}
	return ""
}

const maxQueue = 1<<31 - 1 // what a request can hold

// badPosition says why a queue can't be read from an offset.
func (c Config) badPosition(q rocketkit.Queue, offset int64) string {
	switch why := c.badQueue(q); {
	case why != "":
		return "the queue " + why
	case offset < 0:
		return fmt.Sprintf("offset %d is negative", offset)
	case len(c.Queues) > 0 && !slices.Contains(c.Queues, q):
		return "the queue isn't among Config.Queues"
	}
	return ""
}

func (c Config) checkFilter() error {
	for i, tag := range c.Tags {
		if !protocol.IsTag(tag) {
			return configError(fmt.Sprintf("Tags[%d]", i), "%q is no single tag; leave Tags empty to receive all", tag)
		}
	}
	switch {
	case c.SQL == "":
	case len(c.Tags) > 0:
		return configError("SQL", "a filter is either by Tags or by SQL")
	case strings.TrimSpace(c.SQL) == "":
		return configError("SQL", "the expression is blank; leave it empty to receive all")
	}
	return nil
}
