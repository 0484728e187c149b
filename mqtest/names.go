package mqtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Names that RocketMQ makes from a group's (MixAll).
const (
	retryPrefix      = "%RETRY%"
	deadLetterPrefix = "%DLQ%"
)

// Topics of RocketMQ's own (TopicValidator, TimerMessageStore).
const (
	topicSchedule = "SCHEDULE_TOPIC_XXXX"
	topicTimer    = "rmq_sys_wheel_timer"
	topicHalf     = "RMQ_SYS_TRANS_HALF_TOPIC"
	topicHalfDone = "RMQ_SYS_TRANS_OP_HALF_TOPIC"
	topicUnsolved = "TRANS_CHECK_MAX_TIME_TOPIC"
	topicSelfTest = "SELF_TEST_TOPIC"
	topicBench    = "BenchmarkTest"
	topicMoved    = "OFFSET_MOVED_EVENT"
	topicReply    = clusterName + "_REPLY_TOPIC"
	systemPrefix  = "rmq_sys_"
)

var systemTopics = []string{
	protocol.AutoCreateTopic, topicSchedule, topicTimer, topicHalf, topicHalfDone, topicUnsolved, topicSelfTest, topicBench,
	topicMoved, topicReply, clusterName, "RMQ_SYS_TRACE_TOPIC", "CHECKPOINT_TOPIC",
}

// unsendable are the topics that clients can't send to (TopicValidator.NOT_ALLOWED_SEND_TOPIC_SET).
var unsendable = []string{topicSchedule, topicHalf, topicHalfDone, topicUnsolved, topicSelfTest, topicMoved}

// systemGroups exist on every broker (SubscriptionGroupManager).
var systemGroups = []string{
	"TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL",
	"CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_RMQ_SYS_TRANS",
}

func (c *Cluster) isSystemTopic(topic string) bool {
	return slices.Contains(systemTopics, topic) || strings.HasPrefix(topic, systemPrefix) || slices.Contains(c.Brokers(), topic)
}

// badTopic tells why a topic's name is refused; empty when it isn't (TopicValidator.validateTopic).
func badTopic(topic string) string {
	limit := 127
	if strings.HasPrefix(topic, retryPrefix) || strings.HasPrefix(topic, deadLetterPrefix) {
		limit = 255
	}
	switch {
	case strings.TrimSpace(topic) == "":
		return "The specified topic is blank."
	case !isName(topic):
		return "The specified topic: " + topic + ", contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
	case len(topic) > limit:
		return fmt.Sprintf("The specified topic: %s, is longer than topic max length: %d", topic, limit)
	}
	return ""
}

// badGroup is badTopic for groups (TopicValidator.validateGroup).
func badGroup(group string) string {
	switch {
	case strings.TrimSpace(group) == "":
		return "The specified group is blank."
	case !isName(group):
		return "The specified group: " + group + ", contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
	case len(group) > 120:
		return "The specified group: " + group + ", is longer than group max length: 120"
	}
	return ""
}

func isName(s string) bool {
	for _, r := range s {
		letterOrDigit := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letterOrDigit && !strings.ContainsRune("%|_-", r) {
			return false
		}
	}
	return true
}
