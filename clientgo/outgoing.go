package clientgo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	rocketkitproducer "github.com/rocketkit/rocketkit/producer"
)

// outgoing gives one of client-go's messages in rocketkit's form. The message isn't changed; client-go sets its
// UNIQ_KEY, and with a namespace its topic.
func outgoing(m *primitive.Message) (rocketkitproducer.Message, error) {
	out := rocketkitproducer.Message{Topic: m.Topic, Body: m.Body}
	out.Carry("", m.Flag)
	properties := m.GetProperties()
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if err := setProperty(&out, name, properties[name]); err != nil {
			return out, fmt.Errorf("clientgo: send %s: property %s: %w", m.Topic, name, err)
		}
	}
	return out, nil
}

// setProperty sets what Message has a field for, and has the rest carried as it is.
func setProperty(m *rocketkitproducer.Message, name, value string) (err error) {
	switch name {
	case primitive.PropertyUniqueClientMessageIdKeyIndex:
		m.Carry(value, 0)
	case primitive.PropertyTags:
		m.Tag = value
	case primitive.PropertyKeys:
		m.Keys = strings.Fields(value)
	case primitive.PropertyDelayTimeLevel:
		m.DelayLevel, err = strconv.Atoi(value)
	case primitive.PropertyTimerDeliverMS:
		var ms int64
		ms, err = strconv.ParseInt(value, 10, 64)
		m.DeliverAt = time.UnixMilli(ms)
	case primitive.PropertyShardingKey: // as both clients read it; a selector chooses the queue, not the key
		m.Carry("", 0, hook.Property{Name: name, Value: value}, hook.Property{Name: protocol.PropertyShardingKey, Value: value})
	case protocol.PropertyShardingKey:
		if value != "" {
			m.Carry("", 0, hook.Property{Name: name, Value: value})
		}
	default:
		if name != "" && value != "" { // client-go's receivers don't see such, either
			m.Carry("", 0, hook.Property{Name: name, Value: value})
		}
	}
	return err
}

// region is what client-go says where a broker's answer doesn't name one, as those of open-source brokers don't.
const region = "DefaultRegion"

// fill gives a receipt in client-go's form.
func fill(result *primitive.SendResult, r *rocketkitproducer.Receipt) {
	*result = primitive.SendResult{
		Status: statusOf(r.Status), MsgID: r.ID, OffsetMsgID: r.OffsetID,
		MessageQueue: queueOf(r.Queue), QueueOffset: r.Offset, RegionID: region,
	}
}

// fillBatch gives a batch's receipts in client-go's form: the first one's queue and offset, and all ids joined by commas.
func fillBatch(result *primitive.SendResult, receipts []rocketkitproducer.Receipt) {
	fill(result, &receipts[0])
	ids, offsetIDs := make([]string, len(receipts)), make([]string, len(receipts))
	for i := range receipts {
		ids[i], offsetIDs[i] = receipts[i].ID, receipts[i].OffsetID
	}
	result.MsgID, result.OffsetMsgID = strings.Join(ids, ","), strings.Join(offsetIDs, ",")
}

func statusOf(s rocketkitproducer.Status) primitive.SendStatus {
	switch s {
	case rocketkitproducer.Stored:
		return primitive.SendOK
	case rocketkitproducer.FlushDiskTimeout:
		return primitive.SendFlushDiskTimeout
	case rocketkitproducer.FlushSlaveTimeout:
		return primitive.SendFlushSlaveTimeout
	case rocketkitproducer.ReplicaMissing:
		return primitive.SendSlaveNotAvailable
	}
	return primitive.SendUnknownError
}

func toQueue(q *primitive.MessageQueue, topic string) rocketkit.Queue {
	return rocketkit.Queue{Topic: topic, Broker: q.BrokerName, ID: q.QueueId}
}
