package mqtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// send stores one message or a batch (SendMessageProcessor).
func (b *broker) send(c *call) *frame.Frame {
	m, limited, err := protocol.ParseSendRequest(c.req)
	if err != nil {
		return malformed(err)
	}
	if c.req.Code == protocol.ReqSendBatch {
		m.Batch = true
	}
	t, refusal := b.checkSend(&m)
	if refusal != nil {
		return regional(refusal)
	}
	if m.QueueID < 0 {
		m.QueueID = rand.Int32N(max(t.config.WriteQueues, 1))
	}
	if m.Batch {
		return b.sendBatch(c, &m)
	}
	return b.sendOne(c, &m, limited)
}

// regional adds what every answer to a send carries.
func regional(f *frame.Frame) *frame.Frame {
	f.Fields = append(f.Fields, frame.Field{Key: protocol.PropertyRegion, Value: defaultRegion},
		frame.Field{Key: protocol.PropertyTraceOn, Value: "true"})
	return f
}

// checkSend looks at topic and queue (AbstractSendMessageProcessor.msgCheck). A topic's permission to write isn't looked
// at: real brokers leave that to the clients too.
func (b *broker) checkSend(m *protocol.SendMessage) (*topic, *frame.Frame) {
	if len(m.Body) == 0 { // RocketMQ trips over a body that isn't there
		return nil, refuse(protocol.CodeSystemError, "java.lang.NullPointerException, the message has no body")
	}
	if why := badTopic(m.Topic); why != "" {
		return nil, refuse(protocol.CodeInvalidParameter, why)
	}
	if slices.Contains(unsendable, m.Topic) {
		return nil, refuse(protocol.CodeNoPermission, "Sending message to topic["+m.Topic+"] is forbidden.")
	}
	t := b.topicFor(m)
	if t == nil {
		return nil, refuse(protocol.CodeTopicNotExist, "topic["+m.Topic+"] not exist, apply first please!")
	}
	if m.QueueID >= max(t.config.WriteQueues, t.config.ReadQueues) {
		return nil, refuse(protocol.CodeInvalidParameter,
			fmt.Sprintf("request queueId[%d] is illegal, topic %s has %d queues", m.QueueID, m.Topic, t.config.WriteQueues))
	}
	return t, nil
}

func (b *broker) sendOne(c *call, m *protocol.SendMessage, limited bool) *frame.Frame {
	props := readProperties(m.Properties)
	props.drop(protocol.PropertyPopCheckpoint)
	props.set(protocol.PropertyRegion, defaultRegion)
	props.set(protocol.PropertyTraceOn, "true")
	queue := m.QueueID
	if strings.HasPrefix(m.Topic, retryPrefix) {
		if refusal := b.retryBySend(m, limited, &props); refusal != nil {
			return regional(refusal)
		}
	}
	if props.get(protocol.PropertyUniqueKey) == "" {
		props.set(protocol.PropertyUniqueKey, b.ids.Next(time.Now()))
	}
	props.set(protocol.PropertyCluster, clusterName)
	msg := b.message(c, m)
	msg.Body = m.Body
	half := props.get(protocol.PropertyPrepared) == "true" &&
		(m.ReconsumeTimes <= 0 || props.get(protocol.PropertyDelayLevel) == "")
	var r *record
	var refusal *frame.Frame
	if half {
		r, refusal = b.prepare(msg, props)
	} else {
		r, refusal = b.put(msg, props)
	}
	if refusal != nil {
		return regional(refusal)
	}
	return protocol.SendResult{
		OffsetID: r.msg.OffsetID(), QueueID: queue, QueueOffset: r.msg.QueueOffset,
		TransactionID: props.get(protocol.PropertyUniqueKey), Region: defaultRegion, RecallHandle: b.recallHandle(r),
	}.Answer()
}

