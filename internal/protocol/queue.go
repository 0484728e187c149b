package protocol

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Queue names one queue of a topic on one broker, RocketMQ's class MessageQueue. It can be a map's key.
type Queue struct {
	Topic  string `json:"topic"`
	Broker string `json:"brokerName"`
	ID     int32  `json:"queueId"`
}

// Compare orders queues by topic, broker and id, as Java's MessageQueue does: every member of a group has to sort
// them the same way.
func (q Queue) Compare(other Queue) int {
	return cmp.Or(cmp.Compare(q.Topic, other.Topic), cmp.Compare(q.Broker, other.Broker), cmp.Compare(q.ID, other.ID))
}

// String gives the queue for texts, such as "orders broker-a/3".
func (q Queue) String() string { return q.Topic + " " + q.Broker + "/" + strconv.Itoa(int(q.ID)) }

// queueKey is a Queue as a key of a JSON object, after standardJSON.
type queueKey Queue

// UnmarshalText reads the object that the key's text holds.
func (k *queueKey) UnmarshalText(text []byte) error { return json.Unmarshal(text, (*Queue)(k)) }

// byQueue gives a decoded map its public type.
func byQueue[V any](decoded map[queueKey]V) map[Queue]V {
	table := make(map[Queue]V, len(decoded))
	for k, v := range decoded {
		table[Queue(k)] = v
	}
	return table
}

// appendQueueTable writes a map whose keys are objects, as fastjson does and encoding/json can't. Java's tools read
// such maps in this form only. The order is that of the queues.
func appendQueueTable[V any](dst []byte, table map[Queue]V) ([]byte, error) {
	dst = append(dst, '{')
	for i, q := range slices.SortedFunc(maps.Keys(table), Queue.Compare) {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendJSON(dst, q); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		if dst, err = appendJSON(dst, table[q]); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

// encodeBody encodes a body made of strings, integers, booleans and maps of them, which has no value that
// encoding/json refuses.
func encodeBody(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}
