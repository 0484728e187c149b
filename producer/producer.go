package producer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
	"github.com/rocketkit/rocketkit/internal/telemetry"
	"github.com/rocketkit/rocketkit/internal/trace"
	"github.com/rocketkit/rocketkit/tenant"
)

// Producer sends messages for the tenant of its Client. Make it with New, one per process and group, and Close it before
// its Client. The zero Producer is not usable. All methods are safe for concurrent use.
type Producer struct {
	view   *cluster.View
	cfg    Config
	group  string // physical
	hooks  []hook.Sender
	trace  *trace.Recorder // one of the hooks; nil when off
	ids    *protocol.IDs
	sender *send.Sender

	deflater *protocol.Deflater // nil without compression
	checks   *transactions      // nil without Config.Check

	sends      gate
	counters   counters
	membership membership
	scratch    sync.Pool // *[]byte, for properties
	lines      lines
	waitings   sync.Pool // *waiting
	async      async

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
		waitings:   sync.Pool{New: func() any { return &waiting{ready: make(chan struct{}, 1)} }},
		async:      async{room: semaphore.NewWeighted(int64(cfg.MaxInFlight)), most: cfg.MaxInFlight, log: view.Log()},
	}
	p.lines = lines{p: p, all: map[string]*line{}}
	if !view.Unwatched {
		p.hooks = append(p.hooks, telemetry.NewSender(view, cfg.Group))
	}
	if p.trace = trace.New(client, cfg.Group); p.trace != nil {
		p.hooks = append(p.hooks, p.trace)
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
	var result send.Result
	if p.shares(&m) {
		result, err = p.sendShared(ctx, topic, &m, id, w)
	} else {
		result, err = p.sendOne(ctx, topic, &m, id, w, send.Request{})
	}
	w.sent(result, err)
	if err != nil {
		return Receipt{}, err
	}
	return receipt(m.Topic, id, result), nil
}

// sendOne encodes a message that has been checked, and sends it; how is the request but for what the
// message says, and needed what brokers want to see in it besides.
func (p *Producer) sendOne(ctx context.Context, topic *send.Topic, m *Message, id string, w *watched, how send.Request, needed ...hook.Property) (send.Result, error) {
	scratch := p.scratch.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	defer p.scratch.Put(scratch)
	r, err := p.request(scratch, m, id, w, how, needed)
	if err != nil {
		return send.Result{}, fmt.Errorf("producer: send %s: %w", m.Topic, err)
	}
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
	ids := p.idsOf(messages)
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
	result, err := topic.Send(ctx, r)
	if r.Failed == nil {
		p.counters.noteRequest(name, r, &result, unlessReplied(ctx, err))
	}
	if err != nil {
		if !r.Reply { // it has no topic that the caller knows
			err = fmt.Errorf("producer: %w", err)
		}
		return result, err
	}
	p.membership.join()
	if !r.Reply {
		p.keep(name, topic)
	}
	return result, nil
}

// topic returns what to send to a logical topic with.
func (p *Producer) topic(name string) (*send.Topic, error) {
	if t := p.known(name); t != nil {
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

// known returns what is kept of a topic; nil when no message was stored in it.
func (p *Producer) known(name string) *send.Topic {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.topics[name]
}

// keep remembers a topic that exists; those that don't could be any number.
func (p *Producer) keep(name string, topic *send.Topic) {
	if p.known(name) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.topics[name] == nil {
		p.topics[strings.Clone(name)] = topic
	}
}

// Close refuses new sends, waits for those under way, for what SendAsync has taken with its calls of done, and for Checks
// that run, writes what is left of their message trace, and takes the Producer off the brokers' lists. When ctx ends first,
// Close returns an error that wraps ctx's, while those sends go on under their own contexts and those Checks' contexts end.
// It may be called again, to wait once more. The Client stays open.
func (p *Producer) Close(ctx context.Context) error {
	p.sends.close()
	p.lines.flush()
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
	p.trace.Close(ctx) // of Checks too
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
