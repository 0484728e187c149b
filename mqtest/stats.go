package mqtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// consumeStats tells how far a group has come (AdminBrokerProcessor.getConsumeStats). A queue without a committed offset
// shows 0, as on a real broker.
func (b *broker) consumeStats(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("consumerGroup")
	topics := b.topicsOf(name)
	if topic, ok := c.req.Fields.Get("topic"); ok && topic != "" {
		topics = []string{topic}
	}
	if g := b.members[name]; g != nil && len(g.subscriptions) > 0 {
		topics = slices.DeleteFunc(topics, func(topic string) bool {
			_, subscribed := g.subscriptions[topic]
			return !subscribed
		})
	}
	stats := protocol.ConsumeStats{Queues: map[protocol.Queue]protocol.ConsumeOffset{}}
	for _, topic := range topics {
		t := b.store.topics[topic]
		if t == nil {
			continue
		}
		for id := range t.config.ReadQueues {
			stats.Queues[protocol.Queue{Topic: topic, Broker: b.name, ID: id}] = b.progress(place{name, topic, id})
		}
	}
	return stats.Answer()
}

func (b *broker) progress(where place) protocol.ConsumeOffset {
	q := b.store.peek(where.topic, where.queue)
	committed, _ := b.committed(where)
	committed = max(committed, 0)
	o := protocol.ConsumeOffset{Broker: q.max(), Consumer: committed, Pull: max(committed, b.pulled[where])}
	if last := q.at(committed - 1); last != nil {
		o.LastTime = last.msg.StoreMillis
	}
	return o
}

// topicsOf lists the topics a group has offsets in.
func (b *broker) topicsOf(group string) []string {
	topics := map[string]bool{}
	for where := range b.offsets {
		if where.group == group {
			topics[where.topic] = true
		}
	}
	return slices.Sorted(maps.Keys(topics))
}

func (b *broker) listTopicsOfGroup(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("group")
	return protocol.AnswerList("topicList", b.topicsOf(name))
}

func (b *broker) listGroupsOfTopic(c *call) *frame.Frame {
	topic, _ := c.req.Fields.Get("topic")
	names := maps.Clone(b.subscribers[topic])
	if names == nil {
		names = map[string]bool{}
	}
	for where := range b.offsets {
		if where.topic == topic {
			names[where.group] = true
		}
	}
	return protocol.AnswerList("groupList", slices.Sorted(maps.Keys(names)))
}

func (b *broker) topicStats(c *call) *frame.Frame {
	topic, _ := c.req.Fields.Get("topic")
	t := b.store.topics[topic]
	if t == nil {
		return refuse(protocol.CodeTopicNotExist, "topic["+topic+"] not exist")
	}
	queues := map[protocol.Queue]protocol.TopicOffset{}
	for id := range max(t.config.ReadQueues, t.config.WriteQueues) {
		q := b.store.peek(topic, id)
		o := protocol.TopicOffset{Min: q.min, Max: q.max()}
		if last := q.at(q.max() - 1); last != nil {
			o.LastUpdate = last.msg.StoreMillis
		}
		queues[protocol.Queue{Topic: topic, Broker: b.name, ID: id}] = o
	}
	return protocol.AnswerTopicStats(queues)
}

func (b *broker) allOffsets(*call) *frame.Frame {
	table := map[string]map[int32]int64{}
	for where, offset := range b.offsets {
		key := where.topic + "@" + where.group
		if table[key] == nil {
			table[key] = map[int32]int64{}
		}
		table[key][where.queue] = offset
	}
	f := protocol.AnswerConsumerOffsets(table)
	f.Body = protocol.BareNumbers(f.Body)
	return f
}

// runtimeInfo gives the few entries of a broker's status that have a meaning here.
func (b *broker) runtimeInfo(*call) *frame.Frame {
	earliest := b.millis()
	for _, r := range b.store.log {
		earliest = min(earliest, r.msg.StoreMillis)
	}
	return protocol.AnswerTable(map[string]string{
		"brokerVersion": strconv.Itoa(serverVersion), "brokerVersionDesc": "V5_5_0",
		"bootTimestamp":      strconv.FormatInt(b.started.UnixMilli(), 10),
		"commitLogMinOffset": "0", "commitLogMaxOffset": strconv.FormatInt(b.store.end, 10),
		"putTps": "0.0 0.0 0.0", "getTransferredTps": "0.0 0.0 0.0", "msgPutTotalTodayNow": "0", "msgGetTotalTodayNow": "0",
		"msgPutTotalTodayMorning": "0", "msgGetTotalTodayMorning": "0", "msgPutTotalYesterdayMorning": "0",
		"msgGetTotalYesterdayMorning": "0", "sendThreadPoolQueueSize": "0", "pullThreadPoolQueueSize": "0",
		"sendThreadPoolQueueHeadWaitTimeMills": "0", "pullThreadPoolQueueHeadWaitTimeMills": "0", "pageCacheLockTimeMills": "0",
		"earliestMessageTimeStamp": strconv.FormatInt(earliest, 10), "commitLogDiskRatio": "0.0",
	})
}

// brokerConfig gives the settings that the cluster's Config stands for.
func (b *broker) brokerConfig(*call) *frame.Frame {
	cfg := &b.cluster.cfg
	body := fmt.Sprintf("brokerName=%s\nbrokerClusterName=%s\nbrokerId=0\nautoCreateTopicEnable=%t\nautoCreateSubscriptionGroup=%t\n"+
		"maxMessageSize=%d\nenablePropertyFilter=false\nuseServerSideResetOffset=true\ntransactionTimeOut=%d\ntransactionCheckInterval=%d\ntransactionCheckMax=%d\n",
		b.name, clusterName, cfg.AutoCreateTopics, !cfg.RequireGroups, cfg.MaxMessageBytes, cfg.TransactionTimeout.Milliseconds(),
		cfg.TransactionCheckInterval.Milliseconds(), cfg.TransactionCheckMax)
	return &frame.Frame{Fields: frame.Fields{{Key: "version", Value: `{"counter":0,"stateVersion":0,"timestamp":0}`}}, Body: []byte(body)}
}

func (b *broker) producerConnections(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("producerGroup")
	list, ok := b.producers[name]
	if !ok {
		return refuse(protocol.CodeSystemError, "the producer group["+name+"] not exist")
	}
	var all protocol.ConsumerConnection
	for _, k := range list {
		all.Connections = append(all.Connections, protocol.Connection{ClientID: k.client(), Address: k.remote.String(), Language: "JAVA"})
	}
	return protocol.AnswerJSON(map[string]any{"connectionSet": all.Connections})
}

// checkClient tells a client before its start whether its subscription can be served (CHECK_CLIENT_CONFIG): Java's
// clients ask only for those that aren't by tags.
func (b *broker) checkClient(c *call) *frame.Frame {
	if kind := protocol.ParseCheckClient(c.req); !isTags(kind) {
		return refuse(protocol.CodeSystemError, "The broker does not support consumer to filter message by "+kind)
	}
	return &frame.Frame{}
}
