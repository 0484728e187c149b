package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// ProducerConfig says what a producer is. NameServers and Group are required.
type ProducerConfig struct {
	NameServers []string
	Namespace   string // the library's own; empty means that names are physical
	Group       string
	Workers     int      // threads of a Flood; 0 means 20
	Quiet       bool     // has floods counted rather than told message by message
	JVM         []string // flags; nil means a small heap and a quick start

	// Timeout is how long requests may take, as far as the library can be told: client-go only of sends. 0 means the
	// library's own, 3 s; in a test, whose machine may be busy with others, 20 s.
	Timeout time.Duration

	// TraceTopic is the physical topic that the message trace is written to; empty means no trace. Only Java's.
	TraceTopic string
	// Transact has Send leave its messages in transactions without an outcome, which the producer commits when it is
	// asked about one, its own or another's of the Group. Of client-go alone.
	Transact bool

	// On is called with each message of a flood that was stored, one after the other; not when Quiet. It mustn't call the
	// Producer. May be nil.
	On func(Sent)
}

// Producer is a producer in another process. Its methods are safe for concurrent use.
type Producer struct {
	process
	seq     int64
	answers map[string]line.Line // to commands that somebody waits for
	count   int64
	failed  []string // errors of floods
}

// StartProducer starts a producer. Log and ctx are as in StartConsumer.
func (l Library) StartProducer(ctx context.Context, cfg ProducerConfig, log io.Writer) (*Producer, error) {
	command, err := l.build(ctx, cfg.JVM, log)
	if err != nil {
		return nil, err
	}
	workers := cfg.Workers
	if workers == 0 {
		workers = 20
	}
	command = append(command, "produce", flag("namesrv", strings.Join(cfg.NameServers, ";")), flag("namespace", cfg.Namespace),
		flag("group", cfg.Group), flag("workers", workers), flag("quiet", cfg.Quiet),
		flag("timeout-ms", cfg.Timeout.Milliseconds()))
	if cfg.TraceTopic != "" {
		command = append(command, flag("trace-topic", cfg.TraceTopic))
	}
	if cfg.Transact {
		command = append(command, flag("transact", true))
	}
	p := &Producer{process: process{name: l.String() + " producer"}, answers: map[string]line.Line{}}
	if err := p.start(ctx, command, log, func(e line.Line) { p.on(e, cfg.On) }); err != nil {
		return nil, err
	}
	return p, nil
}

// on takes an event, under the process's lock.
func (p *Producer) on(e line.Line, sent func(Sent)) {
	seq := e.Get("seq")
	switch {
	case seq != "":
		p.answers[seq] = e
	case e.Verb == line.Sent:
		p.count++
		if sent != nil {
			sent(sentOf(e))
		}
	case e.Verb == line.Failed:
		p.failed = append(p.failed, e.Get("body")+": "+e.Get("error"))
	case e.Verb == line.Count:
		p.count = e.Int("n")
	}
}

// Count returns how many messages of floods were stored until now.
func (p *Producer) Count() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Send sends one message and waits for the answer.
func (p *Producer) Send(ctx context.Context, m Message) (Sent, error) {
	return p.ask(ctx, line.Line{Verb: line.Send, Values: m.encode()})
}

// Request sends one message as a request and waits for the reply to it. Of that it tells Body, Tag, Topic and Properties.
func (p *Producer) Request(ctx context.Context, m Message, ttl time.Duration) (Received, error) {
	l := line.Line{Verb: line.Ask, Values: m.encode()}
	l.Values.Set("ttl", strconv.FormatInt(ttl.Milliseconds(), 10))
	answer, err := p.call(ctx, l)
	return receivedOf(answer), err
}

// SendBatch sends messages of one topic as one batch.
func (p *Producer) SendBatch(ctx context.Context, batch []Message) (Sent, error) {
	l := line.New(line.Batch)
	for _, m := range batch {
		l.Values.Add("m", m.encode().Encode())
	}
	return p.ask(ctx, l)
}

// Flood is many messages of one topic, with the bodies Prefix-0, Prefix-1 and so on.
type Flood struct {
	Topic  string
	Prefix string
	N      int
	Rate   int // at most so many a second; 0 means no limit
	Size   int // bytes that a body is filled up to
}

// Flood sends many messages from several threads and returns when all were answered. Those that weren't stored are an
// error.
func (p *Producer) Flood(ctx context.Context, f Flood) error {
	_, err := p.ask(ctx, line.New(line.Flood, "topic", f.Topic, "prefix", f.Prefix, "n", strconv.Itoa(f.N), "rate", strconv.Itoa(f.Rate),
		"size", strconv.Itoa(f.Size)))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.failed); n > 0 {
		return fmt.Errorf("peer: %s: %d messages weren't sent, first %s", p.name, n, p.failed[0])
	}
	return nil
}

func (p *Producer) ask(ctx context.Context, l line.Line) (Sent, error) {
	answer, err := p.call(ctx, l)
	return sentOf(answer), err
}

// call gives a command and waits for its answer.
func (p *Producer) call(ctx context.Context, l line.Line) (line.Line, error) {
	p.mu.Lock()
	p.seq++
	seq := strconv.FormatInt(p.seq, 10)
	p.mu.Unlock()
	l.Values.Set("seq", seq)
	if err := p.command(l); err != nil {
		return line.Line{}, err
	}
	var answer line.Line
	err := p.Await(ctx, "an answer to "+l.Verb, func() (ok bool) {
		answer, ok = p.answers[seq]
		delete(p.answers, seq)
		return ok
	})
	if err == nil && answer.Verb == line.Failed {
		err = fmt.Errorf("peer: %s: %s: %w", p.name, l.Verb, errors.New(answer.Get("error")))
	}
	return answer, err
}
