package clientgo_test

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/clientgo"
)

// A message arrives as it was sent, under the names that client-go has for what it bears, and isn't changed by that.
func TestMessageArrives(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p := produce(t, client)
	m := primitive.NewMessage("orders", []byte("two books")).WithTag("paid").WithKeys([]string{"a", "b"}).WithShardingKey("order-1")
	m.WithProperty("city", "Berlin")
	m.WithProperty("BUYER_ID", "7") // which package producer refuses
	m.Flag = 5
	before := m.GetProperties()
	result, err := p.SendSync(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if after := m.GetProperties(); len(after) != len(before) || m.Topic != "orders" {
		t.Errorf("changed: %v, %v", m, after)
	}
	got := make(chan *primitive.MessageExt, 1)
	start(t, client, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		got <- messages[0]
		return consumer.ConsumeSuccess, nil
	})
	r := next(t, got)
	for name, value := range before {
		if r.GetProperty(name) != value {
			t.Errorf("property %s is %q, want %q", name, r.GetProperty(name), value)
		}
	}
	if r.GetTags() != "paid" || r.GetKeys() != "a b" || r.GetShardingKey() != "order-1" || r.Topic != "orders" || r.Flag != 5 || string(r.Body) != "two books" {
		t.Errorf("received %v", r)
	}
	if r.MsgId != result.MsgID || r.OffsetMsgId != result.OffsetMsgID || r.QueueOffset != result.QueueOffset || *r.Queue != *result.MessageQueue {
		t.Errorf("received %v, sent %v", r, result)
	}
	if r.BornHost == "" || r.StoreHost == "" || r.BornTimestamp == 0 || r.StoreTimestamp == 0 || r.StoreSize == 0 || r.BodyCRC == 0 {
		t.Errorf("received %v", r)
	}
}

// Large bodies are compressed on their way, and arrive whole.
func TestCompression(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p := produce(t, client, producer.WithCompressMsgBodyOverHowmuch(100))
	got := make(chan *primitive.MessageExt, 2)
	start(t, client, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		got <- messages[0]
		return consumer.ConsumeSuccess, nil
	})
	for _, size := range []int{99, 100} {
		body := strings.Repeat("x", size)
		if _, err := p.SendSync(t.Context(), primitive.NewMessage("orders", []byte(body))); err != nil {
			t.Fatal(err)
		}
		if m := next(t, got); string(m.Body) != body {
			t.Errorf("%d bytes: received %q", size, m.Body)
		}
	}
}

// A forwarded message keeps the id that it has.
func TestForwardedKeepsItsID(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	m := primitive.NewMessage("orders", []byte("x"))
	m.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, "7F00000100012A9A00000000DEADBEEF")
	result, err := produce(t, client).SendSync(t.Context(), m)
	if err != nil || result.MsgID != "7F00000100012A9A00000000DEADBEEF" {
		t.Errorf("%v, %v", result, err)
	}
}

type chosen func(*primitive.Message, []*primitive.MessageQueue, string) *primitive.MessageQueue

func (c chosen) Select(m *primitive.Message, queues []*primitive.MessageQueue, last string) *primitive.MessageQueue {
	return c(m, queues, last)
}

