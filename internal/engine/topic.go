package engine

import (
	"context"
	"log/slog"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/pool"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// topic is one subscription: its filter, its pool and what it holds in memory. The group's retry topic is one too,
// without a pool: its messages go to the pools of the topics they were first sent to.
type topic struct {
	name     string // logical
	physical string
	cfg      Topic
	sub      protocol.SubscriptionData
	budget   budget
	live     live
	set      Live             // under e.setting
	pool     *pool.Pool[task] // nil for the retry topic
	batches  *batcher         // nil where messages are handled one by one
	labels   context.Context  //nolint:containedctx // it carries the pprof labels of the topic's handlers and never ends

	unasked map[protocol.Queue]bool // queues whose broker didn't answer when the group's start was set
	fresh   bool                    // the group had no offsets of this topic when Run began
	unkept  map[protocol.Queue]bool // its queues, when Config.Offsets had none of them when Run began

	seats seats  // of running handlers
	times *times // of handlers
	pulls *times // of pulls that brought messages

	handled, failed  atomic.Int64
	received         atomic.Int64 // messages that pulls brought
	heldBack         atomic.Int64 // how often one of its queues had no room for a pull
	hour             hour         // of failed
	warned, unlogged atomic.Int64 // when an error was last a warning, ms; how many since were not
	lastError        atomic.Pointer[failure]
}

// failure is a handler's error.
type failure struct {
	text string
	at   time.Time
}

// task is one message on its way through a pool; without a message it is the token of a batch of the topic.
type task struct {
	queue  *queue
	window *window
	ticket uint64
	topic  *topic // whose handler gets it; nil when the consumer has no handler for it
	raw    *protocol.Message
	size   int32 // of the body as pulled: what it takes of the budget

	tries int32    // how often it was handled and is to be handled again where it stands; its order is kept then
	last  bool     // it is not to be tried again after this time
	lane  *lane    // nil when no order is kept
	next  *task    // who stands behind it in the lane
	unfit *outcome // what it fails with, when its key could not be told
}

func newTopic(e *Engine, name, physical string, cfg Topic) (*topic, error) {
	sub, err := cfg.subscription(physical)
	if err != nil {
		return nil, err
	}
	t := &topic{name: name, physical: physical, cfg: cfg, sub: sub}
	t.budget = budget{
		maxMessages: cfg.room(max(cfg.Workers, cfg.MaxWorkers)),
		maxBytes:    topicBytes,
		shared:      &e.bytes,
	}
	t.set = Live{Workers: cfg.Workers, MaxWorkers: max(cfg.Workers, cfg.MaxWorkers), Timeout: cfg.Timeout}
	t.live.timeout.Store(int64(cfg.Timeout))
	t.seats.group, t.seats.topic = e.cfg.Group, name
	t.times = newTimes(func() (ok, failed int64) { return t.handled.Load(), t.failed.Load() })
	t.pulls = newTimes(func() (ok, failed int64) { return t.received.Load(), 0 })
	t.labels = pprof.WithLabels(context.Background(), pprof.Labels("group", e.cfg.Group, "topic", name))
	switch {
	case cfg.HandleBatch != nil:
		t.pool = pool.New(cfg.pool(), e.process)
		t.batches = newBatcher(cfg.BatchSize, cfg.BatchWait, func() { t.pool.Put(task{topic: t}) })
		t.cfg.Handle = handleAlone(cfg.HandleBatch)
	case cfg.Handle != nil:
		t.pool = pool.New(cfg.pool(), e.process)
	default:
		t.budget.maxMessages = maxSpan // retries of a topic that stands must not keep the others' waiting
	}
	return t, nil
}

// subscription is what the heartbeat and pulls say of the topic.
func (cfg Topic) subscription(physical string) (protocol.SubscriptionData, error) {
	if cfg.SQL != "" {
		return protocol.SubscriptionSQL(physical, cfg.SQL)
	}
	return protocol.SubscriptionFor(physical, strings.Join(cfg.Tags, "||"))
}

// wants tells whether the subscription asks for the message. Brokers filter tags by their hash, which others share.
func (t *topic) wants(m *protocol.Message) bool {
	if len(t.sub.Tags) == 0 {
		return true
	}
	tag, _ := m.Properties.Get(protocol.PropertyTags)
	return t.sub.Matches(tag)
}

// failedWith notes a handler's error and says how loudly to log it: a topic of which every message fails must not flood
// the log, so each second has one warning, which tells how many errors before it were logged for debugging only.
func (t *topic) failedWith(text string) (level slog.Level, unlogged int64) {
	at := time.Now()
	t.failed.Add(1)
	t.hour.add(at)
	t.lastError.Store(&failure{text, at})
	now, last := at.UnixMilli(), t.warned.Load()
	if now-last < time.Second.Milliseconds() || !t.warned.CompareAndSwap(last, now) {
		t.unlogged.Add(1)
		return slog.LevelDebug, 0
	}
	return slog.LevelWarn, t.unlogged.Swap(0)
}