// retryBySend treats a plain send to a group's retry topic (SendMessageProcessor.handleRetryAndDLQ). While the group
// holds any queue lock, it goes to the dead letters: since 5.0 brokers take it for a message of an ordered consumer.
// limited tells that the sender wrote how many retries there are, be it -1.
func (b *broker) retryBySend(m *protocol.SendMessage, limited bool, props *properties) *frame.Frame {
	name := strings.TrimPrefix(m.Topic, retryPrefix)
	config, ok := b.findGroup(name)
	if !ok {
		return refuse(protocol.CodeGroupNotExist, "subscription group not exist, "+name)
	}
	most := config.RetryMaxTimes
	if limited {
		most = m.MaxReconsumeTimes
	}
	if m.ReconsumeTimes > most || b.anyLocked(name) {
		props.set(protocol.PropertyDelayLevel, "-1")
		m.Topic, m.QueueID = deadLetterPrefix+name, 0
		b.topicOfGroup(m.Topic, 1)
	}
	return nil
}

// message makes what a store keeps of a send, but for body and properties.
func (b *broker) message(c *call, m *protocol.SendMessage) protocol.Message {
	return protocol.Message{
		Topic: m.Topic, QueueID: m.QueueID, Flag: m.Flag, SysFlag: m.SysFlag, ReconsumeTimes: m.ReconsumeTimes,
		BornMillis: m.BornTime, BornHost: c.conn.remote, StoreHost: b.server.address,
	}
}

// sendBatch stores a batch's messages one after the other. They get none of the properties a single message gets.
func (b *broker) sendBatch(c *call, m *protocol.SendMessage) *frame.Frame {
	switch outer := readProperties(m.Properties); {
	case strings.HasPrefix(m.Topic, retryPrefix):
		return regional(refuse(protocol.CodeMessageIllegal, "batch request does not support retry group "+m.Topic))
	case m.SysFlag&protocol.SysTransaction != 0, delayLevel(outer) > 0:
		return regional(b.illegal())
	case len(m.Body) > b.cluster.cfg.MaxMessageBytes:
		return refuse(protocol.CodeSystemError, "java.lang.RuntimeException: message body size exceeded")
	}
	inner, err := protocol.DecodeBatchMessages(m.Body)
	if err != nil {
		return malformed(err)
	}
	if len(inner) == 0 {
		return regional(b.illegal())
	}
	var ids []string
	stored := make([]*record, len(inner))
	for i, one := range inner {
		msg := b.message(c, m)
		msg.Flag, msg.Body, msg.Properties, msg.StoreMillis = one.Flag, one.Body, one.Properties, b.millis()
		stored[i] = b.store.append(msg)
		ids = append(ids, stored[i].msg.OffsetID())
	}
	for _, r := range stored {
		b.arrived(r) // after all are there, so that one pull gets them
	}
	b.cluster.state.change()
	return protocol.SendResult{
		OffsetID: strings.Join(ids, ","), QueueID: m.QueueID, QueueOffset: stored[0].msg.QueueOffset, Region: defaultRegion,
	}.Answer()
}

// put stores a message, or puts it aside until it is due. The answer is a refusal when it is illegal.
func (b *broker) put(m protocol.Message, props properties) (*record, *frame.Frame) {
	m.StoreMillis = b.millis()
	m.Properties = props.block()
	if len(m.Body) > b.cluster.cfg.MaxMessageBytes || len(m.Properties) > protocol.MaxProperties {
		return nil, b.illegal()
	}
	if kind := m.SysFlag & protocol.SysTransaction; kind == 0 || kind == protocol.SysCommitted {
		due, delayed, refusal := b.delay(&m, &props)
		if refusal != nil {
			return nil, refusal
		}
		if delayed {
			r := b.storeMessage(m)
			b.waiting[r] = due
			b.deliverAt(r, due)
			return r, nil
		}
	}
	return b.storeMessage(m), nil
}

func (b *broker) illegal() *frame.Frame {
	return refuse(protocol.CodeMessageIllegal, fmt.Sprintf("the message is illegal, maybe msg body or properties length not "+
		"matched. msg body length limit %dB, msg properties length limit 32KB.", b.cluster.cfg.MaxMessageBytes))
}

// storeMessage stores a message and wakes the pulls that wait for it.
func (b *broker) storeMessage(m protocol.Message) *record {
	if b.store.topics[m.Topic] == nil { // a delayed message whose topic was deleted meanwhile
		b.putTopic(protocol.NewTopicConfig(m.Topic, max(1, m.QueueID+1)))
	}
	r := b.store.append(m)
	b.arrived(r)
	b.cluster.state.change()
	return r
}
