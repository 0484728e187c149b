package mqtest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// standardSince is the version, V4_9_4 in MQVersion.Version, from which on clients are given standard JSON for a route.
const standardSince = 401

// registerEvery is how often brokers tell name servers all of their topics (registerNameServerPeriod).
const registerEvery = 30 * time.Second

// nameServer knows what brokers registered with it: each name server for itself.
type nameServer struct {
	cluster *Cluster
	server  *server

	mu      sync.Mutex                               // taken after a broker's, never before
	brokers map[string]string                        // addresses of the brokers that are up, by name
	topics  map[string]map[string]protocol.QueueData // by topic, then broker
	kv      map[string]map[string]string             // by namespace, then key
	again   *plan                                    // all brokers register anew
}

func newNameServer(c *Cluster, i int) *nameServer {
	n := &nameServer{
		cluster: c, brokers: map[string]string{}, topics: map[string]map[string]protocol.QueueData{},
		kv: map[string]map[string]string{},
	}
	n.server = &server{
		cluster: c, name: serverName("namesrv", i), address: nameServerAddress(i),
		handle: n.handle, ended: func(*conn) {}, conns: map[*conn]struct{}{},
	}
	return n
}

func (n *nameServer) stop() {
	n.server.setUp(false)
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.brokers)
	clear(n.topics)
	n.cluster.schedule.cancel(n.again)
}

func (n *nameServer) start() {
	n.server.setUp(true)
	n.registerLater()
}

// registerLater lets all brokers register with their next period.
func (n *nameServer) registerLater() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cluster.schedule.cancel(n.again)
	n.again = n.cluster.schedule.after(registerEvery, func() {
		for _, b := range n.cluster.brokers {
			b.registerAt(n)
		}
	})
}

// register takes a broker's topics, all or those that changed.
func (n *nameServer) register(broker, address string, topics []protocol.TopicConfig) {
	if !n.server.isUp() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.brokers[broker] = address
	for _, t := range topics {
		if n.topics[t.Name] == nil {
			n.topics[t.Name] = map[string]protocol.QueueData{}
		}
		n.topics[t.Name][broker] = protocol.QueueData{
			Broker: broker, ReadQueues: t.ReadQueues, WriteQueues: t.WriteQueues, Perm: t.Perm, SysFlag: t.SysFlag,
		}
	}
}

// unregister forgets a broker, and topics that only it had.
func (n *nameServer) unregister(broker string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.brokers, broker)
	for topic, on := range n.topics {
		if delete(on, broker); len(on) == 0 {
			delete(n.topics, topic)
		}
	}
}

func (n *nameServer) handle(c *call) {
	var f *frame.Frame
	switch fields := c.req.Fields; c.req.Code {
	case protocol.ReqGetRoute:
		topic, _ := fields.Get("topic")
		f = n.route(topic)
		if c.req.Version < standardSince && !fields.Bool("acceptStandardJsonOnly") {
			f.Body = protocol.BareNumbers(f.Body)
		}
	case protocol.ReqGetCluster:
		f = n.clusterInfo()
	case protocol.ReqListTopics, reqTopicsOfCluster:
		f = n.listTopics()
	case protocol.ReqDeleteTopicNameServer:
		topic, _ := fields.Get("topic")
		f = n.deleteTopic(topic)
	case protocol.ReqPutKV, protocol.ReqGetKV, protocol.ReqDeleteKV, protocol.ReqListKV:
		f = n.settings(c.req)
	default:
		f = unsupported(c.req)
	}
	c.answer(f)
}

// Requests that only Java's tools send.
const (
	reqTopicsOfCluster = 224
	reqProducerConns   = 204
	reqTopicsOfGroup   = 343
)

func unsupported(req *frame.Frame) *frame.Frame {
	return refuse(protocol.CodeRequestNotSupported, fmt.Sprintf(" request type %d not supported", req.Code))
}

func (n *nameServer) route(topic string) *frame.Frame {
	n.mu.Lock()
	defer n.mu.Unlock()
	on := n.topics[topic]
	if len(on) == 0 {
		return refuse(protocol.CodeTopicNotExist, "No topic route info in name server for the topic: "+topic)
	}
	var r protocol.TopicRoute
	for _, broker := range slices.Sorted(maps.Keys(on)) {
		r.Queues = append(r.Queues, on[broker])
		r.Brokers = append(r.Brokers, n.broker(broker))
	}
	return r.Answer()
}

func (n *nameServer) broker(name string) protocol.BrokerData {
	return protocol.BrokerData{
		Cluster: clusterName, Name: name, Addresses: map[int64]string{protocol.MasterID: n.brokers[name]},
	}
}

func (n *nameServer) clusterInfo() *frame.Frame {
	n.mu.Lock()
	defer n.mu.Unlock()
	info := protocol.ClusterInfo{Brokers: map[string]protocol.BrokerData{}, Clusters: map[string][]string{}}
	for _, name := range slices.Sorted(maps.Keys(n.brokers)) {
		info.Brokers[name] = n.broker(name)
		info.Clusters[clusterName] = append(info.Clusters[clusterName], name)
	}
	f := info.Answer()
	f.Body = protocol.BareNumbers(f.Body)
	return f
}

func (n *nameServer) listTopics() *frame.Frame {
	n.mu.Lock()
	defer n.mu.Unlock()
	return protocol.AnswerList("topicList", slices.Sorted(maps.Keys(n.topics)))
}

// deleteTopic forgets a topic. A broker that still has it brings it back with its next registration.
func (n *nameServer) deleteTopic(topic string) *frame.Frame {
	n.mu.Lock()
	delete(n.topics, topic)
	n.mu.Unlock()
	n.registerLater()
	return &frame.Frame{}
}

// settings answers the KV requests.
func (n *nameServer) settings(req *frame.Frame) *frame.Frame {
	namespace, hasNamespace := req.Fields.Get("namespace")
	key, hasKey := req.Fields.Get("key")
	n.mu.Lock()
	defer n.mu.Unlock()
	switch req.Code {
	case protocol.ReqPutKV:
		if !hasNamespace || !hasKey {
			return refuse(protocol.CodeSystemError, "namespace or key is null")
		}
		if n.kv[namespace] == nil {
			n.kv[namespace] = map[string]string{}
		}
		if value, ok := req.Fields.Get("value"); ok {
			n.kv[namespace][key] = value
		} else {
			delete(n.kv[namespace], key) // Java stores null, which reads as none
		}
	case protocol.ReqGetKV:
		value, ok := n.kv[namespace][key]
		if !ok {
			return refuse(protocol.CodeQueryNotFound, "No config item, Namespace: "+namespace+" Key: "+key)
		}
		return &frame.Frame{Fields: frame.Fields{{Key: "value", Value: value}}}
	case protocol.ReqDeleteKV:
		delete(n.kv[namespace], key)
	case protocol.ReqListKV:
		table, ok := n.kv[namespace]
		if !ok {
			return refuse(protocol.CodeQueryNotFound, "No config item, Namespace: "+namespace)
		}
		return protocol.AnswerTable(table)
	}
	return &frame.Frame{}
}
