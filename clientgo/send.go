package clientgo

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	rocketkitproducer "github.com/rocketkit/rocketkit/producer"
)

// SendSync sends one message, or several of one topic as a batch, and returns once a broker has them. It tries for as long
// as client-go's attempts would take: WithSendMsgTimeout, times one more than WithRetry. A message to the
// reply topic of a cluster is the reply to a request.
func (s *sender) SendSync(ctx context.Context, messages ...*primitive.Message) (*primitive.SendResult, error) {
	if err := s.check(messages); err != nil {
		return nil, err
	}
	result := primitive.NewSendResult()
	err := s.intercept(ctx, primitive.SendSync, messages, result, func(ctx context.Context, messages []*primitive.Message, result *primitive.SendResult) error {
		return s.send(ctx, messages, result)
	})
	return result, err
}

// send sends with a queue that the selector chose, attempt by attempt, or has the producer choose and try.
func (s *sender) send(ctx context.Context, messages []*primitive.Message, result *primitive.SendResult) error {
	out, err := outgoingAll(messages)
	if err != nil {
		return err
	}
	if s.chooses(messages[0]) {
		ctx, cancel := context.WithTimeout(ctx, s.within())
		defer cancel()
		return s.store(ctx, messages[0], out, result)
	}
	identify(messages, out)
	last := ""
	for attempt := 1; ; attempt++ {
		if last, err = s.choose(ctx, messages[0], out, last); err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, s.settings.timeout)
		err = s.store(within, messages[0], out, result)
		cancel()
		if err == nil || attempt == s.settings.attempts || ctx.Err() != nil || !rocketkitproducer.Retryable(err) {
			return err
		}
	}
}

// identify gives messages their ids, where each attempt is a send of its own: it may store what an attempt before it has
// stored, and receivers know that by the id.
func identify(messages []*primitive.Message, out []rocketkitproducer.Message) {
	for i, m := range messages {
		if m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex) == "" {
			out[i].Carry(primitive.CreateUniqID(), 0)
		}
	}
}

func outgoingAll(messages []*primitive.Message) ([]rocketkitproducer.Message, error) {
	out := make([]rocketkitproducer.Message, len(messages))
	for i, m := range messages {
		var err error
		if out[i], err = outgoing(m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// chooses tells whether the producer chooses the message's queue. client-go's hash selector takes any for a message
// without a sharding key.
func (s *sender) chooses(m *primitive.Message) bool {
	switch {
	case s.settings.selector == nil, isReply(m):
		return true
	}
	hashes := reflect.TypeOf(s.settings.selector) == reflect.TypeOf(producer.NewHashQueueSelector())
	return hashes && m.GetShardingKey() == ""
}

// choose has the selector choose, and returns the broker.
func (s *sender) choose(ctx context.Context, m *primitive.Message, out []rocketkitproducer.Message, last string) (broker string, err error) {
	within, cancel := context.WithTimeout(ctx, s.within())
	defer cancel()
	queues, err := s.producer.Queues(within, m.Topic)
	if err != nil {
		return "", fmt.Errorf("clientgo: %w", err)
	}
	choices := make([]*primitive.MessageQueue, len(queues))
	for i, q := range queues {
		choices[i] = queueOf(q)
	}
	if len(choices) == 0 {
		return "", fmt.Errorf("clientgo: send %s: the topic has no queue that can be written to", m.Topic)
	}
	q := s.settings.selector.Select(m, choices, last)
	if q == nil {
		return "", fmt.Errorf("clientgo: send %s: the queue selector %T chose no queue", m.Topic, s.settings.selector)
	}
	for i := range out {
		out[i].Queue = toQueue(q, m.Topic)
	}
	return q.BrokerName, nil
}

// store sends what is complete.
func (s *sender) store(ctx context.Context, first *primitive.Message, out []rocketkitproducer.Message, result *primitive.SendResult) error {
	if isReply(first) {
		return s.reply(ctx, first, out[0], result)
	}
	if len(out) == 1 {
		receipt, err := s.producer.Send(ctx, out[0])
		if err == nil {
			fill(result, &receipt)
		}
		return err
	}
	receipts, err := s.producer.SendBatch(ctx, out)
	if err == nil {
		fillBatch(result, receipts)
	}
	return err
}

// SendOneWay sends messages that no broker answers: nil doesn't mean that they are stored. A reply is answered all the same.
func (s *sender) SendOneWay(ctx context.Context, messages ...*primitive.Message) error {
	if err := s.check(messages); err != nil {
		return err
	}
	return s.intercept(ctx, primitive.SendOneway, messages, nil, func(ctx context.Context, messages []*primitive.Message, _ *primitive.SendResult) error {
		ctx, cancel := context.WithTimeout(ctx, s.within())
		defer cancel()
		out, err := outgoingAll(messages)
		if err != nil {
			return err
		}
		if !s.chooses(messages[0]) {
			if _, err := s.choose(ctx, messages[0], out, ""); err != nil {
				return err
			}
		}
		if isReply(messages[0]) {
			return s.store(ctx, messages[0], out, primitive.NewSendResult())
		}
		for _, m := range out {
			if err := s.producer.SendOneWay(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// sent is how a send goes on behind the interceptors.
type sent func(ctx context.Context, messages []*primitive.Message, result *primitive.SendResult) error

// intercept calls the interceptors, which see a batch as one message, as client-go encodes it.
func (s *sender) intercept(ctx context.Context, mode primitive.CommunicationMode, messages []*primitive.Message, result *primitive.SendResult, send sent) error {
	if s.settings.interceptor == nil {
		return send(ctx, messages, result)
	}
	one := messages[0]
	if len(messages) > 1 {
		one = &primitive.Message{Topic: one.Topic, Queue: one.Queue, Batch: true, Body: producer.MarshalMessageBatch(messages...)}
	}
	seen := &primitive.ProducerCtx{ProducerGroup: s.settings.group, CommunicationMode: mode, SendResult: result, BornHost: s.address()}
	copyOf(&seen.Message, one)
	ctx = primitive.WithProducerCtx(primitive.WithMethod(ctx, mode), seen)
	var reply any
	if result != nil {
		reply = result
	}
	return s.settings.interceptor(ctx, one, reply, func(ctx context.Context, request, reply any) error {
		passed, ok := request.(*primitive.Message)
		if !ok || passed == nil {
			return fmt.Errorf("clientgo: an interceptor passes on a %T for the message", request)
		}
		going := messages
		switch {
		case passed != one && passed.Batch:
			return errors.New("clientgo: an interceptor replaces a batch, which can't be carried over")
		case passed != one:
			going = []*primitive.Message{passed}
		}
		into, _ := reply.(*primitive.SendResult)
		if into == nil {
			into = result
		}
		if err := send(ctx, going, into); err != nil {
			return err
		}
		if into != nil && into.MessageQueue != nil {
			seen.MQ = *into.MessageQueue
		}
		return nil
	})
}

// copyOf copies a message, but for its lock.
func copyOf(to, from *primitive.Message) {
	to.Topic, to.Body, to.Flag, to.Queue = from.Topic, from.Body, from.Flag, from.Queue
	to.Batch, to.TransactionId = from.Batch, from.TransactionId
	to.WithProperties(from.GetProperties())
}

// address is the machine's, as brokers know this process.
func (s *sender) address() string {
	id := s.client.ID()
	for i := range id {
		if id[i] == '@' {
			return id[:i]
		}
	}
	return id
}
