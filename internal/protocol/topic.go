package protocol

import (
	"maps"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// SingleTag is the usual filter type of a topic: a message has at most one tag.
const SingleTag = "SINGLE_TAG"

// TopicConfig is a topic's settings on one broker.
type TopicConfig struct {
	Name        string            `json:"topicName"`
	ReadQueues  int32             `json:"readQueueNums"`
	WriteQueues int32             `json:"writeQueueNums"`
	Perm        int32             `json:"perm"`            // Perm bits
	FilterType  string            `json:"topicFilterType"` // empty means SingleTag
	SysFlag     int32             `json:"topicSysFlag"`
	Order       bool              `json:"order"`
	Attributes  map[string]string `json:"attributes,omitempty"` // such as message.type; not in 4.9
}

// NewTopicConfig gives a topic that can be read and written, with the same number of queues for both.
func NewTopicConfig(name string, queues int32) TopicConfig {
	return TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: PermRead | PermWrite, FilterType: SingleTag}
}

// CreateTopic is request 17 (UPDATE_AND_CREATE_TOPIC) to one broker's master. The answer is judged by [Check] alone.
type CreateTopic struct{ Config TopicConfig }

// Frame gives the request in the fields of CreateTopicRequestHeader. Attributes are set, or replaced, one by one;
// one with an empty value is removed.
func (r CreateTopic) Frame() *frame.Frame {
	c := r.Config
	if c.FilterType == "" {
		c.FilterType = SingleTag
	}
	h := newHeader(9)
	h.text("topic", c.Name)
	h.text("defaultTopic", AutoCreateTopic)
	h.number("readQueueNums", int64(c.ReadQueues))
	h.number("writeQueueNums", int64(c.WriteQueues))
	h.number("perm", int64(c.Perm))
	h.text("topicFilterType", c.FilterType)
	h.number("topicSysFlag", int64(c.SysFlag))
	h.flag("order", c.Order)
	h.textIfSet("attributes", attributeChanges(c.Attributes))
	return h.frame(ReqCreateTopic, nil)
}

// attributeChanges writes attributes as a broker's AttributeParser reads them: +name=value,-name.
func attributeChanges(attributes map[string]string) string {
	changes := make([]string, 0, len(attributes))
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if value := attributes[name]; value != "" {
			changes = append(changes, "+"+name+"="+value)
		} else {
			changes = append(changes, "-"+name)
		}
	}
	return strings.Join(changes, ",")
}

// GetTopicConfig is request 351 (GET_TOPIC_CONFIG), which 4.9 answers with
// REQUEST_CODE_NOT_SUPPORTED. Answered by [ParseTopicConfig].
type GetTopicConfig struct{ Topic string }

// Frame gives the request in the fields of GetTopicConfigRequestHeader.
func (r GetTopicConfig) Frame() *frame.Frame {
	h := newHeader(2)
	h.text("topic", r.Topic)
	h.flag("lo", true) // the broker's own view, not that of a static topic
	return h.frame(ReqGetTopicConfig, nil)
}

// ParseTopicConfig reads the answer to a [GetTopicConfig].
func ParseTopicConfig(f *frame.Frame) (TopicConfig, error) {
	var c TopicConfig
	err := decodeAnswer(ReqGetTopicConfig, f, &c)
	return c, err
}

// ListTopicConfigs is request 21 (GET_ALL_TOPIC_CONFIG) to one broker. Answered by [ParseTopicConfigs].
type ListTopicConfigs struct{}

// Frame gives the request, for all topics in one answer.
func (ListTopicConfigs) Frame() *frame.Frame { return &frame.Frame{Code: ReqGetAllTopicConfig} }

// ParseTopicConfigs reads the answer to a [ListTopicConfigs], by topic.
func ParseTopicConfigs(f *frame.Frame) (map[string]TopicConfig, error) {
	var body struct {
		Topics map[string]TopicConfig `json:"topicConfigTable"`
	}
	err := decodeAnswer(ReqGetAllTopicConfig, f, &body)
	return body.Topics, err
}

// DeleteTopicBroker is request 215 (DELETE_TOPIC_IN_BROKER). The answer is judged by [Check] alone.
type DeleteTopicBroker struct{ Topic string }

// Frame gives the request in the fields of DeleteTopicRequestHeader.
func (r DeleteTopicBroker) Frame() *frame.Frame {
	h := newHeader(1)
	h.text("topic", r.Topic)
	return h.frame(ReqDeleteTopicBroker, nil)
}

// DeleteTopicNameServer is request 216 (DELETE_TOPIC_IN_NAMESRV). The answer is judged by [Check] alone.
type DeleteTopicNameServer struct {
	Topic   string
	Cluster string // only this cluster's brokers; empty means all
}

// Frame gives the request in the fields of DeleteTopicFromNamesrvRequestHeader.
func (r DeleteTopicNameServer) Frame() *frame.Frame {
	h := newHeader(2)
	h.text("topic", r.Topic)
	h.textIfSet("clusterName", r.Cluster)
	return h.frame(ReqDeleteTopicNameServer, nil)
}

// ListTopics is request 206 (GET_ALL_TOPIC_LIST_FROM_NAMESERVER), which an operator may have switched off. Answered by
// [ParseListTopics].
type ListTopics struct{}

// Frame gives the request.
func (ListTopics) Frame() *frame.Frame { return &frame.Frame{Code: ReqListTopics} }

// ParseListTopics reads the answer to a [ListTopics]: names in no order.
func ParseListTopics(f *frame.Frame) ([]string, error) {
	var body struct {
		Topics []string `json:"topicList"`
	}
	err := decodeAnswer(ReqListTopics, f, &body)
	return body.Topics, err
}
