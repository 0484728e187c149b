package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// produce sends what it is told to.
func produce(o options) error {
	if o.transact {
		return transact(o, settings(o))
	}
	p, err := newProducer(o)
	if err != nil {
		return err
	}
	say(line.New(line.Ready))
	s := sender{options: o, send: p.SendSync, request: p.Request, stop: make(chan struct{})}
	if o.quiet {
		go watch(s.stop, func() line.Line { return line.New(line.Count, "n", strconv.FormatInt(s.count.Load(), 10)) })
	}
	commands(s.do)
	close(s.stop)
	s.floods.Wait()
	return p.Shutdown()
}

// newProducer starts a producer.
func newProducer(o options) (rocketmq.Producer, error) {
	p, err := producer.NewDefaultProducer(settings(o)...)
	if err != nil {
		return nil, err
	}
	return p, p.Start()
}

// settings are what the options say.
func settings(o options) []producer.Option {
	set := []producer.Option{
		producer.WithNameServer(o.nameServers),
		producer.WithNamespace(o.namespace),
		producer.WithGroupName(o.group),
		producer.WithQueueSelector(producer.NewHashQueueSelector()), // at random without a sharding key
		producer.WithRetry(2),
	}
	if o.timeout > 0 {
		set = append(set, producer.WithSendMsgTimeout(o.timeout))
	}
	return set
}

type sender struct {
	options
	send    func(context.Context, ...*primitive.Message) (*primitive.SendResult, error)
	request func(context.Context, time.Duration, *primitive.Message) (*primitive.Message, error)
	count   atomic.Int64
	stop    chan struct{}
	floods  sync.WaitGroup
}

func (s *sender) do(l line.Line) {
	switch l.Verb {
	case line.Send:
		s.answer(l.Get("seq"), "", message(l))
	case line.Ask:
		s.ask(l)
	case line.Batch:
		var batch []*primitive.Message
		for _, text := range l.Values["m"] {
			m, err := line.Parse(line.Send + " " + text)
			if err != nil {
				fail(err.Error())
			}
			batch = append(batch, message(m))
		}
		s.answer(l.Get("seq"), "", batch...)
	case line.Flood:
		s.floods.Go(func() { s.flood(l) })
	default:
		fail("no command " + l.Verb)
	}
}

// ask sends a request and tells of its reply.
func (s *sender) ask(l line.Line) {
	m, err := s.request(context.Background(), time.Duration(l.Int("ttl"))*time.Millisecond, message(l))
	if err != nil {
		say(line.New(line.Failed, "seq", l.Get("seq"), "error", err.Error()))
		return
	}
	told := line.New(line.Got, "seq", l.Get("seq"), "body", string(m.Body), "tag", m.GetTags(), "topic", m.Topic)
	for name, value := range m.GetProperties() {
		told.Values.Set("p."+name, value)
	}
	say(told)
}

// answer sends and tells how it went.
func (s *sender) answer(seq, body string, batch ...*primitive.Message) {
	r, err := s.send(context.Background(), batch...)
	if err != nil {
		say(line.New(line.Failed, "seq", seq, "error", err.Error(), "body", body))
		return
	}
	s.count.Add(int64(len(batch)))
	if s.quiet && seq == "" {
		return
	}
	say(line.New(line.Sent, "seq", seq, "id", r.MsgID, "offsetid", r.OffsetMsgID, "broker", r.MessageQueue.BrokerName,
		"queue", strconv.Itoa(r.MessageQueue.QueueId), "offset", strconv.FormatInt(r.QueueOffset, 10), "body", body))
}

// flood sends n messages from several goroutines, at most rate a second when there is one.
func (s *sender) flood(l line.Line) {
	n, rate, size := l.Int("n"), l.Int("rate"), int(l.Int("size"))
	var next atomic.Int64
	var senders sync.WaitGroup
	begin := time.Now()
	for range max(s.workers, 1) {
		senders.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				if rate > 0 {
					time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				select {
				case <-s.stop:
					return
				default:
				}
				body := fmt.Sprintf("%s-%d", l.Get("prefix"), i)
				m := primitive.NewMessage(l.Get("topic"), []byte(body+strings.Repeat("x", max(0, size-len(body)))))
				s.answer("", body, m)
			}
		})
	}
	senders.Wait()
	say(line.New(line.Flooded, "seq", l.Get("seq")))
}

func message(l line.Line) *primitive.Message {
	m := primitive.NewMessage(l.Get("topic"), []byte(l.Get("body")))
	for name := range l.Values {
		if property, ok := strings.CutPrefix(name, "p."); ok {
			m.WithProperty(property, l.Get(name))
		}
	}
	m.WithTag(l.Get("tag")) // the library leaves out what is empty
	m.WithProperty(primitive.PropertyKeys, l.Get("keys"))
	m.WithShardingKey(l.Get("sharding"))
	if level := l.Int("delay"); level > 0 {
		m.WithDelayTimeLevel(int(level))
	}
	return m
}
