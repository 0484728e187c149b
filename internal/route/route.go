package route

import (
	"maps"
	"slices"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Route is one topic's queues and the addresses that serve them, at one moment. It is never changed once made.
type Route struct {
	Topic string
	Read  []protocol.Queue // what consumers share out, in Compare order
	Write []protocol.Queue // what producers send to, in Compare order: writable, and their master is up

	brokers  map[string]map[int64]string
	clusters []string
}

// Clusters returns the names of the clusters that the topic's brokers belong to, sorted.
func (r *Route) Clusters() []string { return r.clusters }

// Master returns the address of a broker's master; false when it is down or the broker unknown.
func (r *Route) Master(broker string) (string, bool) {
	address, ok := r.brokers[broker][protocol.MasterID]
	return address, ok
}

// Address returns where broker answers under id, and failing that its master or any replica: a consumer may go on
// reading from a replica while the master is away.
func (r *Route) Address(broker string, id int64) (string, bool) {
	nodes := r.brokers[broker]
	for _, want := range []int64{id, protocol.MasterID} {
		if address, ok := nodes[want]; ok {
			return address, true
		}
	}
	for _, other := range slices.Sorted(maps.Keys(nodes)) {
		return nodes[other], true
	}
	return "", false
}

// Brokers returns the names of the brokers that hold the topic, sorted.
func (r *Route) Brokers() []string { return slices.Sorted(maps.Keys(r.brokers)) }

// Nodes returns every address of a broker by its id; 0 is the master.
func (r *Route) Nodes(broker string) map[int64]string { return r.brokers[broker] }

func (r *Route) equal(o *Route) bool {
	return slices.Equal(r.Read, o.Read) && slices.Equal(r.Write, o.Write) &&
		maps.EqualFunc(r.brokers, o.brokers, maps.Equal[map[int64]string])
}

func newRoute(topic string, data protocol.TopicRoute) *Route {
	r := &Route{Topic: topic, brokers: make(map[string]map[int64]string, len(data.Brokers))}
	for _, b := range data.Brokers {
		r.brokers[b.Name] = b.Addresses
		if !slices.Contains(r.clusters, b.Cluster) {
			r.clusters = append(r.clusters, b.Cluster)
		}
	}
	for _, q := range data.Queues {
		if q.Perm&protocol.PermRead != 0 {
			r.Read = appendQueues(r.Read, topic, q.Broker, q.ReadQueues)
		}
		if _, up := r.Master(q.Broker); up && q.Perm&protocol.PermWrite != 0 {
			r.Write = appendQueues(r.Write, topic, q.Broker, q.WriteQueues)
		}
	}
	slices.Sort(r.clusters)
	slices.SortFunc(r.Read, protocol.Queue.Compare)
	slices.SortFunc(r.Write, protocol.Queue.Compare)
	return r
}

func appendQueues(dst []protocol.Queue, topic, broker string, n int32) []protocol.Queue {
	for id := range n {
		dst = append(dst, protocol.Queue{Topic: topic, Broker: broker, ID: id})
	}
	return dst
}
