package producer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
	"github.com/rocketkit/rocketkit/tenant"
)

// Errors of Reply that callers can act on; test with errors.Is.
var (
	// ErrNotRequest means that nobody waits for a reply to the message: it was sent by other means than Request.
	ErrNotRequest = errors.New("not a request: whoever sent it waits for no reply")
	// ErrRequesterGone means that no broker could hand the reply on: who asked has ended, or lost its connections.
	ErrRequesterGone = errors.New("who made the request is connected to no broker of its cluster, or doesn't take the reply")
)

// Reply answers a message that a handler has received and that was sent by [Producer.Request], or by request of Apache's
// clients. Reply's Topic, ShardingKey, Queue and delay stay empty: it goes to who made the request. It returns once that
// process has taken it. That is no proof that the caller of Request still waited: a late reply is dropped there.
//
// It is tried first on the broker that has the request, where who made it is known, and then on the others, until ctx
// ends or the time is over that the request gave (its property TTL), counted from the call, but for [DefaultRequestTimeout]
// at least. An answer that got lost may have it delivered twice, of which the first counts.
//
// Errors are those of [Producer.Send], and besides [ErrNotRequest] and [ErrRequesterGone].
//
// The Receipt tells where the broker keeps a copy of the reply (storeReplyMessageEnable), in a topic of the cluster's that
// all tenants share.
func (p *Producer) Reply(ctx context.Context, request *rocketkit.Message, reply Message) (Receipt, error) {
	if !p.sends.enter() {
		return Receipt{}, fmt.Errorf("producer: reply: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	to, err := addresseeOf(request)
	if err != nil {
		return Receipt{}, fmt.Errorf("producer: reply: %w", err)
	}
	failed := func(err error) error {
		return fmt.Errorf("producer: reply to %s of %s: %w", request.ID(), request.Topic(), err)
	}
	if err := reply.checkReply(p.cfg.MaxMessageSize); err != nil {
		return Receipt{}, failed(err)
	}
	reply.Topic = protocol.ReplyTopic(to.cluster)
	if _, err := (tenant.Names{}).Topic(reply.Topic); err != nil {
		return Receipt{}, failed(fmt.Errorf("the request's property %s: %w", protocol.PropertyCluster, err))
	}
	ctx, cancel := context.WithTimeout(ctx, to.ttl)
	defer cancel()
	id := p.idOf(&reply)
	ctx, w := p.watch(ctx, hook.Reply, false, []Message{reply}, id)
	needed := []hook.Property{
		{Name: protocol.PropertyMessageType, Value: protocol.MessageTypeReply},
		{Name: protocol.PropertyCorrelationID, Value: to.correlation},
		{Name: protocol.PropertyReplyTo, Value: to.client},
	}
	if text, ok := request.Property(protocol.PropertyTTL); ok {
		needed = append(needed, hook.Property{Name: protocol.PropertyTTL, Value: text})
	}
	result, err := p.sendOne(ctx, p.replyTopic(to.cluster), &reply, id, w,
		send.Request{Reply: true, First: request.Queue().Broker}, needed...)
	w.sent(result, err)
	if send.IsAbsent(err) {
		return Receipt{}, failed(fmt.Errorf("%w: %w", ErrRequesterGone, err))
	}
	if err != nil {
		return Receipt{}, failed(err)
	}
	return receipt(reply.Topic, id, result), nil
}

// checkReply is check for a reply.
func (m *Message) checkReply(maxSize int) error {
	switch {
	case m.Topic != "":
		return fmt.Errorf("the reply has the Topic %s: leave it empty, it goes to who made the request", shorten(m.Topic))
	case m.ShardingKey != "":
		return errors.New("ShardingKey: a reply has none, it goes to who made the request")
	case m.Queue != (rocketkit.Queue{}):
		return errors.New("Queue: a reply has none, it goes to who made the request")
	case m.delayField() != "":
		return fmt.Errorf("%s: a reply isn't delayed", m.delayField())
	}
	return m.check(maxSize)
}

// addressee is who a reply goes to.
type addressee struct {
	cluster, client, correlation string
	ttl                          time.Duration
}

func addresseeOf(request *rocketkit.Message) (addressee, error) {
	if request == nil {
		return addressee{}, errors.New("request: nil; give the message that the handler received")
	}
	a := addressee{ttl: DefaultRequestTimeout}
	for _, part := range []struct {
		name string
		into *string
	}{
		{protocol.PropertyCorrelationID, &a.correlation}, {protocol.PropertyReplyTo, &a.client}, {protocol.PropertyCluster, &a.cluster},
	} {
		if *part.into, _ = request.Property(part.name); *part.into == "" {
			return a, fmt.Errorf("%s of %s has no property %s: %w", request.ID(), request.Topic(), part.name, ErrNotRequest)
		}
	}
	text, _ := request.Property(protocol.PropertyTTL)
	const most = 24 * time.Hour
	if ttl, err := strconv.ParseInt(text, 10, 64); err == nil { // of rocketmq-client-go it is in seconds
		a.ttl = max(a.ttl, time.Duration(min(ttl, most.Milliseconds()))*time.Millisecond)
	}
	return a, nil
}

// replyTopic returns what to send to a cluster's topic for replies with. It isn't among the topics that Send knows, since
// a tenant's own topic may have its name.
func (p *Producer) replyTopic(name string) *send.Topic {
	if t, ok := p.replyTo.Load(name); ok {
		return t.(*send.Topic) //nolint:errcheck,forcetypeassert // the map holds nothing else
	}
	t, _ := p.replyTo.LoadOrStore(name, p.sender.Topic(protocol.ReplyTopic(name)))
	return t.(*send.Topic) //nolint:errcheck,forcetypeassert // likewise
}
