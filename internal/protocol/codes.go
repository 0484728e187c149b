package protocol

import "strconv"

// Request codes, RocketMQ's class RequestCode. A frame carries one as a bare number.
const (
	ReqSendMessage           int32 = 10
	ReqPullMessage           int32 = 11
	ReqQueryMessage          int32 = 12
	ReqQueryConsumerOffset   int32 = 14
	ReqUpdateConsumerOffset  int32 = 15
	ReqCreateTopic           int32 = 17 // UPDATE_AND_CREATE_TOPIC
	ReqGetAllTopicConfig     int32 = 21
	ReqUpdateBrokerConfig    int32 = 25
	ReqGetBrokerConfig       int32 = 26
	ReqBrokerRuntimeInfo     int32 = 28
	ReqSearchOffset          int32 = 29
	ReqMaxOffset             int32 = 30
	ReqMinOffset             int32 = 31
	ReqEarliestStoreTime     int32 = 32
	ReqViewMessage           int32 = 33
	ReqHeartbeat             int32 = 34
	ReqUnregister            int32 = 35
	ReqSendBack              int32 = 36
	ReqEndTransaction        int32 = 37
	ReqConsumerList          int32 = 38
	ReqCheckTransaction      int32 = 39 // broker to producer
	ReqConsumersChanged      int32 = 40 // broker to consumer, NOTIFY_CONSUMER_IDS_CHANGED
	ReqLockQueues            int32 = 41
	ReqUnlockQueues          int32 = 42
	ReqAllConsumerOffsets    int32 = 43
	ReqCheckClient           int32 = 46 // CHECK_CLIENT_CONFIG
	ReqPutKV                 int32 = 100
	ReqGetKV                 int32 = 101
	ReqDeleteKV              int32 = 102
	ReqGetRoute              int32 = 105
	ReqGetCluster            int32 = 106
	ReqCreateGroup           int32 = 200 // UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
	ReqListGroups            int32 = 201
	ReqTopicStats            int32 = 202
	ReqConsumerConnection    int32 = 203
	ReqListTopics            int32 = 206
	ReqDeleteGroup           int32 = 207
	ReqConsumeStats          int32 = 208
	ReqDeleteTopicBroker     int32 = 215
	ReqDeleteTopicNameServer int32 = 216
	ReqListKV                int32 = 219
	ReqResetClientOffset     int32 = 220 // broker to consumer
	ReqConsumerStatus        int32 = 221 // broker to consumer
	ReqResetOffset           int32 = 222 // INVOKE_BROKER_TO_RESET_OFFSET
	ReqGroupsOfTopic         int32 = 300 // QUERY_TOPIC_CONSUME_BY_WHO
	ReqRegisterFilterServer  int32 = 301
	ReqRunningInfo           int32 = 307
	ReqConsumeDirectly       int32 = 309
	ReqSendMessageV2         int32 = 310
	ReqSendBatch             int32 = 320
	ReqSendReply             int32 = 324 // SEND_REPLY_MESSAGE
	ReqSendReplyV2           int32 = 325
	ReqPushReply             int32 = 326 // broker to producer
	ReqGetTopicConfig        int32 = 351 // not in 4.9
	ReqGetGroupConfig        int32 = 352 // not in 4.9
	ReqRecall                int32 = 370 // RECALL_MESSAGE, since 5.3.2
)

// Response codes, RocketMQ's classes RemotingSysResponseCode and ResponseCode.
const (
	CodeSuccess                 int32 = 0
	CodeSystemError             int32 = 1
	CodeSystemBusy              int32 = 2
	CodeRequestNotSupported     int32 = 3
	CodeTransactionFailed       int32 = 4
	CodeFlushDiskTimeout        int32 = 10
	CodeSlaveNotAvailable       int32 = 11
	CodeFlushSlaveTimeout       int32 = 12
	CodeMessageIllegal          int32 = 13
	CodeServiceNotAvailable     int32 = 14
	CodeVersionNotSupported     int32 = 15
	CodeNoPermission            int32 = 16
	CodeTopicNotExist           int32 = 17
	CodeTopicExistAlready       int32 = 18
	CodePullNotFound            int32 = 19
	CodePullRetryImmediately    int32 = 20
	CodePullOffsetMoved         int32 = 21
	CodeQueryNotFound           int32 = 22
	CodeSubscriptionParseFailed int32 = 23
	CodeSubscriptionNotExist    int32 = 24
	CodeSubscriptionNotLatest   int32 = 25
	CodeGroupNotExist           int32 = 26 // SUBSCRIPTION_GROUP_NOT_EXIST
	CodeFilterDataNotExist      int32 = 27
	CodeFilterDataNotLatest     int32 = 28
	CodeInvalidParameter        int32 = 29
	CodeTransactionCommit       int32 = 200
	CodeTransactionRollback     int32 = 201
	CodeTransactionUnknown      int32 = 202
	CodeTransactionGroupWrong   int32 = 203
	CodeNoBuyerID               int32 = 204
	CodeNotInCurrentUnit        int32 = 205
	CodeConsumerNotOnline       int32 = 206
	CodeConsumeTimeout          int32 = 207
	CodeNoMessage               int32 = 208
	CodePollingFull             int32 = 209
	CodePollingTimeout          int32 = 210
	CodeBrokerNotExist          int32 = 211
	CodeDispatchNotComplete     int32 = 212
	CodeBroadcastConsumption    int32 = 213
	CodeFlowControl             int32 = 215
	CodeNotLeaderForQueue       int32 = 501
	CodeIllegalOperation        int32 = 604
	CodeGoAway                  int32 = 1500
)

