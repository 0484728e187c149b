package rocketkit

import "fmt"

// Queue names one queue of a topic. It is comparable.
type Queue struct {
	Topic  string // logical
	Broker string // broker name, shared by a master and its replicas
	ID     int
}

// String gives topic/broker/id.
func (q Queue) String() string { return fmt.Sprintf("%s/%s/%d", q.Topic, q.Broker, q.ID) }
