package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// GetConsumerConnection is request 203 (GET_CONSUMER_CONNECTION_LIST) to one broker. A group without members there is
// answered with CONSUMER_NOT_ONLINE. Answered by [ParseConsumerConnection].
type GetConsumerConnection struct{ Group string }

// Frame gives the request in the fields of GetConsumerConnectionListRequestHeader.
func (r GetConsumerConnection) Frame() *frame.Frame {
	h := newHeader(1)
	h.text("consumerGroup", r.Group)
	return h.frame(ReqConsumerConnection, nil)
}

// ConsumerConnection is a group as one broker sees it.
type ConsumerConnection struct {
	Connections   []Connection                `json:"connectionSet"`
	Subscriptions map[string]SubscriptionData `json:"subscriptionTable"` // by topic
	Type          string                      `json:"consumeType"`
	Model         string                      `json:"messageModel"`
	From          string                      `json:"consumeFromWhere"`
}

// Connection is one member of a group.
type Connection struct {
	ClientID string `json:"clientId"`
	Address  string `json:"clientAddr"`
	Language string `json:"language"`
	Version  int32  `json:"version"` // ordinal in RocketMQ's enum MQVersion.Version
}

// ParseConsumerConnection reads the answer to a [GetConsumerConnection].
func ParseConsumerConnection(f *frame.Frame) (ConsumerConnection, error) {
	var c ConsumerConnection
	err := decodeAnswer(ReqConsumerConnection, f, &c)
	return c, err
}

// GetConsumeStats is request 208 (GET_CONSUME_STATS) to one broker. Answered by [ParseConsumeStats].
type GetConsumeStats struct {
	Group string
	Topic string // empty means every topic the group has offsets in
}

// Frame gives the request in the fields of GetConsumeStatsRequestHeader.
func (r GetConsumeStats) Frame() *frame.Frame {
	h := newHeader(2)
	h.text("consumerGroup", r.Group)
	h.textIfSet("topic", r.Topic)
	return h.frame(ReqConsumeStats, nil)
}

// ConsumeStats is how far a group has come on one broker.
type ConsumeStats struct {
	Queues map[Queue]ConsumeOffset
	TPS    float64 // messages a second, by the broker's count
}

// ConsumeOffset is how far a group has come in one queue.
type ConsumeOffset struct {
	Broker   int64 `json:"brokerOffset"`   // one past the queue's newest message
	Consumer int64 `json:"consumerOffset"` // committed; 0 also when nothing is
	Pull     int64 `json:"pullOffset"`     // not in 4.9
	LastTime int64 `json:"lastTimestamp"`  // when the last consumed message was stored, ms since 1970
}

// ParseConsumeStats reads the answer to a [GetConsumeStats].
func ParseConsumeStats(f *frame.Frame) (ConsumeStats, error) {
	var body struct {
		Queues map[queueKey]ConsumeOffset `json:"offsetTable"`
		TPS    float64                    `json:"consumeTps"`
	}
	if err := decodeAnswer(ReqConsumeStats, f, &body); err != nil {
		return ConsumeStats{}, err
	}
	return ConsumeStats{Queues: byQueue(body.Queues), TPS: body.TPS}, nil
}

// GetTopicStats is request 202 (GET_TOPIC_STATS_INFO) to one broker. Answered by [ParseTopicStats].
type GetTopicStats struct{ Topic string }

// Frame gives the request in the fields of GetTopicStatsInfoRequestHeader.
func (r GetTopicStats) Frame() *frame.Frame {
	h := newHeader(1)
	h.text("topic", r.Topic)
	return h.frame(ReqTopicStats, nil)
}

// TopicOffset is what one queue holds.
type TopicOffset struct {
	Min        int64 `json:"minOffset"`
	Max        int64 `json:"maxOffset"`
	LastUpdate int64 `json:"lastUpdateTimestamp"` // when the newest message was stored, ms since 1970; 0 when empty
}

// ParseTopicStats reads the answer to a [GetTopicStats].
func ParseTopicStats(f *frame.Frame) (map[Queue]TopicOffset, error) {
	var body struct {
		Queues map[queueKey]TopicOffset `json:"offsetTable"`
	}
	if err := decodeAnswer(ReqTopicStats, f, &body); err != nil {
		return nil, err
	}
	return byQueue(body.Queues), nil
}
