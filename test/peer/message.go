package peer

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// Message is what a Producer is to send. Topic is physical, or logical where the peer has a namespace.
type Message struct {
	Topic       string
	Body        []byte
	Tag         string
	Keys        []string
	ShardingKey string            // chooses the queue as the library does, and travels as SHARDING_KEY (client-go) or __SHARDINGKEY (Java)
	DelayLevel  int               // 0 means now
	Properties  map[string]string // the sender's own
}

// encode writes the message as values of a line.
func (m Message) encode() url.Values {
	l := line.New("", "topic", m.Topic, "body", string(m.Body), "tag", m.Tag, "keys", strings.Join(m.Keys, " "), "sharding", m.ShardingKey)
	if m.DelayLevel > 0 {
		l.Values.Set("delay", strconv.Itoa(m.DelayLevel))
	}
	for name, value := range m.Properties {
		l.Values.Set("p."+name, value)
	}
	return l.Values
}

// Sent is a message, or a batch, that was stored.
type Sent struct {
	ID       string // as the library told it; of a batch the ids, joined by commas (client-go tells none)
	OffsetID string // likewise
	Broker   string
	Queue    int
	Offset   int64
	Body     string // when it was flooded
}

func sentOf(l line.Line) Sent {
	return Sent{l.Get("id"), l.Get("offsetid"), l.Get("broker"), int(l.Int("queue")), l.Int("offset"), l.Get("body")}
}

// Received is a message as the library handed it to its listener.
type Received struct {
	Message // Properties are all, RocketMQ's own included

	ID       string
	OffsetID string
	Broker   string
	Queue    int
	Offset   int64
	Attempt  int     // 1 at first
	Verdict  Verdict // what the listener returned

	// Began and Ended are when the listener was called and when it had done its work, right before it returned, to the
	// microsecond on the machine's clock.
	Began, Ended time.Time
}

// Verdict is what a listener returns.
type Verdict string

// The verdicts.
const (
	OK    Verdict = "ok"
	Retry Verdict = "retry"
	Panic Verdict = "panic" // it panicked or threw
	Dead  Verdict = "dead"  // straight to the dead letters
)

func receivedOf(l line.Line) Received {
	r := Received{
		Message: Message{
			Topic: l.Get("topic"), Body: []byte(l.Get("body")), Tag: l.Get("tag"), ShardingKey: l.Get("sharding"),
			Keys: strings.Fields(l.Get("keys")), Properties: map[string]string{},
		},
		ID: l.Get("id"), OffsetID: l.Get("offsetid"), Broker: l.Get("broker"), Queue: int(l.Int("queue")), Offset: l.Int("offset"),
		Attempt: int(l.Int("attempt")), Verdict: Verdict(l.Get("verdict")),
		Began: time.UnixMicro(l.Int("began")), Ended: time.UnixMicro(l.Int("ended")),
	}
	for name := range l.Values {
		if property, ok := strings.CutPrefix(name, "p."); ok {
			r.Properties[property] = l.Get(name)
		}
	}
	r.DelayLevel, _ = strconv.Atoi(r.Properties["DELAY"])
	return r
}

// Queue is a queue that a Consumer owns, by its physical topic.
type Queue struct {
	Topic, Broker string
	ID            int
}

func queueOf(text string) Queue {
	topic, rest, _ := strings.Cut(text, "/")
	broker, id, _ := strings.Cut(rest, "/")
	n, _ := strconv.Atoi(id)
	return Queue{topic, broker, n}
}
