package protocol

import (
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// The requests in this file are read as a broker reads them: for servers that stand in for one.

// sendNames are the fields of SendMessageRequestHeader; those of SendMessageRequestHeaderV2 are the letters a to n.
var sendNames = [14]string{
	"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag", "bornTimestamp", "flag",
	"properties", "reconsumeTimes", "unitMode", "maxReconsumeTimes", "batch", "bname",
}

var sendLetters = [14]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"}

// ParseSendRequest reads a send as a broker does: requests 10 and 324 by their long field names, 310, 320 and 325 by the
// letters.
// limited tells whether the sender wrote MaxReconsumeTimes, whose every value counts: only without it the group's own
// setting does.
func ParseSendRequest(f *frame.Frame) (m SendMessage, limited bool, err error) {
	names := &sendLetters
	if f.Code == ReqSendMessage || f.Code == ReqSendReply {
		names = &sendNames
	}
	r := reader{fields: f.Fields}
	most, limited := r.int32IfSet(names[11])
	m = SendMessage{
		ProducerGroup:     r.text(names[0]),
		Topic:             r.text(names[1]),
		DefaultTopic:      r.text(names[2]),
		DefaultQueues:     r.int32(names[3]),
		QueueID:           r.int32(names[4]),
		SysFlag:           r.int32(names[5]),
		BornTime:          r.int64(names[6]),
		Flag:              r.int32(names[7]),
		Properties:        Properties(r.text(names[8])),
		ReconsumeTimes:    int32(r.int64Or(names[9], 0)),
		MaxReconsumeTimes: most,
		Batch:             f.Fields.Bool(names[12]),
		BrokerName:        r.text(names[13]),
		Reply:             f.Code == ReqSendReply || f.Code == ReqSendReplyV2,
		Body:              f.Body,
	}
	if r.err != nil {
		return SendMessage{}, false, badAnswer(f.Code, r.err)
	}
	return m, limited, nil
}

// ParsePullRequest reads a [PullMessage] as a broker does.
func ParsePullRequest(f *frame.Frame) (PullMessage, error) {
	r := reader{fields: f.Fields}
	p := PullMessage{
		Group:          r.text("consumerGroup"),
		Topic:          r.text("topic"),
		QueueID:        r.int32("queueId"),
		Offset:         r.int64("queueOffset"),
		MaxMessages:    r.int32("maxMsgNums"),
		MaxBytes:       int32(r.int64Or("maxMsgBytes", 0)),
		SysFlag:        r.int32("sysFlag"),
		CommitOffset:   r.int64("commitOffset"),
		SuspendMillis:  r.int64("suspendTimeoutMillis"),
		Subscription:   r.text("subscription"),
		SubVersion:     r.int64("subVersion"),
		ExpressionType: r.text("expressionType"),
		BrokerName:     r.text("bname"),
	}
	if r.err != nil {
		return PullMessage{}, badAnswer(ReqPullMessage, r.err)
	}
	return p, nil
}

// ParseSendBack reads a [SendBack] as a broker does. limited tells whether the member wrote MaxReconsumeTimes, as
// [ParseSendRequest] does.
func ParseSendBack(f *frame.Frame) (s SendBack, limited bool, err error) {
	r := reader{fields: f.Fields}
	most, limited := r.int32IfSet("maxReconsumeTimes")
	s = SendBack{
		Group:             r.text("group"),
		Offset:            r.int64("offset"),
		DelayLevel:        r.int32("delayLevel"),
		OriginID:          r.text("originMsgId"),
		OriginTopic:       r.text("originTopic"),
		MaxReconsumeTimes: most,
		BrokerName:        r.text("bname"),
	}
	if r.err != nil {
		return SendBack{}, false, badAnswer(ReqSendBack, r.err)
	}
	return s, limited, nil
}

// ParseLockRequest reads the body of a [LockQueues].
func ParseLockRequest(f *frame.Frame) (LockQueues, error) {
	var r LockQueues
	err := decodeBody(ReqLockQueues, f.Body, &r)
	return r, err
}

// ParseUnlockRequest reads the body of an [UnlockQueues].
func ParseUnlockRequest(f *frame.Frame) (UnlockQueues, error) {
	var r UnlockQueues
	err := decodeBody(ReqUnlockQueues, f.Body, &r)
	return r, err
}

// ParseCreateGroup reads the body of a [CreateGroup].
func ParseCreateGroup(f *frame.Frame) (GroupConfig, error) {
	var c GroupConfig
	err := decodeBody(ReqCreateGroup, f.Body, &c)
	return c, err
}

// ParseCreateTopic reads a [CreateTopic] as a broker does, but for the attributes: ApplyAttributes reads those.
func ParseCreateTopic(f *frame.Frame) (TopicConfig, error) {
	r := reader{fields: f.Fields}
	c := TopicConfig{
		Name:        r.text("topic"),
		ReadQueues:  r.int32("readQueueNums"),
		WriteQueues: r.int32("writeQueueNums"),
		Perm:        r.int32("perm"),
		FilterType:  r.text("topicFilterType"),
		SysFlag:     int32(r.int64Or("topicSysFlag", 0)),
		Order:       f.Fields.Bool("order"),
	}
	if r.err != nil {
		return TopicConfig{}, badAnswer(ReqCreateTopic, r.err)
	}
	return c, nil
}

// ApplyAttributes makes the changes that the field "attributes" of a [CreateTopic] asks for, +name=value,-name, to a
// copy of the attributes a topic has.
func ApplyAttributes(attributes map[string]string, changes string) map[string]string {
	changed := make(map[string]string, len(attributes))
	for name, value := range attributes {
		changed[name] = value
	}
	for change := range strings.SplitSeq(changes, ",") {
		name, value, set := strings.Cut(change, "=")
		switch {
		case len(name) < 2:
		case set && name[0] == '+':
			changed[name[1:]] = value
		case !set && name[0] == '-':
			delete(changed, name[1:])
		}
	}
	return changed
}

// ParseEndTransaction reads an [EndTransaction] as a broker does.
func ParseEndTransaction(f *frame.Frame) (EndTransaction, error) {
	r := reader{fields: f.Fields}
	e := EndTransaction{
		ProducerGroup:   r.text("producerGroup"),
		Topic:           r.text("topic"),
		PreparedOffset:  r.int64("tranStateTableOffset"),
		CommitLogOffset: r.int64("commitLogOffset"),
		Outcome:         r.int32("commitOrRollback"),
		FromCheck:       f.Fields.Bool("fromTransactionCheck"),
		MessageID:       r.text("msgId"),
		TransactionID:   r.text("transactionId"),
		BrokerName:      r.text("bname"),
	}
	if r.err != nil {
		return EndTransaction{}, badAnswer(ReqEndTransaction, r.err)
	}
	return e, nil
}

// ParseResetRequest reads a [ResetOffset] as a broker does; without a queueId it concerns all queues.
func ParseResetRequest(f *frame.Frame) (ResetOffset, error) {
	r := reader{fields: f.Fields}
	q := ResetOffset{
		Group:   r.text("group"),
		Topic:   r.text("topic"),
		Time:    r.int64Or("timestamp", -1),
		Force:   f.Fields.Bool("isForce"),
		QueueID: int32(r.int64Or("queueId", -1)),
		Offset:  r.int64Or("offset", -1),
	}
	q.OneQueue = q.QueueID >= 0
	if r.err != nil {
		return ResetOffset{}, badAnswer(ReqResetOffset, r.err)
	}
	return q, nil
}

// ParseQueryRequest reads a [QueryMessages] as a broker does.
func ParseQueryRequest(f *frame.Frame) (QueryMessages, error) {
	r := reader{fields: f.Fields}
	q := QueryMessages{
		Topic:  r.text("topic"),
		Key:    r.text("key"),
		Unique: f.Fields.Bool("_UNIQUE_KEY_QUERY"),
		Max:    r.int32("maxNum"),
		Begin:  r.int64("beginTimestamp"),
		End:    r.int64("endTimestamp"),
	}
	if r.err != nil {
		return QueryMessages{}, badAnswer(ReqQueryMessage, r.err)
	}
	return q, nil
}

// ParseCheckClient reads what kind of expression a request 46 (CHECK_CLIENT_CONFIG) is about; empty when it can't tell.
func ParseCheckClient(f *frame.Frame) (expressionType string) {
	var body struct {
		Subscription SubscriptionData `json:"subscriptionData"`
	}
	if decodeBody(f.Code, f.Body, &body) != nil {
		return ""
	}
	return body.Subscription.ExpressionType
}
