package tenant

import "strings"

const (
	systemTopicPrefix = "rmq_sys_"     // TopicValidator.SYSTEM_TOPIC_PREFIX
	systemGroupPrefix = "CID_RMQ_SYS_" // MixAll.CID_RMQ_SYS_PREFIX
)

// IsSystemTopic tells whether a topic is one that RocketMQ keeps for itself: those of TopicValidator (5.5.0) and all that start
// with "rmq_sys_". They have the same physical name for every tenant, so that business messages don't belong there.
// Case matters, as it does to the broker: "RMQ_SYS_orders" is an ordinary topic.
func IsSystemTopic(topic string) bool {
	switch topic {
	case "TBW102", // the template of topics created on first use
		"SCHEDULE_TOPIC_XXXX",
		"BenchmarkTest",
		"SELF_TEST_TOPIC",
		"OFFSET_MOVED_EVENT",
		"TRANS_CHECK_MAX_TIME_TOPIC",
		"CHECKPOINT_TOPIC",
		"RMQ_SYS_TRACE_TOPIC",
		"RMQ_SYS_TRANS_HALF_TOPIC",
		"RMQ_SYS_TRANS_OP_HALF_TOPIC",
		"RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
		"RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC":
		return true
	}
	return strings.HasPrefix(topic, systemTopicPrefix)
}

func isSystemGroup(group string) bool { return strings.HasPrefix(group, systemGroupPrefix) }