// Selectors choose as with client-go; one that chooses nothing is an error.
func TestSelectors(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	hashed := fnv.New32a()
	hashed.Write([]byte("order-1"))
	third := func(_ *primitive.Message, queues []*primitive.MessageQueue, _ string) *primitive.MessageQueue {
		return queues[3]
	}
	for name, c := range map[string]struct {
		selector producer.QueueSelector
		want     int
	}{
		"hash":   {producer.NewHashQueueSelector(), int(hashed.Sum32() % 4)},
		"manual": {producer.NewManualQueueSelector(), 2},
		"own":    {chosen(third), 3},
	} {
		p := produce(t, client, producer.WithQueueSelector(c.selector), producer.WithGroupName("checkout-"+name))
		m := primitive.NewMessage("orders", []byte("x")).WithShardingKey("order-1")
		seen, err := p.SendSync(t.Context(), m)
		if name == "manual" {
			if err == nil || !strings.Contains(err.Error(), "chose no queue") {
				t.Errorf("manual without a queue: %v", err)
			}
			broker, err := produce(t, client).SendSync(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			m.Queue = &primitive.MessageQueue{Topic: "orders", BrokerName: broker.MessageQueue.BrokerName, QueueId: 2}
			seen, err = p.SendSync(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
		if seen.MessageQueue.QueueId != c.want {
			t.Errorf("%s: queue %d, want %d", name, seen.MessageQueue.QueueId, c.want)
		}
	}
}

// What client-go refuses is refused with its errors, and what can't be carried over by its name.
func TestProducerErrors(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p, err := clientgo.NewProducer(client, producer.WithGroupName("checkout"))
	if err != nil {
		t.Fatal(err)
	}
	m := primitive.NewMessage("orders", []byte("x"))
	if _, err := p.SendSync(t.Context(), m); !errors.Is(err, clienterrors.ErrNotRunning) {
		t.Errorf("before Start: %v", err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for want, messages := range map[string][]*primitive.Message{
		clienterrors.ErrMessageEmpty.Error():   nil,
		clienterrors.ErrTopicEmpty.Error():     {{Body: []byte("x")}},
		clienterrors.ErrMultipleTopics.Error(): {m, {Topic: "refunds", Body: []byte("x")}},
		"message 1 is nil":                     {m, nil},
		"DELAY: ":                              {delayed("soon")},
		"Body: empty":                          {{Topic: "orders"}},
	} {
		for how, send := range map[string]func() error{
			"SendSync":   func() error { _, err := p.SendSync(t.Context(), messages...); return err },
			"SendOneWay": func() error { return p.SendOneWay(t.Context(), messages...) },
		} {
			if err := send(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want it to say %q", how, err, want)
			}
		}
	}
	if _, err := p.SendSync(t.Context(), primitive.NewMessage("nowhere", []byte("x"))); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("without the topic: %v", err)
	}
	shutdown(t, p)
	if _, err := p.SendSync(t.Context(), m); !errors.Is(err, clienterrors.ErrNotRunning) {
		t.Errorf("after Shutdown: %v", err)
	}
	if err := p.Start(); !errors.Is(err, rocketkit.ErrClosed) {
		t.Errorf("Start after Shutdown: %v", err)
	}
}

func delayed(level string) *primitive.Message {
	m := primitive.NewMessage("orders", []byte("x"))
	m.WithProperty(primitive.PropertyDelayTimeLevel, level)
	return m
}

// A one-way message arrives.
func TestOneWay(t *testing.T) {
	t.Parallel()
	c, client := cluster(t)
	p := produce(t, client, producer.WithQueueSelector(producer.NewHashQueueSelector()))
	if err := p.SendOneWay(t.Context(), primitive.NewMessage("orders", []byte("x")).WithShardingKey("k")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "stored", func() bool { return len(c.Messages("red%orders")) == 1 })
}

// SendAsync calls back once, with the result or the error.
func TestSendAsync(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p := produce(t, client)
	type answer struct {
		result *primitive.SendResult
		err    error
	}
	answers := make(chan answer, 10)
	back := func(_ context.Context, result *primitive.SendResult, err error) { answers <- answer{result, err} }
	if err := p.SendAsync(t.Context(), back, primitive.NewMessage("orders", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if a := next(t, answers); a.err != nil || a.result.Status != primitive.SendOK || a.result.MsgID == "" {
		t.Errorf("%+v", a)
	}
	if err := p.SendAsync(t.Context(), back, primitive.NewMessage("nowhere", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if a := next(t, answers); !errors.Is(a.err, rocketkit.ErrNoRoute) || a.result != nil {
		t.Errorf("without the topic: %+v", a)
	}
	if err := p.SendAsync(t.Context(), nil, primitive.NewMessage("orders", []byte("x"))); !errors.Is(err, rocketkit.ErrConfig) {
		t.Errorf("without a callback: %v", err)
	}
	if len(answers) > 0 {
		t.Errorf("%d calls too many", len(answers))
	}
}

// An interceptor of a producer sees message, result and mode, and can keep a message back.
func TestProducerInterceptor(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	var seen *primitive.ProducerCtx
	p := produce(t, client, producer.WithInterceptor(func(ctx context.Context, req, reply any, next primitive.Invoker) error {
		m := req.(*primitive.Message)
		if string(m.Body) == "no" {
			return errors.New("not this one")
		}
		m.WithProperty("traced", "yes")
		err := next(ctx, req, reply)
		seen, _ = primitive.GetProducerCtx(ctx)
		return err
	}))
	result, err := p.SendSync(t.Context(), primitive.NewMessage("orders", []byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if seen == nil || seen.CommunicationMode != primitive.SendSync || seen.ProducerGroup != "checkout" || seen.MQ != *result.MessageQueue ||
		seen.SendResult.MsgID != result.MsgID || seen.Message.Topic != "orders" {
		t.Errorf("context %+v", seen)
	}
	if _, err := p.SendSync(t.Context(), primitive.NewMessage("orders", []byte("no"))); err == nil || err.Error() != "not this one" {
		t.Errorf("kept back: %v", err)
	}
}

// A request without a reply ends with its time, and RequestAsync calls back once.
func TestRequestWithoutReply(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p := produce(t, client)
	if _, err := p.Request(t.Context(), 50*time.Millisecond, primitive.NewMessage("orders", []byte("x"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Request: %v", err)
	}
	called := make(chan error, 2)
	if err := p.RequestAsync(t.Context(), 50*time.Millisecond, func(_ context.Context, _ *primitive.Message, err error) {
		called <- err
	}, primitive.NewMessage("orders", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	shutdown(t, p)
	if err := next(t, called); !errors.Is(err, context.DeadlineExceeded) || len(called) > 0 {
		t.Errorf("RequestAsync: %v", err)
	}
}
