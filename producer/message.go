package producer

import (
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// Message is what to send: a plain value, never changed by this package. Topic and Body are required. Strings are
// UTF-8 without the bytes 1 and 2, with which RocketMQ separates properties; all but the Body take 32,255 bytes at most.
type Message struct {
	Topic string // logical: without the tenant
	Body  []byte // 1 byte to Config.MaxMessageSize; RocketMQ takes no message without a body

	// Tag is what subscriptions filter by. No "||", which separates tags there, and no space at its ends.
	Tag string

	// Keys are what the message can be looked up by on the broker. No spaces, which separate keys there.
	Keys []string

	// ShardingKey, when not empty, sends the message to the same queue as all others of that key, in order. The queue
	// is the one that the Java client's SelectMessageQueueByHash chooses for the string, as long as the topic has the
	// same queues and masters.
	ShardingKey string

	// Queue, when not zero, is the queue to send to, one of [Producer.Queues]; its Topic may be left empty. One that the
	// topic hasn't got is an error that lists those it has. While the queue's broker is away, Send waits for it as long as
	// its context lets it. A ShardingKey then travels with the message and chooses nothing.
	Queue rocketkit.Queue

	// Properties are the sender's own. The names that RocketMQ gives a meaning are refused.
	Properties map[string]string

	// DelayLevel, 1 to 18, has the broker deliver the message later: 1 s, 5 s, 10 s, 30 s, 1 to 10 min in steps of one
	// minute, 20 min, 30 min, 1 h, 2 h, unless it was configured otherwise (messageDelayLevel). 0 delivers at once.
	// At most one of DelayLevel, Delay and DeliverAt is set.
	DelayLevel int

	// Delay has the broker deliver the message that much later than it stores it, in ms, upwards. 0 delivers at once. The
	// broker's timers tick each second (timerPrecisionMs): the message comes up to a tick or two late, never early. They
	// reach 3 days (timerMaxDelaySec); what is beyond is refused. Brokers before 5.0 have no timers: there it is an error.
	Delay time.Duration

	// DeliverAt is when the broker delivers the message by its own clock, in whole ms. Zero, and any time that has passed,
	// is at once. It is like Delay otherwise.
	DeliverAt time.Time

	id      string // empty: the Producer makes one
	flag    int32  // the application's own bits
	carried []hook.Property
}

// Carry has the message take along properties that Properties refuses because RocketMQ's clients give them a meaning, an
// id in place of the Producer's, if it isn't empty, and a flag, which RocketMQ leaves to applications, if it isn't 0. It is
// for rocketkit's own packages, such as the bridge from rocketmq-client-go: a parameter's type is internal.
func (m *Message) Carry(id string, flag int32, properties ...hook.Property) {
	if id != "" {
		m.id = id
	}
	if flag != 0 {
		m.flag = flag
	}
	m.carried = append(m.carried[:len(m.carried):len(m.carried)], properties...)
}

// Receipt says where a message was stored.
type Receipt struct {
	// ID is the message's own id (UNIQ_KEY), the same for all attempts of one Send and for every delivery.
	ID string

	// OffsetID names the broker and the place in its commit log.
	OffsetID string

	// Queue is where the message was stored, and Offset its place there. Of a delayed message Queue is where it is to be
	// delivered; Offset and OffsetID tell where it waits until then, in a topic of the broker's own.
	Queue  rocketkit.Queue
	Offset int64

	// Status says how safely it was stored. The zero value is the best.
	Status Status

	// RecallHandle is what [Producer.Recall] takes; set for messages with a Delay or DeliverAt that lay ahead, by brokers
	// of 5.3.2 and later.
	RecallHandle string
}

// Status says how safely a message was stored (RocketMQ's enum SendStatus). With each of them the broker has the message
// and consumers get it; with the last three a crash of that broker may lose it. Brokers report those only when they are
// set to flush or replicate before they answer.
type Status int

// How a message was stored.
const (
	Stored            Status = Status(protocol.SendOK)                // as the broker is set to
	FlushDiskTimeout  Status = Status(protocol.SendFlushDiskTimeout)  // not yet on disk
	ReplicaMissing    Status = Status(protocol.SendSlaveNotAvailable) // no replica in reach
	FlushSlaveTimeout Status = Status(protocol.SendFlushSlaveTimeout) // not yet confirmed by a replica
)

// String gives RocketMQ's name, such as SEND_OK.
func (s Status) String() string { return protocol.SendStatus(s).String() }

func receipt(topic, id string, r send.Result) Receipt {
	return Receipt{
		ID:       id,
		OffsetID: r.OffsetID,
		Queue:    rocketkit.Queue{Topic: topic, Broker: r.Broker, ID: int(r.QueueID)},
		Offset:   r.QueueOffset,
		Status:   Status(r.Status),

		RecallHandle: r.RecallHandle,
	}
}

// batchReceipts shares a batch's answer out: the messages lie side by side in the queue, and the offset ids are joined by
// commas.
func batchReceipts(topic string, ids []string, r send.Result) []Receipt {
	receipts := make([]Receipt, len(ids))
	rest := r.OffsetID
	for i, id := range ids {
		receipts[i] = receipt(topic, id, r)
		receipts[i].Offset += int64(i)
		receipts[i].OffsetID, rest, _ = strings.Cut(rest, ",")
	}
	return receipts
}
