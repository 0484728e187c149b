package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// How a consumer receives, RocketMQ's enum ConsumeType.
const (
	ConsumeActively  = "CONSUME_ACTIVELY"  // it pulls as it likes, at positions of its own
	ConsumePassively = "CONSUME_PASSIVELY" // the group's members share the queues: what Java calls push
	ConsumePop       = "CONSUME_POP"
)

// Who receives a message of a group, RocketMQ's enum MessageModel.
const (
	Clustering   = "CLUSTERING"   // one member
	Broadcasting = "BROADCASTING" // every member
)

// Where a group without offsets begins, RocketMQ's enum ConsumeFromWhere. Brokers don't act on it; tools show it.
const (
	FromLastOffset  = "CONSUME_FROM_LAST_OFFSET"
	FromFirstOffset = "CONSUME_FROM_FIRST_OFFSET"
	FromTimestamp   = "CONSUME_FROM_TIMESTAMP"
)

// Heartbeat is request 34 (HEART_BEAT): what this connection's client is a member of. A broker forgets a member after
// 120 s without one. The answer is judged by [Check] alone.
type Heartbeat struct {
	ClientID  string         `json:"clientID"`
	Producers []ProducerData `json:"producerDataSet,omitempty"`
	Consumers []ConsumerData `json:"consumerDataSet,omitempty"`
}

// ProducerData is a producer group's entry in a heartbeat.
type ProducerData struct {
	Group string `json:"groupName"`
}

// ConsumerData is a consumer group's entry in a heartbeat.
type ConsumerData struct {
	Group         string             `json:"groupName"`
	Type          string             `json:"consumeType"`      // empty means ConsumePassively
	Model         string             `json:"messageModel"`     // empty means Clustering
	From          string             `json:"consumeFromWhere"` // empty means FromLastOffset
	Subscriptions []SubscriptionData `json:"subscriptionDataSet,omitempty"`
	UnitMode      bool               `json:"unitMode"`
}

// Frame gives the request; its body is RocketMQ's HeartbeatData.
func (r Heartbeat) Frame() *frame.Frame {
	consumers := make([]ConsumerData, len(r.Consumers))
	for i, c := range r.Consumers {
		consumers[i] = c.withDefaults()
	}
	r.Consumers = consumers
	return &frame.Frame{Code: ReqHeartbeat, Body: encodeBody(r)}
}

func (c ConsumerData) withDefaults() ConsumerData {
	if c.Type == "" {
		c.Type = ConsumePassively
	}
	if c.Model == "" {
		c.Model = Clustering
	}
	if c.From == "" {
		c.From = FromLastOffset
	}
	return c
}

// ParseHeartbeat reads the request, as a broker does.
func ParseHeartbeat(f *frame.Frame) (Heartbeat, error) {
	var r Heartbeat
	err := decodeBody(ReqHeartbeat, f.Body, &r)
	return r, err
}

// Unregister is request 35 (UNREGISTER_CLIENT): the client leaves a group at once. The answer is judged by [Check] alone.
// A broker creates a consumer group that it doesn't know.
type Unregister struct {
	ClientID      string
	ProducerGroup string // empty leaves none
	ConsumerGroup string // empty leaves none
}

// Frame gives the request in the fields of UnregisterClientRequestHeader.
func (r Unregister) Frame() *frame.Frame {
	h := newHeader(3)
	h.text("clientID", r.ClientID)
	h.textIfSet("producerGroup", r.ProducerGroup)
	h.textIfSet("consumerGroup", r.ConsumerGroup)
	return h.frame(ReqUnregister, nil)
}

// CheckClient is request 46 (CHECK_CLIENT_CONFIG): whether the broker can serve a subscription. The answer is judged by
// [Check]: code 23 for an expression that it can't read, 1 where it doesn't filter by such.
type CheckClient struct {
	ClientID     string           `json:"clientId"`
	Group        string           `json:"group"`
	Subscription SubscriptionData `json:"subscriptionData"`
}

// Frame gives the request; its body is RocketMQ's CheckClientRequestBody.
func (r CheckClient) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqCheckClient, Body: encodeBody(r)}
}

// ConsumerList is request 38 (GET_CONSUMER_LIST_BY_GROUP): the ids of a group's members that are connected to the broker.
// Answered by [ParseConsumerList].
type ConsumerList struct{ Group string }

// Frame gives the request in the fields of GetConsumerListByGroupRequestHeader.
func (r ConsumerList) Frame() *frame.Frame {
	h := newHeader(1)
	h.text("consumerGroup", r.Group)
	return h.frame(ReqConsumerList, nil)
}

// ParseConsumerList reads the answer to a [ConsumerList]. A group without members is answered with code 1, an error here.
func ParseConsumerList(f *frame.Frame) ([]string, error) {
	var body struct {
		IDs []string `json:"consumerIdList"`
	}
	err := decodeAnswer(ReqConsumerList, f, &body)
	return body.IDs, err
}
