package producer

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/send"
)

// recentFailures is how many failures Stats tells of.
const recentFailures = 64

// Stats is a Producer at one moment.
type Stats struct {
	Sent     int64 // messages that were stored, or went out one-way
	Failed   int64 // messages that weren't, or of which that isn't known
	Retried  int64 // requests beyond the first of each send
	Bytes    int64 // of the bodies of Sent as they went out, compressed or in batches
	InFlight int   // calls of the Producer's methods that haven't returned

	Topics map[string]TopicStats // by logical name; those that a message was stored in

	// Failures are the most recent sends that failed, up to 64, the newest last. What was refused before anything was
	// tried, such as a message without a body, isn't among them, and isn't counted as Failed.
	Failures []Failure
}

// TopicStats is a topic of a Producer.
type TopicStats struct {
	Brokers []BrokerStats // those that were sent to, sorted by name
}

// BrokerStats is a broker as the sends of one topic see it.
type BrokerStats struct {
	Broker   string
	Latency  time.Duration // of the sends that it answered, the newest counting most; 0 before the second, as the first connects
	InFlight int           // sends that it hasn't answered

	// Standing is "well"; "slow", when the topic's other brokers are much quicker, so that it gets only what it must and a
	// try each second; or "avoided", when it failed just now, until a try works. What may go to one queue only, by its
	// ShardingKey or Queue, goes there in any case.
	Standing string
	Why      string // it is avoided: the last error; else empty
}

// Failure is a send that failed.
type Failure struct {
	Time     time.Time
	Topic    string          // logical
	Queue    rocketkit.Queue // that was tried last; zero when none was
	ID       string          // of the message, the first of a batch; empty for what has none
	Messages int             // 1, or as many as the batch had
	Error    string
	Attempts int // requests made
	Took     time.Duration
}

// counters are what Stats counts. The zero value is ready.
type counters struct {
	sent, failed, retried, bytes atomic.Int64

	mu    sync.Mutex
	ring  []Failure
	first int // the oldest in ring
}

// note counts one send. The error's text is made for the ring only when there is one.
func (c *counters) note(topic string, r *send.Request, result *send.Result, begun time.Time, err error) {
	messages := max(r.Messages, 1)
	if result.Attempts > 1 {
		c.retried.Add(int64(result.Attempts - 1))
	}
	if err == nil {
		c.sent.Add(int64(messages))
		c.bytes.Add(int64(len(r.Body)))
		return
	}
	c.failed.Add(int64(messages))
	f := Failure{
		Time: time.Now(), Topic: strings.Clone(topic), ID: r.ID, Messages: messages, Error: shortened(err.Error()), Attempts: result.Attempts,
	}
	f.Took = f.Time.Sub(begun)
	if result.Broker != "" {
		f.Queue = rocketkit.Queue{Topic: f.Topic, Broker: result.Broker, ID: int(result.QueueID)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) < recentFailures {
		c.ring = append(c.ring, f)
		return
	}
	c.ring[c.first] = f
	c.first = (c.first + 1) % recentFailures
}

// shortened keeps what servers say from filling the memory.
func shortened(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

func (c *counters) failures() []Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(append(make([]Failure, 0, len(c.ring)), c.ring[c.first:]...), c.ring[:c.first]...)
}

// Stats reads the state of the Producer; it asks no server. It may be called at any time.
func (p *Producer) Stats() Stats {
	s := Stats{
		Sent: p.counters.sent.Load(), Failed: p.counters.failed.Load(), Retried: p.counters.retried.Load(),
		Bytes: p.counters.bytes.Load(), InFlight: int(p.sends.inside()), Failures: p.counters.failures(),
		Topics: map[string]TopicStats{},
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for name, topic := range p.topics {
		paces := topic.Paces()
		t := TopicStats{Brokers: make([]BrokerStats, len(paces))}
		for i, pace := range paces {
			b := BrokerStats{Broker: pace.Broker, Latency: pace.Mean, InFlight: pace.Waiting, Standing: "well"}
			if pace.Slow {
				b.Standing = "slow"
			}
			if avoided, why := p.sender.Avoided(pace.Broker); avoided {
				b.Standing, b.Why = "avoided", shortened(why.Error())
			}
			t.Brokers[i] = b
		}
		s.Topics[name] = t
	}
	return s
}
