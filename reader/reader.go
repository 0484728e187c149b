package reader

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Reader reads one topic. Make it with New, range over Messages. Its other methods may be called at any time, from any
// goroutine.
type Reader struct {
	cfg   Config
	view  *cluster.View
	log   *slog.Logger
	group string // physical
	topic string // physical
	sub   protocol.SubscriptionData

	derived bool // a group's retry or dead-letter topic, whose messages were first sent to others

	reading atomic.Bool   // a loop runs
	ready   chan struct{} // closed once every queue's position is known

	mu        sync.Mutex
	positions map[rocketkit.Queue]int64 // of queues that haven't been met yet
	queues    map[rocketkit.Queue]*queue
	loop      *loop                    // the one that runs; nil when none does
	routed    bool                     // the topic's queues are known: those that come later are new
	seen      map[rocketkit.Queue]bool // queues of the topic that Config.Queues doesn't name
	unread    []rocketkit.Queue        // those of them that the topic has gained
	waits     string                   // what the start of the loop waits for
}

// What takes how long.
const (
	holdPull    = 15 * time.Second       // how long a broker may hold a pull: the Java client's brokerSuspendMaxTimeMillis
	pullTimeout = 30 * time.Second       // the Java client's consumerTimeoutMillisWhenSuspend
	minBackoff  = 100 * time.Millisecond // after the first failure of what is tried again, doubling to maxBackoff
	maxBackoff  = time.Second
)

const (
	pullBatch   = 32       // a broker gives no more from memory (maxTransferCountOnMessageInMemory)
	maxInflated = 64 << 20 // a compressed body may grow to this
)

// New validates cfg and makes a Reader; it sends nothing. What is wrong with cfg gives an error that names the field and
// wraps rocketkit.ErrConfig.
func New(client *rocketkit.Client, cfg Config) (*Reader, error) {
	if client == nil {
		return nil, configError("client", "is nil; make one with rocketkit.Open")
	}
	view := client.Cluster()
	cfg, err := cfg.complete(view.Names)
	if err != nil {
		return nil, err
	}
	r := &Reader{
		cfg: cfg, view: view, group: toolsGroup,
		log:       view.LogOf("reader", cfg.Topic),
		ready:     make(chan struct{}),
		positions: map[rocketkit.Queue]int64{},
		queues:    map[rocketkit.Queue]*queue{},
		seen:      map[rocketkit.Queue]bool{},
	}
	for q, offset := range cfg.Positions {
		r.positions[q] = offset
	}
	if r.topic, err = view.Names.Resource(cfg.Topic); err != nil {
		return nil, configError("Topic", "%v", err)
	}
	r.derived = strings.HasPrefix(cfg.Topic, "%")
	if cfg.Group != "" {
		if r.group, err = view.Names.Group(cfg.Group); err != nil {
			return nil, configError("Group", "%v", err)
		}
	}
	filter := "Tags"
	if cfg.SQL != "" {
		filter = "SQL"
		r.sub, err = protocol.SubscriptionSQL(r.topic, cfg.SQL)
	} else {
		r.sub, err = protocol.SubscriptionFor(r.topic, strings.Join(cfg.Tags, "||"))
	}
	if err != nil {
		return nil, configError(filter, "%v", err)
	}
	return r, nil
}

// Messages returns an iterator over the messages, which ends when ctx does, without an error. One that ends otherwise
// ends with its only error, beside a nil message:
//
//   - the topic doesn't exist (rocketkit.ErrNoRoute), or one of Config.Queues doesn't;
//   - the Client was closed (rocketkit.ErrClosed), or another loop over this Reader runs;
//   - a broker refuses for good (rocketkit.Code): no permission, no such Config.Group, no SQL filters. Of a queue
//     that was read before, only a closed Client is for good: what was allowed once will be again;
//   - a message can't be decoded or decompressed. The error names its queue and offset; Seek behind it to go on.
//
// All other trouble, with name servers, brokers or the network, is retried for as long as it lasts, logged once, and shown
// in Stats; a queue whose broker is away holds up no other.
//
// The body of the loop gets one message at a time; while it works, no more is received than Config's buffer holds.
// However a loop ends, a later one over the same Reader goes on at Positions.
func (r *Reader) Messages(ctx context.Context) iter.Seq2[*rocketkit.Message, error] {
	return func(yield func(*rocketkit.Message, error) bool) {
		if r.reading.Swap(true) {
			yield(nil, fmt.Errorf("reader: topic %s: another loop over this Reader runs", r.cfg.Topic))
			return
		}
		defer r.reading.Store(false)
		err := r.read(ctx, func(m *rocketkit.Message) bool { return yield(m, nil) })
		if err != nil && ctx.Err() == nil {
			yield(nil, fmt.Errorf("reader: topic %s: %w", r.cfg.Topic, err))
		}
	}
}

// Ready returns a channel that is closed once the position of every queue is known: what is stored from then on is read,
// also with Latest, and Positions lacks no queue. The first loop closes it.
func (r *Reader) Ready() <-chan struct{} { return r.ready }

// read is one loop: it pulls until ctx ends, give refuses or something fails for good.
func (r *Reader) read(ctx context.Context, give func(*rocketkit.Message) bool) error {
	ctx, stop := context.WithCancel(ctx)
	l := newLoop(r)
	defer l.end()
	defer stop()
	again := make(chan struct{}, 1)
	stopWatching := r.view.Routes().Watch(func(topic string) {
		if topic == r.topic {
			wake(again)
		}
	})
	defer stopWatching()
	if err := r.meet(ctx, l); err != nil {
		return err
	}
	l.working.Go(func() { r.follow(ctx, l, again) })
	for {
		m, move, err := l.next(ctx)
		switch {
		case err != nil:
			return err
		case move != nil:
			if r.cfg.Moved != nil {
				r.cfg.Moved(*move)
			}
		case !give(m):
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// wake gives a waiting goroutine its one token.
func wake(waiting chan struct{}) {
	select {
	case waiting <- struct{}{}:
	default:
	}
}
