package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// isGone tells whether a send-back failed because the broker no longer has the message, which it looks up in its log:
// retention was shorter than the message had to wait. No repetition helps then.
func isGone(err error) bool {
	var refused *protocol.Error
	return errors.As(err, &refused) && strings.Contains(refused.Remark, "look message by offset failed")
}

// beyondRetries makes a broker dead-letter a message that is sent to a retry topic.
const beyondRetries = 1 << 20

// storeAnew sends a message whose original is gone to the retry topic as a new one, as the Java client does whenever a
// send-back fails. Brokers of 5.x make a dead letter of it, whatever its attempts, since the group holds queue locks
// (AbstractSendMessageProcessor.handleRetryAndDLQ); those before retry it. When the broker takes it neither way, the
// message is lost, which the log says; its queue goes on.
func (e *Engine) storeAnew(ctx context.Context, t task, level, most int32) error {
	properties := protocol.AppendProperty(nil, protocol.PropertyOriginMessageID, originID(t.raw))
	if _, retried := t.raw.Properties.Get(protocol.PropertyRetryTopic); !retried {
		properties = protocol.AppendProperty(properties, protocol.PropertyRetryTopic, t.raw.Topic)
	}
	times := t.raw.ReconsumeTimes + 1
	switch level {
	case levelDeadLetter:
		times = beyondRetries
	case levelByBroker:
		properties = protocol.AppendProperty(properties, protocol.PropertyDelayLevel, levelText(3+t.raw.ReconsumeTimes))
	default:
		properties = protocol.AppendProperty(properties, protocol.PropertyDelayLevel, levelText(level))
	}
	for name, value := range t.raw.Properties.All() {
		if name != protocol.PropertyDelayLevel && name != protocol.PropertyOriginMessageID {
			properties = protocol.AppendProperty(properties, name, value)
		}
	}
	answer, err := e.call(ctx, t.queue.id.Broker, t.queue.id.Topic, protocol.SendMessage{
		ProducerGroup: e.group, Topic: e.retry.physical, SysFlag: t.raw.SysFlag &^ (protocol.SysBornV6 | protocol.SysStoreV6),
		BornTime: t.raw.BornMillis, Flag: t.raw.Flag, Properties: properties, ReconsumeTimes: times,
		MaxReconsumeTimes: most, BrokerName: t.queue.id.Broker, Body: t.raw.Body,
	}.Frame())
	if err != nil {
		return err
	}
	if _, err = protocol.ParseSendResult(answer); err != nil {
		e.log.Error("message lost: its broker has deleted it before it could be retried, and takes no new one",
			"topic", t.name(), "id", t.raw.ID(), "error", err)
		return nil
	}
	becomes := "is kept as a dead letter"
	if answer.Version < protocol.Version5 && level != levelDeadLetter { // see the 5.x rule above
		becomes = "will be retried"
	}
	e.log.Warn("a failed message was stored anew: its broker has deleted it before it could be sent back",
		"message", becomes, "topic", t.name(), "id", t.raw.ID())
	return nil
}
