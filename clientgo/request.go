package clientgo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	rocketkitproducer "github.com/rocketkit/rocketkit/producer"
)

const (
	replyType   = "reply"        // the MSG_TYPE of a reply (client-go's consumer.CreateReplyMessage)
	replySuffix = "_REPLY_TOPIC" // of the topic that it is addressed to, after the cluster's name
)

// isReply tells whether a message is the reply to a request, which has a way of its own.
func isReply(m *primitive.Message) bool { return m.GetProperty(primitive.PropertyMsgType) == replyType }

// Request sends a message and waits for the reply to it, until ttl is over or ctx ends.
func (s *sender) Request(ctx context.Context, ttl time.Duration, m *primitive.Message) (*primitive.Message, error) {
	if err := s.check([]*primitive.Message{m}); err != nil {
		return nil, err
	}
	return s.request(ctx, ttl, m)
}

// request is Request of a message that has been checked.
func (s *sender) request(ctx context.Context, ttl time.Duration, m *primitive.Message) (*primitive.Message, error) {
	var reply *rocketkit.Message
	err := s.intercept(ctx, primitive.SendAsync, []*primitive.Message{m}, nil,
		func(ctx context.Context, messages []*primitive.Message, _ *primitive.SendResult) error {
			ctx, cancel := context.WithTimeout(ctx, ttl)
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
			reply, err = s.producer.Request(ctx, out[0])
			return err
		})
	if err != nil {
		return nil, err
	}
	if reply == nil {
		return nil, errors.New("clientgo: request: an interceptor didn't pass it on")
	}
	return &messageOf(reply).Message, nil
}

// requestAsync is RequestAsync with a callback of a type that has a name.
func (s *sender) requestAsync(ctx context.Context, ttl time.Duration, callback func(context.Context, *primitive.Message, error), m *primitive.Message) error {
	if callback == nil {
		return configError("RequestAsync: the callback is nil")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkRunning([]*primitive.Message{m}, s.running); err != nil {
		return err
	}
	s.asking.Go(func() {
		var reply *primitive.Message
		var err error
		if s.called(func() { reply, err = s.request(ctx, ttl, m) }) { // a selector's or an interceptor's
			err = errors.New("clientgo: request: it panicked, as the log says")
		}
		s.called(func() { callback(ctx, reply, err) })
	})
	return nil
}

// reply sends what client-go addresses to a topic of the cluster to who made the request.
func (s *sender) reply(ctx context.Context, m *primitive.Message, out rocketkitproducer.Message, result *primitive.SendResult) error {
	cluster, ok := strings.CutSuffix(m.Topic, replySuffix)
	if !ok {
		return fmt.Errorf("clientgo: reply: the topic %s isn't a cluster's reply topic: make replies with consumer.CreateReplyMessage", m.Topic)
	}
	// What Reply reads of a request, the reply has too.
	var properties []byte
	for name, value := range m.GetProperties() {
		if name == primitive.PropertyMessageTTL {
			continue
		}
		properties = protocol.AppendProperty(properties, name, value)
	}
	properties = protocol.AppendProperty(properties, protocol.PropertyCluster, cluster)
	properties = protocol.AppendProperty(properties, protocol.PropertyTTL, strconv.FormatInt(s.ttlOf(m).Milliseconds(), 10))
	request := rocketkit.Received(&protocol.Message{Properties: properties}, m.Topic, rocketkit.Queue{})
	reply := rocketkitproducer.Message{Body: out.Body, Tag: out.Tag, Keys: out.Keys}
	for name, value := range m.GetProperties() {
		if !ofReplies(name) {
			if err := setProperty(&reply, name, value); err != nil {
				return fmt.Errorf("clientgo: reply: property %s: %w", name, err)
			}
		}
	}
	receipt, err := s.producer.Reply(ctx, &request, reply)
	if err == nil {
		fill(result, &receipt)
	}
	return err
}

// ttlOf is how long a reply may take. client-go's requests tell it in seconds, where Java's and rocketkit's tell ms.
func (s *sender) ttlOf(m *primitive.Message) time.Duration {
	const leastMillis = 1000
	ttl, err := strconv.ParseInt(m.GetProperty(primitive.PropertyMessageTTL), 10, 32)
	switch {
	case err != nil || ttl <= 0:
		return s.within()
	case ttl < leastMillis:
		return time.Duration(ttl) * time.Second
	}
	return time.Duration(ttl) * time.Millisecond
}

// ofReplies names the properties that address a reply.
func ofReplies(name string) bool {
	switch name {
	case primitive.PropertyMsgType, primitive.PropertyCorrelationID, primitive.PropertyMessageReplyToClient,
		primitive.PropertyMessageTTL, primitive.PropertyCluster:
		return true
	}
	return false
}
