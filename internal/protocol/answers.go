package protocol

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// The answers in this file are written as name servers and brokers write them: for servers that stand in for one. Bodies
// are standard JSON, but for maps whose keys are objects, which Java's clients read in fastjson's form only.

// Answer gives the answer to a [SendMessage].
func (r SendResult) Answer() *frame.Frame {
	h := newHeader(8)
	h.text("msgId", r.OffsetID)
	h.number("queueId", int64(r.QueueID))
	h.number("queueOffset", r.QueueOffset)
	h.textIfSet("transactionId", r.TransactionID)
	h.textIfSet("batchUniqId", r.BatchID)
	h.textIfSet("recallHandle", r.RecallHandle)
	if r.Region != "" {
		h.text("MSG_REGION", r.Region)
		h.text("TRACE_ON", "true")
	}
	return h.frame(int32(r.Status), nil)
}

// Answer gives the answer to a [PullMessage].
func (r *PullResult) Answer() *frame.Frame {
	h := newHeader(6)
	h.number("suggestWhichBrokerId", r.SuggestBrokerID)
	h.number("nextBeginOffset", r.NextOffset)
	h.number("minOffset", r.MinOffset)
	h.number("maxOffset", r.MaxOffset)
	if r.OffsetDelta != 0 {
		h.number("offsetDelta", r.OffsetDelta)
	}
	f := h.frame(int32(r.Status), r.Body)
	f.Remark = r.Remark
	return f
}

// AnswerNumber gives an answer whose header is one number: to requests 14, 29, 30 and 31 "offset", to 32 "timestamp".
func AnswerNumber(field string, n int64) *frame.Frame {
	return &frame.Frame{Fields: frame.Fields{{Key: field, Value: strconv.FormatInt(n, 10)}}}
}

// AnswerJSON gives an answer whose body is v as JSON.
func AnswerJSON(v any) *frame.Frame { return &frame.Frame{Body: encodeBody(v)} }

// Answer gives the answer to a [GetRoute].
func (r TopicRoute) Answer() *frame.Frame {
	return AnswerJSON(struct {
		TopicRoute
		FilterServers struct{} `json:"filterServerTable"` // Java's clients expect it
	}{TopicRoute: r})
}

// Answer gives the answer to a [GetCluster].
func (c ClusterInfo) Answer() *frame.Frame { return AnswerJSON(c) }

// ConsumersChanged gives the one-way request 40 that tells a member of a change of its group.
func ConsumersChanged(group string) *frame.Frame {
	h := newHeader(1)
	h.text("consumerGroup", group)
	return h.frame(ReqConsumersChanged, nil)
}

// Request gives the one-way request by which a broker asks a producer.
func (c CheckTransaction) Request() *frame.Frame {
	h := newHeader(7)
	h.text("topic", c.Message.Topic)
	h.number("tranStateTableOffset", c.PreparedOffset)
	h.number("commitLogOffset", c.CommitLogOffset)
	h.textIfSet("msgId", c.MessageID)
	h.textIfSet("transactionId", c.TransactionID)
	h.textIfSet("offsetMsgId", c.OffsetID)
	h.textIfSet("bname", c.BrokerName)
	return h.frame(ReqCheckTransaction, EncodeMessage(nil, &c.Message))
}

// Answer gives the answer to a [GetConsumeStats].
func (s ConsumeStats) Answer() *frame.Frame {
	body, err := appendQueueTable([]byte(`{"offsetTable":`), s.Queues)
	if err != nil {
		return Refuse(CodeSystemError, err.Error())
	}
	return &frame.Frame{Body: fmt.Appendf(body, `,"consumeTps":%g}`, s.TPS)}
}

// AnswerTopicStats gives the answer to a [GetTopicStats].
func AnswerTopicStats(queues map[Queue]TopicOffset) *frame.Frame {
	body, err := appendQueueTable([]byte(`{"offsetTable":`), queues)
	if err != nil {
		return Refuse(CodeSystemError, err.Error())
	}
	return &frame.Frame{Body: append(body, `,"topicPutTps":0.0}`...)}
}