var requestNames = map[int32]string{
	ReqSendMessage: "SEND_MESSAGE", ReqPullMessage: "PULL_MESSAGE", ReqQueryMessage: "QUERY_MESSAGE",
	ReqQueryConsumerOffset: "QUERY_CONSUMER_OFFSET", ReqUpdateConsumerOffset: "UPDATE_CONSUMER_OFFSET",
	ReqCreateTopic: "UPDATE_AND_CREATE_TOPIC", ReqGetAllTopicConfig: "GET_ALL_TOPIC_CONFIG",
	ReqUpdateBrokerConfig: "UPDATE_BROKER_CONFIG", ReqGetBrokerConfig: "GET_BROKER_CONFIG",
	ReqBrokerRuntimeInfo: "GET_BROKER_RUNTIME_INFO", ReqSearchOffset: "SEARCH_OFFSET_BY_TIMESTAMP",
	ReqMaxOffset: "GET_MAX_OFFSET", ReqMinOffset: "GET_MIN_OFFSET", ReqEarliestStoreTime: "GET_EARLIEST_MSG_STORETIME",
	ReqViewMessage: "VIEW_MESSAGE_BY_ID", ReqHeartbeat: "HEART_BEAT", ReqUnregister: "UNREGISTER_CLIENT",
	ReqSendBack: "CONSUMER_SEND_MSG_BACK", ReqEndTransaction: "END_TRANSACTION",
	ReqConsumerList: "GET_CONSUMER_LIST_BY_GROUP", ReqCheckTransaction: "CHECK_TRANSACTION_STATE",
	ReqConsumersChanged: "NOTIFY_CONSUMER_IDS_CHANGED", ReqLockQueues: "LOCK_BATCH_MQ", ReqUnlockQueues: "UNLOCK_BATCH_MQ",
	ReqAllConsumerOffsets: "GET_ALL_CONSUMER_OFFSET", ReqCheckClient: "CHECK_CLIENT_CONFIG", ReqPutKV: "PUT_KV_CONFIG", ReqGetKV: "GET_KV_CONFIG",
	ReqDeleteKV: "DELETE_KV_CONFIG", ReqGetRoute: "GET_ROUTEINFO_BY_TOPIC", ReqGetCluster: "GET_BROKER_CLUSTER_INFO",
	ReqCreateGroup: "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", ReqListGroups: "GET_ALL_SUBSCRIPTIONGROUP_CONFIG",
	ReqTopicStats: "GET_TOPIC_STATS_INFO", ReqConsumerConnection: "GET_CONSUMER_CONNECTION_LIST",
	ReqListTopics: "GET_ALL_TOPIC_LIST_FROM_NAMESERVER", ReqDeleteGroup: "DELETE_SUBSCRIPTIONGROUP",
	ReqConsumeStats: "GET_CONSUME_STATS", ReqDeleteTopicBroker: "DELETE_TOPIC_IN_BROKER",
	ReqDeleteTopicNameServer: "DELETE_TOPIC_IN_NAMESRV", ReqListKV: "GET_KVLIST_BY_NAMESPACE",
	ReqResetClientOffset: "RESET_CONSUMER_CLIENT_OFFSET", ReqConsumerStatus: "GET_CONSUMER_STATUS_FROM_CLIENT",
	ReqResetOffset: "INVOKE_BROKER_TO_RESET_OFFSET", ReqGroupsOfTopic: "QUERY_TOPIC_CONSUME_BY_WHO",
	ReqRegisterFilterServer: "REGISTER_FILTER_SERVER", ReqRunningInfo: "GET_CONSUMER_RUNNING_INFO",
	ReqConsumeDirectly: "CONSUME_MESSAGE_DIRECTLY", ReqSendMessageV2: "SEND_MESSAGE_V2", ReqSendBatch: "SEND_BATCH_MESSAGE",
	ReqSendReply: "SEND_REPLY_MESSAGE", ReqSendReplyV2: "SEND_REPLY_MESSAGE_V2",
	ReqPushReply: "PUSH_REPLY_MESSAGE_TO_CLIENT", ReqGetTopicConfig: "GET_TOPIC_CONFIG", ReqGetGroupConfig: "GET_SUBSCRIPTIONGROUP_CONFIG",
	ReqRecall: "RECALL_MESSAGE",
}

