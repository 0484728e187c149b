package protocol

import (
	"bytes"
	"iter"
)

// Names of the properties that RocketMQ gives a meaning, its class MessageConst.
const (
	PropertyKeys               = "KEYS"
	PropertyTags               = "TAGS"
	PropertyWait               = "WAIT"
	PropertyDelayLevel         = "DELAY"
	PropertyRetryTopic         = "RETRY_TOPIC"
	PropertyOriginGroup        = "ORIGIN_GROUP"
	PropertyRealTopic          = "REAL_TOPIC"
	PropertyRealQueueID        = "REAL_QID"
	PropertyPrepared           = "TRAN_MSG"
	PropertyProducerGroup      = "PGROUP"
	PropertyMinOffset          = "MIN_OFFSET"
	PropertyMaxOffset          = "MAX_OFFSET"
	PropertyOriginMessageID    = "ORIGIN_MESSAGE_ID"
	PropertyTransferFlag       = "TRANSFER_FLAG"
	PropertyCorrectionFlag     = "CORRECTION_FLAG"
	PropertyReconsumeTime      = "RECONSUME_TIME"
	PropertyRegion             = "MSG_REGION"
	PropertyTraceOn            = "TRACE_ON"
	PropertyUniqueKey          = "UNIQ_KEY"
	PropertyMaxReconsumeTimes  = "MAX_RECONSUME_TIMES"
	PropertyConsumeStart       = "CONSUME_START_TIME"
	PropertyPriority           = "_SYS_MSG_PRIORITY_"
	PropertyInnerNumber        = "INNER_NUM"
	PropertyInnerBase          = "INNER_BASE"
	PropertyCheckImmunity      = "CHECK_IMMUNITY_TIME_IN_SECONDS"
	PropertyPreparedOffset     = "TRAN_PREPARED_QUEUE_OFFSET"
	PropertyTransactionID      = "__transactionId__"
	PropertyTransactionChecks  = "TRANSACTION_CHECK_TIMES"
	PropertyInstanceID         = "INSTANCE_ID"
	PropertyCorrelationID      = "CORRELATION_ID"
	PropertyReplyTo            = "REPLY_TO_CLIENT"
	PropertyTTL                = "TTL"
	PropertyCluster            = "CLUSTER"
	PropertyMessageType        = "MSG_TYPE"
	PropertyPopCheckpoint      = "POP_CK"
	PropertyFirstPopTime       = "1ST_POP_TIME"
	PropertyShardingKey        = "__SHARDINGKEY"
	PropertyTraceContext       = "TRACE_CONTEXT"
	PropertyTimerDelaySeconds  = "TIMER_DELAY_SEC"
	PropertyTimerDelayMillis   = "TIMER_DELAY_MS"
	PropertyTimerDeliverMillis = "TIMER_DELIVER_MS"
	PropertyTimerOutMillis     = "TIMER_OUT_MS"
	PropertyBornHost           = "__BORNHOST"
	PropertyBornTimestamp      = "BORN_TIMESTAMP"
	PropertyCRC32              = "__CRC32#"
	PropertyDLQOriginTopic     = "DLQ_ORIGIN_TOPIC"
	PropertyDLQOriginMessageID = "DLQ_ORIGIN_MESSAGE_ID"
)

// Separators of Properties, Java's MessageDecoder.NAME_VALUE_SEPARATOR and PROPERTY_SEPARATOR.
const (
	valueSeparator    = 1
	propertySeparator = 2
)

// Properties is a message's properties as they are stored: name 0x01 value 0x02, and so on; the last 0x02 may be missing.
// Nil has none. Reading never changes it, so it may be read concurrently.
type Properties []byte

// Get gives the value of a property, and whether there is one. Of several with the same name the last counts,
// as in Java. It makes a string of the value and nothing else.
func (p Properties) Get(name string) (string, bool) {
	var found []byte
	ok := false
	for len(p) > 0 {
		var key, value []byte
		var pair bool
		if key, value, pair, p = p.next(); pair && string(key) == name {
			found, ok = value, true
		}
	}
	return string(found), ok
}

// All gives names and values in the order they are stored, including names that occur twice.
func (p Properties) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		rest := p
		for len(rest) > 0 {
			var key, value []byte
			var pair bool
			if key, value, pair, rest = rest.next(); pair && !yield(string(key), string(value)) {
				return
			}
		}
	}
}

// next cuts the first property off. What has no name or no separator is no pair, and is skipped as Java does.
func (p Properties) next() (name, value []byte, pair bool, rest Properties) {
	entry := []byte(p)
	if end := bytes.IndexByte(p, propertySeparator); end >= 0 {
		entry, rest = p[:end], p[end+1:]
	}
	at := bytes.IndexByte(entry, valueSeparator)
	if at <= 0 {
		return nil, nil, false, rest
	}
	return entry[:at], entry[at+1:], true, rest
}

// AppendProperty appends a property to a block of them and returns the extended slice. It checks nothing:
// an empty name or value, or one with a byte 1 or 2, isn't read back, so what users give is checked before.
func AppendProperty(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, valueSeparator)
	dst = append(dst, value...)
	return append(dst, propertySeparator)
}
