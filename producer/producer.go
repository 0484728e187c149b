package producer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
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
	// Compression says which bodies are compressed. The zero value compresses none.
	Compression Compression
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
	return c, physicalGroup, c.completeChecks()
}

// Producer sends messages for the tenant of its Client. Make it with New, one per process and group, and Close it before
// its Client. The zero Producer is not usable. All methods are safe for concurrent use.
type Producer struct {
	view   *cluster.View
	cfg    Config
	group  string // physical
	hooks  []hook.Sender
	ids    *protocol.IDs
	sender *send.Sender

	checks *transactions // nil without Config.Check

	deflater   *protocol.Deflater // nil without compression
	sends      gate
	counters   counters
	membership membership
	scratch    sync.Pool // *[]byte, for properties

	mu     sync.RWMutex
	topics map[string]*send.Topic // by logical name; only those that a message was stored in

	requests requests
	replyTo  sync.Map // a cluster's *send.Topic for replies, by the cluster's name
}

// New makes a Producer that sends through client. It validates and sends nothing: brokers are connected by the first
// Send, or with Config.Check in the background. An invalid cfg gives an error that names the field and wraps [rocketkit.ErrConfig].
func New(client *rocketkit.Client, cfg Config) (*Producer, error) {
	if client == nil {
		return nil, configError("client", "nil; open one with rocketkit.Open")
	}
	view := client.Cluster()
	cfg, group, err := cfg.complete(view.Names)
	if err != nil {
		return nil, err
	}
	var deflater *protocol.Deflater
	if cfg.Compression, deflater, err = cfg.Compression.complete(); err != nil {
		return nil, err
	}
	p := &Producer{
		view:       view,
		cfg:        cfg,
		group:      group,
		ids:        protocol.NewIDs(address(client.ID()), os.Getpid()),
		sender:     send.New(view),
		deflater:   deflater,
		sends:      gate{idle: make(chan struct{})},
		membership: membership{view: view, member: cluster.Member{Group: group}},
		scratch:    sync.Pool{New: func() any { return new([]byte) }},
		topics:     map[string]*send.Topic{},
	}
	if cfg.Check != nil {
		p.checks = newTransactions(p)
		p.membership.serve(p.checks)
	}
	return p, nil
}

// address reads the IP out of a client id, ip@instance; without one it is the zero Addr.
func address(clientID string) netip.Addr {
	ip, _, _ := strings.Cut(clientID, "@")
	addr, _ := netip.ParseAddr(ip)
	return addr
}

