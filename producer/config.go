package producer

import (
	"context"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/tenant"
)

const (
	// DefaultGroup is the producer group when Config.Group is empty.
	DefaultGroup = "rocketkit"

	// DefaultMaxMessageSize is the limit of a body in bytes when Config.MaxMessageSize is 0: 4 MiB, what RocketMQ's
	// brokers (maxMessageSize) and its Java client default to.
	DefaultMaxMessageSize = 4 << 20

	// largestMaxMessageSize leaves a frame, at most 16 MiB, room for its header.
	largestMaxMessageSize = 15 << 20
)

// Config says how a Producer sends. The zero Config works.
type Config struct {
	// Group names the producers that do the same work, as brokers and their tools show them (mqadmin
	// producerConnection). Default: "rocketkit". Letters, digits, '_' and '-'.
	Group string

	// MaxMessageSize is the largest body in bytes that Send takes; for SendBatch, the largest sum of bodies, properties
	// and 22 bytes for each message. 0 means DefaultMaxMessageSize, at most 15 MiB. A broker has its own limit
	// (maxMessageSize), which must be as large.
	MaxMessageSize int

	// Compression says which bodies are compressed. The zero value compresses none.
	Compression Compression

	// Check says what became of a transaction whose outcome a broker doesn't know: because the process that ran
	// [Producer.Transact] was killed, its local step returned an error other than a [Rollback], or the broker couldn't be
	// told. Needed for Transact. It looks up, by the message, whether the local step took effect, and returns nil when it
	// did: the message is delivered. A Rollback says that it didn't and never will. Any other error, a panic and a
	// time-out leave the message open: the broker asks again, 15 times in all (transactionCheckMax), each 30 s
	// (transactionCheckInterval), and then gives up and moves the message to its topic TRANS_CHECK_MAX_TIME_TOPIC.
	//
	// A Check that finds no trace must not roll back while the local step may still run, in another process: compare the
	// message's BornTime with how long a step takes at most. Two Checks of one message may run at once, in two processes.
	//
	// With Check, New makes the group known to all brokers that the name servers list, in the background, so that this
	// instance is asked from its start, also about messages of instances that are gone. All producers of the Group, in all
	// processes, must have a Check that can answer for all its topics: a broker asks any one of them. Check is called on
	// many goroutines at once.
	Check func(ctx context.Context, m *rocketkit.Message) error

	// CheckAfter is how old a message of Transact must be before brokers ask about it (property
	// CHECK_IMMUNITY_TIME_IN_SECONDS): how long a local step takes at most. After it the broker doesn't listen to Transact
	// any more but asks, so that no step that is late meets a Check. In seconds, rounded up; at most 5 min, as each 30 s
	// count as one of a broker's 15 checks. 0 leaves it to the broker (transactionTimeOut, 6 s), which listens to Transact
	// at any time.
	CheckAfter time.Duration

	// CheckTimeout is when the context of a Check ends. 0 means 30 s.
	CheckTimeout time.Duration

	// MaxChecks is how many Checks run at once. 0 means 16. Up to 10,000 more wait, with bodies of 64 MiB.
	MaxChecks int

	// Linger has callers of Send and SendAsync share requests. The zero value is off.
	Linger Linger

	// MaxInFlight is how many messages of SendAsync are under way at once, or wait for their turn; more wait in SendAsync.
	// 0 means DefaultMaxInFlight.
	MaxInFlight int
}

func configError(field, format string, args ...any) error {
	return fmt.Errorf("producer: %s: %s: %w", field, fmt.Sprintf(format, args...), rocketkit.ErrConfig)
}

// complete validates the Config and fills in its defaults.
func (c Config) complete(names tenant.Names) (complete Config, physicalGroup string, err error) {
	if c.Group == "" {
		c.Group = DefaultGroup
	}
	if physicalGroup, err = names.Group(c.Group); err != nil {
		return c, "", configError("Group", "%v", err)
	}
	switch {
	case c.MaxMessageSize < 0:
		return c, "", configError("MaxMessageSize", "%d is negative; 0 means %d", c.MaxMessageSize, DefaultMaxMessageSize)
	case c.MaxMessageSize > largestMaxMessageSize:
		return c, "", configError("MaxMessageSize", "%d is too large for a RocketMQ request; at most %d", c.MaxMessageSize, largestMaxMessageSize)
	case c.MaxMessageSize == 0:
		c.MaxMessageSize = DefaultMaxMessageSize
	}
	switch {
	case c.MaxInFlight < 0:
		return c, "", configError("MaxInFlight", "%d is negative; 0 means %d", c.MaxInFlight, DefaultMaxInFlight)
	case c.MaxInFlight == 0:
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.Linger, err = c.Linger.complete(c.MaxMessageSize); err != nil {
		return c, "", err
	}
	return c, physicalGroup, c.completeChecks()
}
