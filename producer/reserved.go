package producer

import (
	"strings"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// reserved tells whether a property's name has a meaning to RocketMQ or rocketkit, and which field of Message sets it, if
// one does. These are the names of RocketMQ's MessageConst (5.5.0) and SHARDING_KEY, where rocketmq-client-go keeps what
// Java keeps in __SHARDINGKEY.
func reserved(name string) (field string, ok bool) {
	switch name {
	case protocol.PropertyKeys:
		return "Keys", true
	case protocol.PropertyTags:
		return "Tag", true
	case protocol.PropertyShardingKey, "SHARDING_KEY":
		return "ShardingKey", true
	case protocol.PropertyDelayLevel:
		return "DelayLevel", true
	case protocol.PropertyTimerDelayMillis, protocol.PropertyTimerDelaySeconds:
		return "Delay", true
	case protocol.PropertyTimerDeliverMillis:
		return "DeliverAt", true
	case protocol.PropertyWait, protocol.PropertyRetryTopic, protocol.PropertyOriginGroup, protocol.PropertyRealTopic,
		protocol.PropertyRealQueueID, protocol.PropertyPrepared, protocol.PropertyProducerGroup,
		protocol.PropertyMinOffset, protocol.PropertyMaxOffset, protocol.PropertyOriginMessageID,
		protocol.PropertyTransferFlag, protocol.PropertyCorrectionFlag, protocol.PropertyReconsumeTime,
		protocol.PropertyRegion, protocol.PropertyTraceOn, protocol.PropertyUniqueKey,
		protocol.PropertyMaxReconsumeTimes, protocol.PropertyConsumeStart, protocol.PropertyPriority,
		protocol.PropertyInnerNumber, protocol.PropertyInnerBase, protocol.PropertyCheckImmunity,
		protocol.PropertyPreparedOffset, protocol.PropertyTransactionID, protocol.PropertyTransactionChecks,
		protocol.PropertyInstanceID, protocol.PropertyCorrelationID, protocol.PropertyReplyTo, protocol.PropertyTTL,
		protocol.PropertyCluster, protocol.PropertyMessageType, protocol.PropertyPopCheckpoint,
		protocol.PropertyFirstPopTime, protocol.PropertyTraceContext, protocol.PropertyTimerOutMillis,
		protocol.PropertyBornHost, protocol.PropertyBornTimestamp, protocol.PropertyCRC32,
		protocol.PropertyDLQOriginTopic, protocol.PropertyDLQOriginMessageID:
		return "", true
	case "BUYER_ID", "MQ2_FLAG", "TRANS_OFFSET", "EXTEND_UNIQ_INFO", "ARRIVE_TIME", "PUSH_REPLY_TIME", "POP_CK_OFFSET",
		"__LITE_TOPIC", "PROPERTY_FORWARD_QUEUE_ID", "REDIRECT", "INNER_MULTI_DISPATCH", "INNER_MULTI_QUEUE_OFFSET",
		"TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS", "TIMER_ROLL_TIMES", "TIMER_DEL_UNIQKEY", "TIMER_ROLL_LABEL",
		"TIMER_DELAY_LEVEL", "DUP_INFO", "__STARTDELIVERTIME":
		return "", true
	}
	return "", strings.HasPrefix(name, "__RMQ.TRANSIENT.")
}
