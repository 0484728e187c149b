package protocol

import (
	"errors"
	"math"

	"github.com/rocketkit/rocketkit/internal/frame"
)

var errNoGroup = errors.New("no consumer group")

// Properties of a ConsumerRunningInfo that RocketMQ's tools look for. They fail without
// RunningConsumeType and RunningStartTime.
const (
	RunningNameServers = "PROP_NAMESERVER_ADDR"
	RunningCorePool    = "PROP_THREADPOOL_CORE_SIZE"
	RunningOrderly     = "PROP_CONSUMEORDERLY"
	RunningConsumeType = "PROP_CONSUME_TYPE"
	RunningVersion     = "PROP_CLIENT_VERSION"
	RunningStartTime   = "PROP_CONSUMER_START_TIMESTAMP" // ms since 1970
)

// GetRunningInfo is request 307 (GET_CONSUMER_RUNNING_INFO): a tool asks a broker, which asks the member.
// Answered by [ParseRunningInfo]; a member answers with [ConsumerRunningInfo.Answer].
type GetRunningInfo struct {
	Group    string
	ClientID string
	Stack    bool // with the stacks of all threads
}

// Frame gives the request in the fields of GetConsumerRunningInfoRequestHeader.
func (r GetRunningInfo) Frame() *frame.Frame {
	h := newHeader(3)
	h.text("consumerGroup", r.Group)
	h.text("clientId", r.ClientID)
	h.flag("jstackEnable", r.Stack)
	return h.frame(ReqRunningInfo, nil)
}

// ParseGetRunningInfo reads the request, as a member does.
func ParseGetRunningInfo(f *frame.Frame) (GetRunningInfo, error) {
	r := reader{fields: f.Fields}
	q := GetRunningInfo{Group: r.text("consumerGroup"), ClientID: r.text("clientId"), Stack: f.Fields.Bool("jstackEnable")}
	if q.Group == "" {
		return GetRunningInfo{}, badAnswer(ReqRunningInfo, errNoGroup)
	}
	return q, nil
}

// ConsumerRunningInfo is what a member says of itself; mqadmin consumerStatus and the dashboard print it.
type ConsumerRunningInfo struct {
	Properties    map[string]string // Running properties and any others: tools print them all
	Subscriptions []SubscriptionData
	Queues        map[Queue]QueueInfo
	Statuses      map[string]ConsumeStatus // by topic
	UserInfo      map[string]string        // printed in a section of its own; not in 4.9
	Stack         string
}

// QueueInfo is a queue that a member holds, RocketMQ's class ProcessQueueInfo.
type QueueInfo struct {
	CommitOffset         int64 `json:"commitOffset"`
	CachedMinOffset      int64 `json:"cachedMsgMinOffset"`
	CachedMaxOffset      int64 `json:"cachedMsgMaxOffset"`
	CachedCount          int32 `json:"cachedMsgCount"`
	CachedMiB            int32 `json:"cachedMsgSizeInMiB"`
	TransactionMinOffset int64 `json:"transactionMsgMinOffset"` // handed to handlers in order; so are the next two
	TransactionMaxOffset int64 `json:"transactionMsgMaxOffset"`
	TransactionCount     int32 `json:"transactionMsgCount"`
	Locked               bool  `json:"locked"`
	TryUnlockTimes       int64 `json:"tryUnlockTimes"`
	LastLockTime         int64 `json:"lastLockTimestamp"` // ms since 1970, as the following
	Dropped              bool  `json:"droped"`            // spelt so on the wire
	LastPullTime         int64 `json:"lastPullTimestamp"`
	LastConsumeTime      int64 `json:"lastConsumeTimestamp"`
}

// ConsumeStatus is a topic's traffic at a member.
type ConsumeStatus struct {
	PullRT         float64 `json:"pullRT"` // ms
	PullTPS        float64 `json:"pullTPS"`
	ConsumeRT      float64 `json:"consumeRT"` // ms
	OKTPS          float64 `json:"consumeOKTPS"`
	FailedTPS      float64 `json:"consumeFailedTPS"`
	FailedMessages int64   `json:"consumeFailedMsgs"` // within the last hour
}

// Answer gives the answer to a [GetRunningInfo]. Queues are written under object keys, the only form Java's tools read.
func (c *ConsumerRunningInfo) Answer() *frame.Frame {
	body, err := c.appendBody(nil)
	if err != nil {
		return Refuse(CodeSystemError, err.Error())
	}
	return &frame.Frame{Body: body}
}

func (c *ConsumerRunningInfo) appendBody(dst []byte) ([]byte, error) {
	statuses := make(map[string]ConsumeStatus, len(c.Statuses))
	for topic, s := range c.Statuses {
		statuses[topic] = s.finite()
	}
	parts := []struct {
		before string
		value  any
	}{
		{`{"properties":`, orEmpty(c.Properties)},
		{`,"subscriptionSet":`, append([]SubscriptionData{}, c.Subscriptions...)},
		{`,"statusTable":`, statuses},
		{`,"userConsumerInfo":`, orEmpty(c.UserInfo)},
	}
	for _, p := range parts {
		var err error
		if dst, err = appendJSON(append(dst, p.before...), p.value); err != nil {
			return nil, err
		}
	}
	dst, err := appendQueueTable(append(dst, `,"mqTable":`...), c.Queues)
	if err != nil {
		return nil, err
	}
	if c.Stack != "" {
		if dst, err = appendJSON(append(dst, `,"jstack":`...), c.Stack); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// finite replaces rates that JSON can't hold, such as 0/0, by 0.
func (s ConsumeStatus) finite() ConsumeStatus {
	for _, f := range []*float64{&s.PullRT, &s.PullTPS, &s.ConsumeRT, &s.OKTPS, &s.FailedTPS} {
		if math.IsNaN(*f) || math.IsInf(*f, 0) {
			*f = 0
		}
	}
	return s
}

// orEmpty keeps null out of a body: Java's tools iterate without asking.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// ParseRunningInfo reads the answer to a [GetRunningInfo].
func ParseRunningInfo(f *frame.Frame) (ConsumerRunningInfo, error) {
	var body struct {
		Properties    map[string]string        `json:"properties"`
		Subscriptions []SubscriptionData       `json:"subscriptionSet"`
		Queues        map[queueKey]QueueInfo   `json:"mqTable"`
		Statuses      map[string]ConsumeStatus `json:"statusTable"`
		UserInfo      map[string]string        `json:"userConsumerInfo"`
		Stack         string                   `json:"jstack"`
	}
	if err := decodeAnswer(ReqRunningInfo, f, &body); err != nil {
		return ConsumerRunningInfo{}, err
	}
	return ConsumerRunningInfo{
		Properties: body.Properties, Subscriptions: body.Subscriptions, Queues: byQueue(body.Queues),
		Statuses: body.Statuses, UserInfo: body.UserInfo, Stack: body.Stack,
	}, nil
}

// Refuse gives an answer with a code and a remark, to any request.
func Refuse(code int32, remark string) *frame.Frame {
	return &frame.Frame{Code: code, Remark: remark}
}
