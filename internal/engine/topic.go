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
	pool     *pool.Pool[task] // nil for the retry topic
	labels   context.Context  //nolint:containedctx // it carries the pprof labels of the topic's handlers and never ends

	unasked map[protocol.Queue]bool // queues whose broker didn't answer when the group's start was set
	fresh   bool                    // the group had no offsets of this topic when Run began
	unkept  map[protocol.Queue]bool // its queues, when Config.Offsets had none of them when Run began

	handled, failed  atomic.Int64
	warned, unlogged atomic.Int64 // when an error was last a warning, ms; how many since were not
	lastError        atomic.Pointer[string]
}

// task is one message on its way through a pool.
type task struct {
	queue  *queue
	window *window
	ticket uint64
	topic  *topic // whose handler gets it; nil when the consumer has no handler for it
	raw    *protocol.Message
	size   int32 // of the body as pulled: what it takes of the budget
}

func newTopic(e *Engine, name, physical string, cfg Topic) (*topic, error) {
	sub, err := protocol.SubscriptionFor(physical, strings.Join(cfg.Tags, "||"))
	if err != nil {
		return nil, err
	}
	t := &topic{name: name, physical: physical, cfg: cfg, sub: sub}
	t.budget = budget{
		maxMessages: max(minCached, cachedPerWork*cfg.Workers),
		maxBytes:    topicBytes,
		shared:      &e.bytes,
	}
	t.labels = pprof.WithLabels(context.Background(), pprof.Labels("group", e.cfg.Group, "topic", name))
	if cfg.Handle != nil {
		t.pool = pool.New(cfg.Workers, e.process)
	} else {
		t.budget.maxMessages = maxSpan // retries of a topic that stands must not keep the others' waiting
	}
	return t, nil
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
	t.failed.Add(1)
	t.lastError.Store(&text)
	now, last := time.Now().UnixMilli(), t.warned.Load()
	if now-last < time.Second.Milliseconds() || !t.warned.CompareAndSwap(last, now) {
		t.unlogged.Add(1)
		return slog.LevelDebug, 0
	}
	return slog.LevelWarn, t.unlogged.Swap(0)
}
