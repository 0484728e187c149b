package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// BenchmarkOrder is what a message costs between the pull and the end of a handler that does nothing: of one queue, by
// whether and how its order is kept. The blocks are as large as brokers give them.
func BenchmarkOrder(b *testing.B) {
	for name, test := range map[string]struct {
		order Order
		keys  int
	}{
		"none":               {OrderNone, 1000},
		"queue":              {OrderQueue, 1000},
		"key, 1 of them":     {OrderKey, 1},
		"key, 8 of them":     {OrderKey, 8},
		"key, 1000 of them":  {OrderKey, 1000},
		"key, none set":      {OrderKey, 0},
		"key, by a function": {OrderKey, -1},
	} {
		b.Run(name, func(b *testing.B) {
			topic := Topic{Workers: 16, Order: test.order, Handle: func(context.Context, *rocketkit.Message) error { return nil }}
			if test.keys < 0 {
				topic.Key = func(m *rocketkit.Message) string { return m.Tag() }
			}
			benchmarkQueue(b, topic, properties(test.keys))
		})
	}
}

// properties gives those of messages that go through the keys in turn.
func properties(keys int) []protocol.Properties {
	all := make([]protocol.Properties, max(keys, 1))
	for i := range all {
		all[i] = protocol.AppendProperty(all[i], protocol.PropertyUniqueKey, "0A0000010001000000000000000000000000")
		all[i] = protocol.AppendProperty(all[i], protocol.PropertyTags, "created")
		if keys > 0 {
			all[i] = protocol.AppendProperty(all[i], protocol.PropertyShardingKey, fmt.Sprint("order-", i))
		}
	}
	return all
}

func benchmarkQueue(b *testing.B, cfg Topic, properties []protocol.Properties) {
	b.Helper()
	settings := config(nil)
	settings.Topics = map[string]Topic{"t": cfg}
	e := newRig(b).engine(settings)
	e.handlers = context.Background()
	topic := e.topics[topicT]
	q := newQueue(e, topic, protocol.Queue{Topic: topicT, Broker: "b"})
	q.window = q.windowAt(0)
	if q.lanes != nil {
		q.lanes.held = func() bool { return true }
	}
	b.ReportAllocs()
	b.ResetTimer()
	for offset := 0; offset < b.N; offset += pullBatch {
		if err := q.awaitRoom(context.Background()); err != nil {
			b.Fatal(err)
		}
		messages := make([]protocol.Message, pullBatch)
		for i := range messages {
			messages[i] = protocol.Message{
				Topic: topicT, QueueOffset: int64(offset + i), Properties: properties[(offset+i)%len(properties)],
			}
		}
		q.handOut(q.window, messages, int64(offset), int64(offset+pullBatch))
	}
	for q.window.held() > 0 {
		_ = q.hasRoom()
		select {
		case <-q.room:
		default:
		}
	}
	b.StopTimer()
	topic.pool.Stop()
	if err := topic.pool.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
}
