package engine

import (
	"context"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/pool"
)

// Config is what package consumer has validated and completed.
type Config struct {
	Group   string           // logical
	Topics  map[string]Topic // by logical name
	Start   Start
	Retries int           // below 0 leaves it to the group's setting on the broker, and is 16 where order is kept; 0 dead-letters at the first failure
	Drain   time.Duration // how long handlers may go on after the end of Run's context
	Offsets Offsets       // nil: on the brokers alone
	Hooks   []hook.Handler

	Properties func() map[string]string // what running info has besides; nil: nothing

	// Broadcast has every member receive all messages (RocketMQ's model BROADCASTING): it owns all queues, without locks.
	// Brokers keep no positions then, so Offsets is required. What fails isn't retried but dropped; where an order is kept
	// that is once it has been retried in its place as often as Retries says.
	Broadcast bool
}

// Topic is what to do with one topic's messages.
type Topic struct {
	Tags    []string // empty: all
	SQL     string   // an SQL92 expression in place of Tags; empty: none
	Workers int
	Timeout time.Duration // of a handler; 0: none
	Handle  func(context.Context, *rocketkit.Message) error
	Order   Order
	Key     func(*rocketkit.Message) string // of OrderKey; nil: the sharding key

	// HandleBatch, where it is set, gets up to BatchSize messages at once, in place of Handle: as soon as so many are
	// there or the first has waited for BatchWait. Its error holds for the messages that have no verdict of their own.
	HandleBatch func(context.Context, []rocketkit.Message, *Verdicts) error
	BatchSize   int
	BatchWait   time.Duration

	MaxWorkers int           // while messages wait too long for Workers; no more than those: Workers
	GrowAfter  time.Duration // how long that is; 0: the pool's own
}

func (cfg Topic) pool() pool.Config {
	return pool.Config{Core: cfg.Workers, Max: cfg.MaxWorkers, GrowAfter: cfg.GrowAfter}
}

// Start is where a group begins that has no offsets yet.
type Start struct {
	Where StartWhere
	Time  time.Time // of StartTime
}

// StartWhere is a kind of Start.
type StartWhere int

// The kinds of Start.
const (
	StartLatest StartWhere = iota
	StartEarliest
	StartTime
)

// What bounds the memory of a consumer.
const (
	minCached     = 1024      // messages a topic may hold
	cachedPerWork = 4         // or as many for each of its workers, if that is more
	maxBatched    = 1 << 18   // messages a topic may hold, however large its batches
	topicBytes    = 64 << 20  // bytes a topic may hold
	consumerBytes = 256 << 20 // bytes all topics of a consumer may hold
	maxSpan       = 1 << 16   // messages between a queue's oldest unfinished and its newest
	maxInflated   = 64 << 20  // a compressed body may grow to this
	pullBatch     = 32        // a broker gives no more from memory (maxTransferCountOnMessageInMemory)
)

// What takes how long.
const (
	holdPull       = 15 * time.Second       // how long a broker may hold a pull: the Java client's brokerSuspendMaxTimeMillis
	pullTimeout    = 30 * time.Second       // the Java client's consumerTimeoutMillisWhenSuspend
	commitAfter    = 10 * time.Millisecond  // at least, between a broker's rounds of commits: a kill -9 repeats what finished within it
	commitPer      = 10 * time.Microsecond  // and as much longer for each message, so that full speed costs brokers few commits,
	commitBusy     = 50 * time.Millisecond  // but no longer than this
	commitWithin   = time.Second            // at most, however long a round took
	askResetEvery  = 5 * time.Second        // a queue that has no room asks so often whether an operator has moved it
	announceWithin = 30 * time.Second       // how long brokers may take to announce the retry topic they make at the first heartbeat
	rebalanceEvery = 20 * time.Second       // the Java client's rocketmq.client.rebalance.waitInterval
	releaseWithin  = 5 * time.Second        // how long a lost queue waits for a message that is to be retried in its place
	leaveWithin    = 5 * time.Second        // the last commits and the unregistering, after the drain
	afterCancel    = 2 * time.Second        // how long canceled handlers are waited for
	minBackoff     = 100 * time.Millisecond // after the first failure of what is tried again, doubling to maxBackoff
	maxBackoff     = time.Second
)
