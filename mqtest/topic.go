package mqtest

import (
	"fmt"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

const defaultQueues = 4

// createOwn creates what every broker has from its first start: RocketMQ's own topics and groups, and those of the
// cluster's Config.
func (b *broker) createOwn() {
	own := map[string]int32{
		topicSelfTest: 1, topicBench: 1024, clusterName: 16, b.name: 1, topicMoved: 1,
		topicSchedule: int32(len(b.cluster.cfg.DelayLevels)), topicReply: 1, topicHalf: 1, topicHalfDone: 1, topicTimer: 1,
	}
	for name, queues := range own {
		t := protocol.NewTopicConfig(name, queues)
		if name == clusterName || name == b.name {
			t.Perm |= protocol.PermInherit
		}
		b.putTopic(t)
	}
	if b.cluster.cfg.AutoCreateTopics {
		t := protocol.NewTopicConfig(protocol.AutoCreateTopic, 8)
		t.Perm |= protocol.PermInherit
		b.putTopic(t)
	}
	for name, queues := range b.cluster.cfg.Topics {
		if queues == 0 {
			queues = defaultQueues
		}
		b.putTopic(protocol.NewTopicConfig(name, int32(queues)))
	}
	for _, name := range systemGroups {
		b.groups[name] = protocol.NewGroupConfig(name)
	}
}

// putTopic creates a topic or changes it, and registers it with the name servers.
func (b *broker) putTopic(config protocol.TopicConfig) *topic {
	t := b.store.topics[config.Name]
	if t == nil {
		t = &topic{queues: map[int32]*queue{}}
		b.store.topics[config.Name] = t
	}
	t.config = config
	next(&b.topicVersion)
	if b.server.isUp() {
		for _, n := range b.cluster.nameServers {
			n.register(b.name, b.server.address.String(), []protocol.TopicConfig{config})
		}
	}
	b.cluster.state.change()
	return t
}

func next(v *protocol.DataVersion) {
	v.Time = nowMillis()
	v.Counter++
}

// topicFor gives the topic of a send; a missing one is created when the topic that it asks to inherit from allows it
// (TopicConfigManager.createTopicInSendMessageMethod). Nil when there is none.
func (b *broker) topicFor(m *protocol.SendMessage) *topic {
	if t := b.store.topics[m.Topic]; t != nil {
		return t
	}
	if model := b.store.topics[m.DefaultTopic]; model != nil && model.config.Perm&protocol.PermInherit != 0 {
		config := protocol.NewTopicConfig(m.Topic, max(0, min(m.DefaultQueues, model.config.WriteQueues)))
		config.Perm = model.config.Perm &^ protocol.PermInherit
		return b.putTopic(config)
	}
	if strings.HasPrefix(m.Topic, retryPrefix) {
		return b.topicOfGroup(m.Topic, 1)
	}
	return nil
}

// topicOfGroup gives a group's retry or dead-letter topic, created by first use.
func (b *broker) topicOfGroup(name string, queues int32) *topic {
	if t := b.store.topics[name]; t != nil {
		return t
	}
	return b.putTopic(protocol.NewTopicConfig(name, queues))
}

func (b *broker) createTopic(c *call) *frame.Frame {
	config, err := protocol.ParseCreateTopic(c.req)
	if err != nil {
		return malformed(err)
	}
	if why := badTopic(config.Name); why != "" {
		return refuse(protocol.CodeInvalidParameter, why)
	}
	if b.cluster.isSystemTopic(config.Name) {
		return refuse(protocol.CodeInvalidParameter, "The topic["+config.Name+"] is conflict with system topic.")
	}
	var attributes map[string]string
	if t := b.store.topics[config.Name]; t != nil {
		attributes = t.config.Attributes
	}
	changes, _ := c.req.Fields.Get("attributes")
	config.Attributes = protocol.ApplyAttributes(attributes, changes)
	b.putTopic(config)
	return succeeded()
}

// succeeded is a success with the remark that a real broker forgets to take out.
func succeeded() *frame.Frame { return &frame.Frame{Remark: "not set any response code"} }

// deleteTopic deletes a topic with its messages and the groups' offsets in it. Name servers go on knowing it until they
// are told (DELETE_TOPIC_IN_NAMESRV).
func (b *broker) deleteTopic(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("topic")
	switch {
	case strings.TrimSpace(name) == "":
		return refuse(protocol.CodeInvalidParameter, "The specified topic is blank.")
	case b.cluster.isSystemTopic(name):
		return refuse(protocol.CodeInvalidParameter, "The topic["+name+"] is conflict with system topic.")
	}
	if t := b.store.topics[name]; t != nil {
		for _, q := range t.queues {
			b.store.drop(q, 0)
		}
		delete(b.store.topics, name)
		next(&b.topicVersion)
	}
	b.forgetPlaces(func(p place) bool { return p.topic == name })
	b.cluster.state.change()
	return &frame.Frame{}
}

func (b *broker) topicConfig(c *call) *frame.Frame {
	name, _ := c.req.Fields.Get("topic")
	t := b.store.topics[name]
	if t == nil {
		return refuse(protocol.CodeTopicNotExist, "No topic in this broker. topic: "+name)
	}
	return protocol.AnswerJSON(t.config)
}

func (b *broker) topicConfigs(*call) *frame.Frame {
	configs := make(map[string]protocol.TopicConfig, len(b.store.topics))
	for name, t := range b.store.topics {
		configs[name] = t.config
	}
	return protocol.AnswerTopicConfigs(configs, b.topicVersion)
}

// CreateTopic creates a topic on every broker, or gives it another number of queues. topic is the physical name;
// 0 queues means 4. Stopped brokers have it too once they are back.
func (c *Cluster) CreateTopic(topic string, queues int) error {
	if why := badTopic(topic); why != "" {
		return fmt.Errorf("mqtest: %s", why)
	}
	if queues < 0 || queues > 1024 {
		return fmt.Errorf("mqtest: topic %s: %d queues are not from 0 to 1024", topic, queues)
	}
	if queues == 0 {
		queues = defaultQueues
	}
	for _, b := range c.brokers {
		b.mu.Lock()
		b.putTopic(protocol.NewTopicConfig(topic, int32(queues)))
		b.mu.Unlock()
	}
	return nil
}
