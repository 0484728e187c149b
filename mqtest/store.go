package mqtest

import (
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// store is a broker's commit log, cut into queues.
type store struct {
	topics map[string]*topic
	end    int64             // commit-log offset of the next message
	log    map[int64]*record // by commit-log offset
}

type topic struct {
	config protocol.TopicConfig
	queues map[int32]*queue
}

// queue holds the records from offset min on.
type queue struct {
	min     int64
	records []*record
}

type queueKey struct {
	topic string
	id    int32
}

// record is one stored message and its bytes as a pull gets them.
type record struct {
	msg  protocol.Message
	data []byte
	tags int32 // hash of the tag, 0 without one: what brokers filter by
}

func (s *store) init() {
	s.topics = map[string]*topic{}
	s.log = map[int64]*record{}
}

func (q *queue) max() int64 { return q.min + int64(len(q.records)) }

// at gives the record at an offset, nil when the queue has none there.
func (q *queue) at(offset int64) *record {
	if offset < q.min || offset >= q.max() {
		return nil
	}
	return q.records[offset-q.min]
}

// queue gives a queue of a topic that exists; its first use makes it.
func (t *topic) queue(id int32) *queue {
	q := t.queues[id]
	if q == nil {
		q = &queue{}
		t.queues[id] = q
	}
	return q
}

// peek gives a queue, an empty one when topic or queue don't exist.
func (s *store) peek(topic string, id int32) *queue {
	if t := s.topics[topic]; t != nil {
		if q := t.queues[id]; q != nil {
			return q
		}
	}
	return &queue{}
}

// append stores a message in its topic and queue, which must exist. It sets what a store sets: offsets and checksum.
func (s *store) append(m protocol.Message) *record {
	q := s.topics[m.Topic].queue(m.QueueID)
	m.QueueOffset = q.max()
	m.CommitLogOffset = s.end
	m.BodyCRC = protocol.BodyCRC(m.Body)
	r := &record{msg: m, data: protocol.EncodeMessage(nil, &m)}
	if tag, ok := m.Properties.Get(protocol.PropertyTags); ok && tag != "" {
		r.tags = protocol.JavaHash(tag)
	}
	s.end += int64(len(r.data))
	s.log[m.CommitLogOffset] = r
	q.records = append(q.records, r)
	return r
}

// firstSince gives the offset of the first record stored at or after a time, one past the end when there is none
// (ConsumeQueue.getOffsetInQueueByTime).
func (q *queue) firstSince(millis int64) int64 {
	for _, r := range q.records {
		if r.msg.StoreMillis >= millis {
			return r.msg.QueueOffset
		}
	}
	return q.max()
}

// drop deletes the oldest records until at most keep are left.
func (s *store) drop(q *queue, keep int) {
	n := max(len(q.records)-keep, 0)
	for _, r := range q.records[:n] {
		delete(s.log, r.msg.CommitLogOffset)
	}
	q.records = append([]*record(nil), q.records[n:]...)
	q.min += int64(n)
}

func nowMillis() int64 { return time.Now().UnixMilli() }