var codeNames = map[int32]string{
	CodeSuccess: "SUCCESS", CodeSystemError: "SYSTEM_ERROR", CodeSystemBusy: "SYSTEM_BUSY",
	CodeRequestNotSupported: "REQUEST_CODE_NOT_SUPPORTED", CodeTransactionFailed: "TRANSACTION_FAILED",
	CodeFlushDiskTimeout: "FLUSH_DISK_TIMEOUT", CodeSlaveNotAvailable: "SLAVE_NOT_AVAILABLE",
	CodeFlushSlaveTimeout: "FLUSH_SLAVE_TIMEOUT", CodeMessageIllegal: "MESSAGE_ILLEGAL",
	CodeServiceNotAvailable: "SERVICE_NOT_AVAILABLE", CodeVersionNotSupported: "VERSION_NOT_SUPPORTED",
	CodeNoPermission: "NO_PERMISSION", CodeTopicNotExist: "TOPIC_NOT_EXIST", CodeTopicExistAlready: "TOPIC_EXIST_ALREADY",
	CodePullNotFound: "PULL_NOT_FOUND", CodePullRetryImmediately: "PULL_RETRY_IMMEDIATELY",
	CodePullOffsetMoved: "PULL_OFFSET_MOVED", CodeQueryNotFound: "QUERY_NOT_FOUND",
	CodeSubscriptionParseFailed: "SUBSCRIPTION_PARSE_FAILED", CodeSubscriptionNotExist: "SUBSCRIPTION_NOT_EXIST",
	CodeSubscriptionNotLatest: "SUBSCRIPTION_NOT_LATEST", CodeGroupNotExist: "SUBSCRIPTION_GROUP_NOT_EXIST",
	CodeFilterDataNotExist: "FILTER_DATA_NOT_EXIST", CodeFilterDataNotLatest: "FILTER_DATA_NOT_LATEST",
	CodeInvalidParameter: "INVALID_PARAMETER", CodeTransactionCommit: "TRANSACTION_SHOULD_COMMIT",
	CodeTransactionRollback: "TRANSACTION_SHOULD_ROLLBACK", CodeTransactionUnknown: "TRANSACTION_STATE_UNKNOW",
	CodeTransactionGroupWrong: "TRANSACTION_STATE_GROUP_WRONG", CodeNoBuyerID: "NO_BUYER_ID",
	CodeNotInCurrentUnit: "NOT_IN_CURRENT_UNIT", CodeConsumerNotOnline: "CONSUMER_NOT_ONLINE",
	CodeConsumeTimeout: "CONSUME_MSG_TIMEOUT", CodeNoMessage: "NO_MESSAGE", CodePollingFull: "POLLING_FULL",
	CodePollingTimeout: "POLLING_TIMEOUT", CodeBrokerNotExist: "BROKER_NOT_EXIST",
	CodeDispatchNotComplete: "BROKER_DISPATCH_NOT_COMPLETE", CodeBroadcastConsumption: "BROADCAST_CONSUMPTION",
	CodeFlowControl: "FLOW_CONTROL", CodeNotLeaderForQueue: "NOT_LEADER_FOR_QUEUE",
	CodeIllegalOperation: "ILLEGAL_OPERATION", CodeGoAway: "GO_AWAY",
}

// RequestName gives a request code's name and number for texts, such as "SEND_MESSAGE_V2 (310)";
// an unknown code is named "request 999".
func RequestName(code int32) string { return nameOf(requestNames, code, "request ") }

// CodeName gives a response code's name and number for texts, such as "SUBSCRIPTION_NOT_EXIST (24)";
// an unknown code is named "code 999".
func CodeName(code int32) string { return nameOf(codeNames, code, "code ") }

func nameOf(names map[int32]string, code int32, unknown string) string {
	number := strconv.Itoa(int(code))
	if name, ok := names[code]; ok {
		return name + " (" + number + ")"
	}
	return unknown + number
}