// Send stores one message and tells where. It returns when a broker has it, when it can't be sent at all, or when ctx has
// ended; it starts no goroutine to go on. The message isn't changed, and sending it again is safe; its Body, Keys and
// Properties mustn't change until Send returns.
//
// Errors name the topic and the cause. When ctx has ended, the error wraps both ctx's and that of the last attempt; when
// no name server knows the topic, [rocketkit.ErrNoRoute]; after Close, [rocketkit.ErrClosed]. [rocketkit.Code] gives the
// code and remark of a broker's refusal. Whether the message was stored isn't known after a [Retryable] error.
func (p *Producer) Send(ctx context.Context, m Message) (Receipt, error) {
	if !p.sends.enter() {
		return Receipt{}, fmt.Errorf("producer: send: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	topic, err := p.topic(m.Topic)
	if err != nil {
		return Receipt{}, fmt.Errorf("producer: send: Topic: %w", err)
	}
	if err := m.check(p.cfg.MaxMessageSize); err != nil {
		return Receipt{}, fmt.Errorf("producer: send %s: %w", m.Topic, err)
	}
	id := p.idOf(&m)
	ctx, w := p.watch(ctx, hook.Send, false, []Message{m}, id)
	result, err := p.sendOne(ctx, topic, &m, id, w.added(0), &send.Request{})
	w.sent(result, err)
	if err != nil {
		return Receipt{}, err
	}
	return receipt(m.Topic, id, result), nil
}

// sendOne encodes a message that has been checked, and sends it; how says what isn't the message's own.
func (p *Producer) sendOne(ctx context.Context, topic *send.Topic, m *Message, id string, added []hook.Property, how *send.Request) (send.Result, error) {
	scratch := p.scratch.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	defer p.scratch.Put(scratch)
	r, err := p.request(scratch, m, id, added)
	if err != nil {
		return send.Result{}, fmt.Errorf("producer: send %s: %w", m.Topic, err)
	}
	r.Reply, r.First = how.Reply, how.First
	return p.send(ctx, m.Topic, topic, &r)
}

// SendBatch stores messages of one topic together, in their order, in one queue, with one request (SEND_BATCH_MESSAGE
// 320): all of them or none. It returns a receipt for each, and is like [Producer.Send] otherwise. All must have the same
// ShardingKey, or none, and the same Queue; none may be delayed, as brokers don't delay batches. Together they may be as large as
// one message, see Config.MaxMessageSize. No messages are stored at once.
func (p *Producer) SendBatch(ctx context.Context, messages []Message) ([]Receipt, error) {
	if !p.sends.enter() {
		return nil, fmt.Errorf("producer: send batch: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	if len(messages) == 0 {
		return nil, nil
	}
	name := messages[0].Topic
	topic, err := p.topic(name)
	if err != nil {
		return nil, fmt.Errorf("producer: send batch: message 0: Topic: %w", err)
	}
	if err := p.checkBatch(messages); err != nil {
		return nil, fmt.Errorf("producer: send batch %s: %w", name, err)
	}
	ids := p.newIDs(len(messages))
	ctx, w := p.watch(ctx, hook.Send, true, messages, ids...)
	result, err := p.sendMany(ctx, topic, messages, ids, w)
	w.sent(result, err)
	if err != nil {
		return nil, err
	}
	return batchReceipts(name, ids, result), nil
}

// sendMany encodes messages that have been checked as a batch, and sends it.
func (p *Producer) sendMany(ctx context.Context, topic *send.Topic, messages []Message, ids []string, w *watched) (send.Result, error) {
	body, err := p.encodeBatch(messages, ids, w)
	if err != nil {
		return send.Result{}, fmt.Errorf("producer: send batch %s: %w", messages[0].Topic, err)
	}
	return p.send(ctx, messages[0].Topic, topic, &send.Request{
		Group: p.group, Body: body, ID: ids[0], Messages: len(messages), Batch: true, ShardingKey: messages[0].ShardingKey, Queue: messages[0].queue(),
	})
}

// send sends, and does what the first stored message calls for.
func (p *Producer) send(ctx context.Context, name string, topic *send.Topic, r *send.Request) (send.Result, error) {
	begun := time.Now()
	result, err := topic.Send(ctx, r)
	p.counters.note(name, r, &result, begun, err)
	if err != nil {
		return result, fmt.Errorf("producer: %w", err)
	}
	p.membership.join()
	if !r.Reply {
		p.keep(name, topic)
	}
	return result, nil
}

// topic returns what to send to a logical topic with.
func (p *Producer) topic(name string) (*send.Topic, error) {
	p.mu.RLock()
	t := p.topics[name]
	p.mu.RUnlock()
	if t != nil {
		return t, nil
	}
	physical, err := p.view.Names.Topic(name)
	if err != nil {
		return nil, err
	}
	if tenant.IsSystemTopic(name) {
		return nil, fmt.Errorf("%s is RocketMQ's own and shared by all tenants: choose another", name)
	}
	return p.sender.Topic(physical), nil
}

// keep remembers a topic that exists; those that don't could be any number.
func (p *Producer) keep(name string, topic *send.Topic) {
	p.mu.RLock()
	known := p.topics[name] != nil
	p.mu.RUnlock()
	if known {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.topics[name] == nil {
		p.topics[strings.Clone(name)] = topic
	}
}

// Close refuses new sends, waits for those under way, and for Checks that run, and takes the Producer off the brokers' lists. When ctx ends first,
// Close returns an error that wraps ctx's, while those sends go on under their own contexts and those Checks' contexts end. It may be called again, to
// wait once more. The Client stays open.
func (p *Producer) Close(ctx context.Context) error {
	p.sends.close()
	var err error
	select {
	case <-p.sends.idle:
	case <-ctx.Done():
		if n := p.sends.inside(); n > 0 {
			err = fmt.Errorf("producer: close: sends still under way: %d: %w", n, context.Cause(ctx))
		}
	}
	if p.checks != nil {
		err = errors.Join(err, p.checks.close(ctx))
	}
	p.membership.leave(ctx)
	return err
}

// Retryable tells whether sending the same message again may succeed: true for trouble of transport, busy or unavailable
// brokers, a topic whose masters are all away, and for a context that ended; false for nil, a message or topic that was
// refused, bad input and a closed Producer. Send itself has retried for as long as its context let it, so this is for
// callers who keep messages to send them later. The message may have been stored already.
func Retryable(err error) bool {
	var failure *send.Error
	return errors.As(err, &failure) && failure.Retryable
}