// AnswerOffsets gives the answer to a [ResetOffset], RocketMQ's ResetOffsetBody.
func AnswerOffsets(offsets map[Queue]int64) *frame.Frame {
	body, err := appendQueueTable([]byte(`{"offsetTable":`), offsets)
	if err != nil {
		return Refuse(CodeSystemError, err.Error())
	}
	return &frame.Frame{Body: append(body, '}')}
}

// AnswerLocked gives the answer to a [LockQueues]: what the member now holds.
func AnswerLocked(queues []Queue) *frame.Frame {
	if queues == nil {
		queues = []Queue{}
	}
	return AnswerJSON(struct {
		Queues []Queue `json:"lockOKMQSet"`
	}{queues})
}

// Answer gives the answer to a [GetConsumerConnection].
func (c ConsumerConnection) Answer() *frame.Frame { return AnswerJSON(c) }

// AnswerList gives an answer whose body is one list under a name: "consumerIdList", "topicList", "groupList".
func AnswerList(name string, items []string) *frame.Frame {
	if items == nil {
		items = []string{}
	}
	return AnswerJSON(map[string][]string{name: items})
}

// AnswerTable gives the answer to a [ListKV] or a [BrokerRuntimeInfo].
func AnswerTable(table map[string]string) *frame.Frame {
	return AnswerJSON(map[string]map[string]string{"table": orEmpty(table)})
}

// DataVersion is what tells one state of a broker's tables from the next.
type DataVersion struct {
	StateVersion int64 `json:"stateVersion"`
	Time         int64 `json:"timestamp"` // ms since 1970
	Counter      int64 `json:"counter"`
}

// AnswerTopicConfigs gives the answer to a [ListTopicConfigs].
func AnswerTopicConfigs(topics map[string]TopicConfig, version DataVersion) *frame.Frame {
	f := AnswerJSON(struct {
		Topics  map[string]TopicConfig `json:"topicConfigTable"`
		Version DataVersion            `json:"dataVersion"`

		// Static topics, of which there are none.
		Details  struct{}    `json:"topicQueueMappingDetailMap"`
		Info     struct{}    `json:"topicQueueMappingInfoMap"`
		Mappings DataVersion `json:"mappingDataVersion"`
	}{Topics: topics, Version: version})
	f.Fields = frame.Fields{{Key: "totalTopicNum", Value: strconv.Itoa(len(topics))}}
	return f
}

// AnswerGroups gives the answer to a [ListGroups].
func AnswerGroups(groups map[string]GroupConfig, version DataVersion) *frame.Frame {
	whole := make(map[string]map[string]json.RawMessage, len(groups))
	for name, c := range groups {
		whole[name] = c.whole()
	}
	f := AnswerJSON(struct {
		Groups    map[string]map[string]json.RawMessage `json:"subscriptionGroupTable"`
		Forbidden struct{}                              `json:"forbiddenTable"`
		Version   DataVersion                           `json:"dataVersion"`
	}{Groups: whole, Version: version})
	f.Fields = frame.Fields{{Key: "totalGroupNum", Value: strconv.Itoa(len(groups))}}
	return f
}

// AnswerConsumerOffsets gives the answer to request 43 (GET_ALL_CONSUMER_OFFSET); keys are topic@group, then queue ids.
func AnswerConsumerOffsets(offsets map[string]map[int32]int64) *frame.Frame {
	return AnswerJSON(struct {
		Offsets map[string]map[int32]int64 `json:"offsetTable"`
	}{offsets})
}

// whole gives a group's settings with those that may be left out of a request.
func (c GroupConfig) whole() map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(encodeBody(c), &all) != nil {
		return nil
	}
	for name, value := range map[string]string{"attributes": "{}", "groupRetryPolicy": `{"type":"CUSTOMIZED"}`} {
		if _, set := all[name]; !set {
			all[name] = json.RawMessage(value)
		}
	}
	return all
}

// Answer gives the answer to request 352 (GET_SUBSCRIPTIONGROUP_CONFIG).
func (c GroupConfig) Answer() *frame.Frame { return AnswerJSON(c.whole()) }

var quotedNumber = regexp.MustCompile(`([{,])"(\d+)":`)

// BareNumbers takes the quotes off the keys that are numbers, as fastjson writes maps with such keys. Bodies hold no
// texts that look like one.
func BareNumbers(body []byte) []byte { return quotedNumber.ReplaceAll(body, []byte("$1$2:")) }
