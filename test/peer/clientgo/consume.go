package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// consume runs a push consumer until it is told to stop.
func consume(o options) error {
	where := consumer.ConsumeFromLastOffset
	if o.earliest {
		where = consumer.ConsumeFromFirstOffset
	}
	var clientID atomic.Value
	set := []consumer.Option{
		consumer.WithNameServer(o.nameServers),
		consumer.WithNamespace(o.namespace),
		consumer.WithGroupName(o.group),
		consumer.WithConsumeFromWhere(where),
		consumer.WithConsumerOrder(o.orderly),
		consumer.WithConsumeGoroutineNums(o.workers),
		consumer.WithStrategy(func(group, id string, queues []*primitive.MessageQueue, ids []string) []*primitive.MessageQueue {
			clientID.Store(id) // there is no other way to learn it
			return consumer.AllocateByAveragely(group, id, queues, ids)
		}),
	}
	if o.maxAttempts > 0 {
		set = append(set, consumer.WithMaxReconsumeTimes(int32(o.maxAttempts-1)))
	}
	c, err := consumer.NewPushConsumer(set...)
	if err != nil {
		return err
	}
	l := listener{options: o}
	if o.reply > 0 {
		if l.replier, err = newProducer(options{nameServers: o.nameServers, namespace: o.namespace, group: o.group + "-replier", timeout: o.timeout}); err != nil {
			return err
		}
	}
	err = c.Subscribe(o.topic, consumer.MessageSelector{Type: consumer.TAG, Expression: o.tags}, l.handle)
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	say(line.New(line.Ready))
	stop := make(chan struct{})
	go watch(stop, func() line.Line {
		id, _ := clientID.Load().(string) // empty until it is known
		l := line.New(line.Queues, "client", id)
		for q := range c.GetConsumerRunningInfo(false).MQTable {
			l.Values.Add("q", fmt.Sprintf("%s/%s/%d", q.Topic, q.BrokerName, q.QueueId))
		}
		slices.Sort(l.Values["q"])
		return l
	})
	if o.quiet {
		go watch(stop, func() line.Line { return line.New(line.Count, "n", strconv.FormatInt(l.all.Load(), 10)) })
	}
	commands(func(line.Line) {})
	close(stop)
	return c.Shutdown()
}

// watch says something whenever it has changed.
func watch(stop <-chan struct{}, look func() line.Line) {
	last := ""
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-stop:
			tick.Stop()
			return
		case <-tick.C:
			if l := look(); l.String() != last {
				last = l.String()
				say(l)
			}
		}
	}
}

// listener handles messages and tells of each.
type listener struct {
	options
	first, all atomic.Int64
	replier    rocketmq.Producer // nil: requests aren't answered
}

func (l *listener) handle(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	began := time.Now()
	time.Sleep(l.work)
	verdict := "ok"
	for _, m := range msgs { // one, as the batch size is the default
		l.all.Add(1)
		l.answer(m)
		if m.ReconsumeTimes == 0 {
			verdict = l.verdict(l.first.Add(1))
		}
		if !l.quiet {
			say(l.received(m, verdict, began))
		}
	}
	switch verdict {
	case "panic":
		panic("on purpose")
	case "ok":
		return consumer.ConsumeSuccess, nil
	}
	if ordered, ok := primitive.GetOrderlyCtx(ctx); ok {
		ordered.SuspendCurrentQueueTimeMillis = 100
		return consumer.SuspendCurrentQueueAMoment, nil // after RetryLater it goes on as if the message had been handled
	}
	if c, ok := primitive.GetConcurrentlyCtx(ctx); ok {
		c.DelayLevelWhenNextConsume = l.retryLevel
		if verdict == "dead" {
			c.DelayLevelWhenNextConsume = -1
		}
	}
	return consumer.ConsumeRetryLater, nil
}

// answer replies to a request.
func (l *listener) answer(m *primitive.MessageExt) {
	if l.replier == nil || m.GetProperty(primitive.PropertyCorrelationID) == "" {
		return
	}
	body := fmt.Appendf(nil, "re: %s", m.Body)
	reply, err := consumer.CreateReplyMessage(m, nil)
	if err != nil {
		fail(err.Error())
	}
	reply.Body = append(body, strings.Repeat("x", max(0, l.reply-len(body)))...) // the library takes the body for properties, and drops it
	if _, err := l.replier.SendSync(context.Background(), reply); err != nil {
		fail("reply: " + err.Error())
	}
}

func (l *listener) verdict(n int64) string {
	switch {
	case l.panicEvery > 0 && n%l.panicEvery == 0:
		return "panic"
	case l.deadEvery > 0 && n%l.deadEvery == 0:
		return "dead"
	case l.failEvery > 0 && n%l.failEvery == 0:
		return "retry"
	}
	return "ok"
}

func (l *listener) received(m *primitive.MessageExt, verdict string, began time.Time) line.Line {
	body := string(m.Body)
	if l.brief {
		body, _, _ = strings.Cut(body, " ")
	}
	values := []string{
		"topic", m.Topic, "body", body, "broker", m.Queue.BrokerName, "queue", strconv.Itoa(m.Queue.QueueId),
		"offset", strconv.FormatInt(m.QueueOffset, 10), "attempt", strconv.Itoa(int(m.ReconsumeTimes) + 1), "verdict", verdict,
		"began", strconv.FormatInt(began.UnixMicro(), 10), "ended", strconv.FormatInt(time.Now().UnixMicro(), 10),
	}
	if l.brief {
		return line.New(line.Got, values...)
	}
	told := line.New(line.Got, append(values, "tag", m.GetTags(), "keys", m.GetKeys(), "sharding", m.GetShardingKey(),
		"id", m.MsgId, "offsetid", m.OffsetMsgId)...)
	for name, value := range m.GetProperties() {
		told.Values.Set("p."+name, value)
	}
	return told
}
