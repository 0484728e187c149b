package producer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
	"github.com/rocketkit/rocketkit/tenant"
)

// DefaultRequestTimeout is how long Request waits for a reply when its context has no deadline.
const DefaultRequestTimeout = 3 * time.Second

const (
	maxReply    = 64 << 20 // bytes that a compressed reply may grow to
	lookAgainIn = 30 * time.Second
)

// requests is what a Producer's requests share.
type requests struct {
	looked atomic.Int64 // when a topic for replies was found missing, ns since 1970
}

// NoReplyError says that a request was stored and its reply didn't come in time. It unwraps to the context's end.
type NoReplyError struct {
	Request Receipt       // where the request was stored
	Took    time.Duration // since Request was called
	Ended   error         // the context's, never nil
}

// Error says where the request is and how long its reply was waited for.
func (e *NoReplyError) Error() string {
	return fmt.Sprintf("no reply within %v, though the request was stored as %s in %v at offset %d: %v: "+
		"nobody has consumed it yet, or who did hasn't replied", e.Took.Round(time.Millisecond), e.Request.ID, e.Request.Queue, e.Request.Offset, e.Ended)
}

// Unwrap returns why the wait has ended.
func (e *NoReplyError) Unwrap() error { return e.Ended }

// Request sends a message and returns the reply to it, which some consumer of its topic gives with [Producer.Reply], or
// with the like of Apache's clients (DefaultMQProducer.request and MessageUtil.createReplyMessage in Java). It waits until
// ctx ends; without a deadline, for [DefaultRequestTimeout]. Repliers are told how long that is. The message is sent as
// by [Producer.Send], but without a delay; one that is stored twice may be answered twice, and the first reply counts.
//
// A reply comes over the connection to a broker of the topic's cluster, which has to know this process: the first Request
// waits for a heartbeat to each of them. A reply that is pushed while the connection is broken is lost, unless the replier
// tries again, as Reply does.
//
// When no reply comes in time, the error is a [*NoReplyError]; errors of the sending are those of Send, and then the
// request may have been stored all the same where [Retryable] is true.
//
// The reply's Topic and Queue are those that the broker keeps its copy in; its Offset and OffsetID say nothing.
func (p *Producer) Request(ctx context.Context, m Message) (*rocketkit.Message, error) {
	if !p.sends.enter() {
		return nil, fmt.Errorf("producer: request: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	topic, err := p.topic(m.Topic)
	if err != nil {
		return nil, fmt.Errorf("producer: request: Topic: %w", err)
	}
	if err := m.checkRequest(p.cfg.MaxMessageSize); err != nil {
		return nil, fmt.Errorf("producer: request %s: %w", m.Topic, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, DefaultRequestTimeout)
		defer cancel()
		ctx = limited
	}
	began := time.Now()
	sending, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	wait := p.view.AwaitReply(func() { stop(errReplied) }) // so the sending ends when the reply is there
	defer wait.Forget()
	receipt, err := p.ask(sending, topic, &m, wait.ID)
	if reply, broker := wait.Reply(); err != nil && reply == nil {
		return nil, err
	} else if reply != nil { // perhaps before the broker said that it has the request
		return p.receiveReply(&m, reply, broker)
	}
	select {
	case <-wait.Done():
	case <-ctx.Done():
		p.view.DoubtReplies()
	}
	if reply, broker := wait.Reply(); reply != nil {
		return p.receiveReply(&m, reply, broker)
	}
	if ctx.Err() == nil {
		return nil, fmt.Errorf("producer: request %s: the Client: %w", m.Topic, rocketkit.ErrClosed)
	}
	return nil, fmt.Errorf("producer: request %s: %w", m.Topic, &NoReplyError{Request: receipt, Took: time.Since(began), Ended: context.Cause(ctx)})
}

// errReplied is why the sending of a request ends when its reply is there before the broker's answer.
var errReplied = errors.New("the reply has come")

// unlessReplied is how a send ended for those who count: its reply proves that a request was stored.
func unlessReplied(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errReplied) {
		return nil
	}
	return err
}

// checkRequest is check for a request.
func (m *Message) checkRequest(maxSize int) error {
	if field := m.delayField(); field != "" {
		return fmt.Errorf("%s: a request isn't delayed, as somebody waits for its reply", field)
	}
	return m.check(maxSize)
}

// ask sends a request.
func (p *Producer) ask(ctx context.Context, topic *send.Topic, m *Message, correlation string) (Receipt, error) {
	p.introduce(ctx, m.Topic)
	id := p.idOf(m)
	ctx, w := p.watch(ctx, hook.Request, false, []Message{*m}, id)
	deadline, _ := ctx.Deadline()
	result, err := p.sendOne(ctx, topic, m, id, w, send.Request{},
		hook.Property{Name: protocol.PropertyCorrelationID, Value: correlation},
		hook.Property{Name: protocol.PropertyReplyTo, Value: p.view.ClientID()},
		hook.Property{Name: protocol.PropertyTTL, Value: strconv.FormatInt(max(time.Until(deadline).Milliseconds(), 1), 10)})
	w.sent(result, unlessReplied(ctx, err))
	if err != nil {
		return Receipt{}, err
	}
	p.view.Introduce(ctx, p.membership.member, result.Address) // unless it was made known above, which is usual
	return receipt(m.Topic, id, result), nil
}

// introduce has the brokers know this process by which a reply may come: those of the topic, and all of their clusters,
// since a replier sends to any of them. What can't be done is no failure: a broker that is away takes no request either.
func (p *Producer) introduce(ctx context.Context, topic string) {
	p.membership.join()
	physical, err := p.view.Names.Topic(topic)
	if err != nil {
		return
	}
	r, err := p.view.Route(ctx, physical)
	if err != nil {
		return
	}
	var masters []string
	for _, broker := range r.Brokers() {
		if address, ok := r.Master(broker); ok {
			masters = append(masters, address)
		}
	}
	for _, name := range r.Clusters() {
		masters = append(masters, p.replyMasters(ctx, protocol.ReplyTopic(name))...)
	}
	p.view.Introduce(ctx, p.membership.member, masters...)
}

// replyMasters gives the brokers of a topic for replies. Every broker makes it, so that one that is missing is rare; it is
// looked for again after a while.
func (p *Producer) replyMasters(ctx context.Context, topic string) (masters []string) {
	if looked := p.requests.looked.Load(); looked != 0 && time.Now().UnixNano()-looked < int64(lookAgainIn) {
		return nil
	}
	r, err := p.view.Routes().Get(ctx, topic)
	if err != nil {
		p.requests.looked.Store(time.Now().UnixNano())
		return nil
	}
	for _, broker := range r.Brokers() {
		if address, ok := r.Master(broker); ok {
			masters = append(masters, address)
		}
	}
	return masters
}

// receiveReply makes a Message of what a broker has pushed.
func (p *Producer) receiveReply(request *Message, raw *protocol.Message, broker string) (*rocketkit.Message, error) {
	if !isCompressed(raw) {
		raw.SysFlag &^= protocol.SysCompressed
	}
	if err := raw.Inflate(maxReply); err != nil {
		return nil, fmt.Errorf("producer: request %s: the reply from %v: %w", request.Topic, raw.BornHost, err)
	}
	_, topic := tenant.Split(raw.Topic)
	m := rocketkit.Received(raw, topic, rocketkit.Queue{Topic: topic, Broker: broker, ID: int(raw.QueueID)})
	return &m, nil
}

// isCompressed doubts what a reply says of its body: rocketmq-client-go sends bodies over 4 KiB as they are, marked as
// compressed by zlib, whose every stream begins with 0x78 and a checksum of the first two bytes.
func isCompressed(m *protocol.Message) bool {
	if kind := m.SysFlag & protocol.SysCompression; m.SysFlag&protocol.SysCompressed == 0 || kind != 0 && kind != protocol.SysZlib {
		return m.SysFlag&protocol.SysCompressed != 0
	}
	return len(m.Body) > 2 && m.Body[0] == 0x78 && (int(m.Body[0])<<8|int(m.Body[1]))%31 == 0
}
