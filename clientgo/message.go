package clientgo

import (
	"strconv"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// messageOf gives a received message in client-go's form, with logical names. The body is the received one; client-go's
// handlers may append to it, as to any of theirs.
func messageOf(m *rocketkit.Message) *primitive.MessageExt {
	raw := m.Stored()
	ext := &primitive.MessageExt{
		MsgId:                     m.ID(),
		OffsetMsgId:               m.OffsetID(),
		StoreSize:                 int32(storeSize(raw)),
		QueueOffset:               raw.QueueOffset,
		SysFlag:                   raw.SysFlag,
		BornTimestamp:             raw.BornMillis,
		BornHost:                  raw.BornHost.String(),
		StoreTimestamp:            raw.StoreMillis,
		StoreHost:                 raw.StoreHost.String(),
		CommitLogOffset:           raw.CommitLogOffset,
		BodyCRC:                   int32(raw.BodyCRC),
		ReconsumeTimes:            raw.ReconsumeTimes,
		PreparedTransactionOffset: raw.PreparedOffset,
	}
	body := m.Body()
	ext.Topic, ext.Body, ext.Flag = m.Topic(), body[:len(body):len(body)], raw.Flag
	ext.Queue = queueOf(m.Queue())
	properties := map[string]string{}
	for name, value := range m.Properties() {
		properties[name] = value
	}
	if key := m.ShardingKey(); key != "" {
		properties[primitive.PropertyShardingKey] = key
	}
	properties[primitive.PropertyConsumeStartTime] = strconv.FormatInt(time.Now().UnixMilli(), 10)
	ext.WithProperties(properties)
	ext.TransactionId = properties[primitive.PropertyTransactionID]
	return ext
}

func queueOf(q rocketkit.Queue) *primitive.MessageQueue {
	return &primitive.MessageQueue{Topic: q.Topic, BrokerName: q.Broker, QueueId: q.ID}
}

// storeSize is what the message takes in the commit log, but for compression (MessageExtEncoder.calMsgLength).
func storeSize(m *protocol.Message) int {
	const fixed = 4 + 4 + 4 + 4 + 4 + 8 + 8 + 4 + 8 + 8 + 8 + 4 + 8 + 4 + 1 + 2
	size := fixed + len(m.Body) + len(m.Topic) + len(m.Properties)
	for _, v6 := range []int32{protocol.SysBornV6, protocol.SysStoreV6} {
		if m.SysFlag&v6 != 0 {
			size += 12
		}
	}
	return size
}
