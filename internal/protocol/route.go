package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// MasterID is the id of a broker set's master in BrokerData.Addresses; replicas have others.
const MasterID int64 = 0

// Bits of a topic's permission, RocketMQ's class PermName.
const (
	PermInherit int32 = 1
	PermWrite   int32 = 2
	PermRead    int32 = 4
)

// GetRoute is request 105 (GET_ROUTEINFO_BY_TOPIC) to a name server: which brokers have a topic. A missing topic is
// answered with TOPIC_NOT_EXIST. Answered by [ParseTopicRoute].
type GetRoute struct{ Topic string }

// Frame gives the request in the fields of GetRouteInfoRequestHeader. It asks for standard JSON; an answer in
// fastjson's dialect is read as well.
func (r GetRoute) Frame() *frame.Frame {
	h := newHeader(2)
	h.text("topic", r.Topic)
	h.flag("acceptStandardJsonOnly", true)
	return h.frame(ReqGetRoute, nil)
}

// TopicRoute is where a topic lives, RocketMQ's class TopicRouteData.
type TopicRoute struct {
	OrderConf string       `json:"orderTopicConf,omitempty"` // "broker:queues;broker:queues" of a topic ordered across brokers
	Queues    []QueueData  `json:"queueDatas"`
	Brokers   []BrokerData `json:"brokerDatas"`
}

// QueueData is a topic's share on one broker set.
type QueueData struct {
	Broker      string `json:"brokerName"`
	ReadQueues  int32  `json:"readQueueNums"`
	WriteQueues int32  `json:"writeQueueNums"`
	Perm        int32  `json:"perm"` // Perm bits
	SysFlag     int32  `json:"topicSysFlag"`
}

// BrokerData is one broker set: a master and its replicas.
type BrokerData struct {
	Cluster      string           `json:"cluster"`
	Name         string           `json:"brokerName"`
	Addresses    map[int64]string `json:"brokerAddrs"` // by broker id, the master's being MasterID
	Zone         string           `json:"zoneName,omitempty"`
	ActingMaster bool             `json:"enableActingMaster,omitempty"` // the lowest id stands in for a lost master (5.x)
}

// ParseTopicRoute reads the answer to a [GetRoute].
func ParseTopicRoute(f *frame.Frame) (TopicRoute, error) {
	var route TopicRoute
	err := decodeAnswer(ReqGetRoute, f, &route)
	return route, err
}

// GetCluster is request 106 (GET_BROKER_CLUSTER_INFO) to a name server. Answered by [ParseClusterInfo].
type GetCluster struct{}

// Frame gives the request.
func (GetCluster) Frame() *frame.Frame { return &frame.Frame{Code: ReqGetCluster} }

// ClusterInfo is every broker a name server knows, RocketMQ's class ClusterInfo.
type ClusterInfo struct {
	Brokers  map[string]BrokerData `json:"brokerAddrTable"`  // by broker name
	Clusters map[string][]string   `json:"clusterAddrTable"` // broker names by cluster
}

// ParseClusterInfo reads the answer to a [GetCluster].
func ParseClusterInfo(f *frame.Frame) (ClusterInfo, error) {
	var info ClusterInfo
	err := decodeAnswer(ReqGetCluster, f, &info)
	return info, err
}
