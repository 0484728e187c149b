package protocol

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// GroupConfig is a consumer group's settings on one broker, RocketMQ's class SubscriptionGroupConfig. Make one with
// NewGroupConfig: the zero value forbids consuming.
type GroupConfig struct {
	Name                  string            `json:"groupName"`
	ConsumeEnable         bool              `json:"consumeEnable"`
	ConsumeFromMinEnable  bool              `json:"consumeFromMinEnable"`
	BroadcastEnable       bool              `json:"consumeBroadcastEnable"`
	Orderly               bool              `json:"consumeMessageOrderly"`
	RetryQueues           int32             `json:"retryQueueNums"` // at 0 a broker takes messages back and drops them
	RetryMaxTimes         int32             `json:"retryMaxTimes"`
	RetryPolicy           json.RawMessage   `json:"groupRetryPolicy,omitempty"` // RocketMQ's GroupRetryPolicy as it came; not in 4.9
	BrokerID              int64             `json:"brokerId"`
	SlowBrokerID          int64             `json:"whichBrokerWhenConsumeSlowly"`
	NotifyMembersEnable   bool              `json:"notifyConsumerIdsChangedEnable"`
	SysFlag               int32             `json:"groupSysFlag"`
	ConsumeTimeoutMinutes int32             `json:"consumeTimeoutMinute"`
	Attributes            map[string]string `json:"attributes,omitempty"` // in a CreateGroup, names begin with + or -; not in 4.9

	// unknown holds what a broker says beyond the fields above, by its JSON name. It is written back, so that changing
	// one setting of a newer broker's group doesn't reset the others.
	unknown map[string]json.RawMessage
}

// NewGroupConfig gives a group with the settings that Java's class has.
func NewGroupConfig(name string) GroupConfig {
	return GroupConfig{
		Name:                  name,
		ConsumeEnable:         true,
		ConsumeFromMinEnable:  true,
		BroadcastEnable:       true,
		RetryQueues:           1,
		RetryMaxTimes:         16,
		BrokerID:              MasterID,
		SlowBrokerID:          1,
		NotifyMembersEnable:   true,
		ConsumeTimeoutMinutes: 15,
	}
}

// UnmarshalJSON gives settings that an older broker leaves out their default.
func (c *GroupConfig) UnmarshalJSON(b []byte) error {
	type plain GroupConfig
	p := plain(NewGroupConfig(""))
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &p.unknown); err != nil {
		return err
	}
	fields := reflect.TypeFor[plain]()
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		delete(p.unknown, name)
	}
	if len(p.unknown) == 0 {
		p.unknown = nil
	}
	*c = GroupConfig(p)
	return nil
}

// MarshalJSON writes the fields, and what UnmarshalJSON read beyond them.
func (c GroupConfig) MarshalJSON() ([]byte, error) {
	type plain GroupConfig
	text, err := json.Marshal(plain(c))
	if err != nil || len(c.unknown) == 0 {
		return text, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, c.unknown)
	return json.Marshal(all)
}

// CreateGroup is request 200 (UPDATE_AND_CREATE_SUBSCRIPTIONGROUP) to one broker. The answer is judged by [Check] alone.
type CreateGroup struct{ Config GroupConfig }

// Frame gives the request; its body is the settings.
func (r CreateGroup) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqCreateGroup, Body: encodeBody(r.Config)}
}

// ListGroups is request 201 (GET_ALL_SUBSCRIPTIONGROUP_CONFIG) to one broker. Answered by [ParseListGroups].
type ListGroups struct{}

// Frame gives the request, for all groups in one answer.
func (ListGroups) Frame() *frame.Frame { return &frame.Frame{Code: ReqListGroups} }

// ParseListGroups reads the answer to a [ListGroups], by group.
func ParseListGroups(f *frame.Frame) (map[string]GroupConfig, error) {
	var body struct {
		Groups map[string]GroupConfig `json:"subscriptionGroupTable"`
	}
	err := decodeAnswer(ReqListGroups, f, &body)
	return body.Groups, err
}

// DeleteGroup is request 207 (DELETE_SUBSCRIPTIONGROUP) to one broker. The group's retry and dead-letter topics stay.
// The answer is judged by [Check] alone.
type DeleteGroup struct {
	Group         string
	RemoveOffsets bool
}

// Frame gives the request in the fields of DeleteSubscriptionGroupRequestHeader: the flag has one name in 4.9 and
// another in 5.x, and goes under both.
func (r DeleteGroup) Frame() *frame.Frame {
	h := newHeader(3)
	h.text("groupName", r.Group)
	h.flag("removeOffset", r.RemoveOffsets)
	h.flag("cleanOffset", r.RemoveOffsets)
	return h.frame(ReqDeleteGroup, nil)
}

// GroupsOfTopic is request 300 (QUERY_TOPIC_CONSUME_BY_WHO) to one broker: the groups that consume a topic or have
// offsets in it. Answered by [ParseGroupsOfTopic]. It is sent by tools, and here by tests.
type GroupsOfTopic struct{ Topic string }

// Frame gives the request in the fields of QueryTopicConsumeByWhoRequestHeader.
func (r GroupsOfTopic) Frame() *frame.Frame {
	h := newHeader(1)
	h.text("topic", r.Topic)
	return h.frame(ReqGroupsOfTopic, nil)
}

// ParseGroupsOfTopic reads the answer to a [GroupsOfTopic]: names in no order.
func ParseGroupsOfTopic(f *frame.Frame) ([]string, error) {
	var body struct {
		Groups []string `json:"groupList"`
	}
	err := decodeAnswer(ReqGroupsOfTopic, f, &body)
	return body.Groups, err
}
