package producer_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zlib"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// asking is a producer whose requests a consumer in another process answers, in memory.
type asking struct {
	cluster *mqtest.Cluster
	client  *rocketkit.Client
	*producer.Producer
	handled atomic.Int32
}

// ask makes one in a bubble; answer is called with each request, and by default replies with "re: " and the body.
func ask(t *testing.T, cfg mqtest.Config, answer func(ctx context.Context, replier *producer.Producer, m *rocketkit.Message) error) *asking {
	t.Helper()
	cfg.Topics, cfg.Logger = map[string]int{"questions": 1}, slog.New(slog.DiscardHandler)
	a := &asking{cluster: mqtest.New(t, cfg)}
	open := func() *rocketkit.Client {
		c := a.cluster.Config()
		c.Logger = cfg.Logger
		client, err := rocketkit.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close(context.Background()) })
		return client
	}
	produce := func(client *rocketkit.Client, group string) *producer.Producer {
		p, err := producer.New(client, producer.Config{Group: group})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close(context.Background()) })
		return p
	}
	a.client = open()
	a.Producer = produce(a.client, "asker")
	answering := open()
	replier := produce(answering, "replier")
	if answer == nil {
		answer = func(ctx context.Context, replier *producer.Producer, m *rocketkit.Message) error {
			_, err := replier.Reply(ctx, m, producer.Message{Body: append([]byte("re: "), m.Body()...)})
			return err
		}
	}
	c, err := consumer.New(answering, consumer.Config{Group: "answers", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"questions": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			a.handled.Add(1)
			if err := answer(ctx, replier, m); err != nil {
				return consumer.Drop(err)
			}
			return nil
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	<-c.Ready()
	return a
}

func question(body string) producer.Message {
	return producer.Message{Topic: "questions", Body: []byte(body)}
}

// TestRequestIsRegisteredFirst: a request goes out only when each broker by which its reply may come has had a heartbeat
// with the group; also after a broker's restart, and when the connection broke while the reply was awaited.
func TestRequestIsRegisteredFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var restart atomic.Bool
		var a *asking
		a = ask(t, mqtest.Config{Brokers: 2}, func(ctx context.Context, replier *producer.Producer, m *rocketkit.Message) error {
			if restart.Swap(false) { // now the requester waits, and the broker forgets it
				if err := errors.Join(a.cluster.Stop("broker-a"), a.cluster.Restart("broker-a")); err != nil {
					return err
				}
			}
			_, err := replier.Reply(ctx, m, producer.Message{Body: append([]byte("re: "), m.Body()...)})
			return err
		})
		try := func(what string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			reply, err := a.Request(ctx, question(what))
			if err != nil || string(reply.Body()) != "re: "+what {
				t.Errorf("%s: %v", what, err)
			}
		}
		try("the first")
		for _, broker := range []string{"broker-a", "broker-b"} {
			if err := errors.Join(a.cluster.Stop(broker), a.cluster.Restart(broker)); err != nil {
				t.Fatal(err)
			}
			try("after a restart of " + broker)
		}
		restart.Store(true)
		try("while it is restarted")
	})
}

// TestReplyBeforeTheAnswer: a reply proves that the request was stored, whatever becomes of the broker's answer.
func TestReplyBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ask(t, mqtest.Config{}, nil)
		if _, err := a.Request(t.Context(), question("warm")); err != nil {
			t.Fatal(err)
		}
		a.cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Break: mqtest.Silence, After: true, Times: 1})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		reply, err := a.Request(ctx, question("lost answer"))
		if err != nil || string(reply.Body()) != "re: lost answer" {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		if n := a.cluster.Messages("questions"); len(n) > 3 {
			t.Errorf("stored %d times", len(n)-1)
		}
		if s := a.Stats(); s.Sent != 2 || s.Failed != 0 || len(s.Failures) != 0 {
			t.Errorf("%d sent, %d failed: %+v", s.Sent, s.Failed, s.Failures)
		}
	})
}

// TestNoReply: the wait ends with ctx, or after 3 s, and the error says where the request is.
func TestNoReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ask(t, mqtest.Config{}, func(context.Context, *producer.Producer, *rocketkit.Message) error { return nil })
		began := time.Now()
		_, err := a.Request(t.Context(), question("x"))
		var missing *producer.NoReplyError
		if !errors.As(err, &missing) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != producer.DefaultRequestTimeout {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		stored := a.cluster.Messages("questions")[0]
		if r := missing.Request; r.ID != stored.ID() || r.Queue != stored.Queue() || r.Offset != stored.Offset() || !strings.Contains(err.Error(), r.ID) {
			t.Errorf("%v; stored is %s in %v", err, stored.ID(), stored.Queue())
		}
		if ttl, _ := stored.Property(protocol.PropertyTTL); ttl != "3000" {
			t.Errorf("TTL %s", ttl)
		}
		why := errors.New("the user has left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if _, err := a.Request(ctx, question("x")); !errors.Is(err, why) {
			t.Errorf("canceled: %v", err)
		}
		time.AfterFunc(time.Second, func() { _ = a.client.Close(context.Background()) })
		if _, err := a.Request(t.Context(), question("x")); !errors.Is(err, rocketkit.ErrClosed) {
			t.Errorf("the Client was closed: %v", err)
		}
	})
}

// TestRefusedRequests: what can't be a request or a reply is refused before anything is sent.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		results := make(chan error, 1)
		a := ask(t, mqtest.Config{}, func(ctx context.Context, replier *producer.Producer, m *rocketkit.Message) error {
			if string(m.Body()) == "sent" {
				_, err := replier.Reply(ctx, m, producer.Message{Body: []byte("x")})
				results <- err
				return nil
			}
			for _, bad := range []producer.Message{
				{Body: []byte("x"), Topic: "orders"}, {Body: []byte("x"), ShardingKey: "k"}, {Body: []byte("x"), DelayLevel: 1}, {},
			} {
				if _, err := replier.Reply(ctx, m, bad); err == nil || !strings.Contains(err.Error(), "producer: reply to "+m.ID()+" of questions: ") {
					t.Errorf("%+v: %v", bad, err)
				}
			}
			_, err := replier.Reply(ctx, m, producer.Message{Body: []byte("x")})
			return err
		})
		if _, err := a.Request(t.Context(), question("asked")); err != nil {
			t.Errorf("after replies that were refused: %v", err)
		}
		if _, err := a.Request(t.Context(), producer.Message{Topic: "questions", Body: []byte("x"), DelayLevel: 2}); err == nil || !strings.Contains(err.Error(), "DelayLevel") {
			t.Errorf("delayed: %v", err)
		}
		if _, err := a.Request(t.Context(), producer.Message{Topic: "nowhere", Body: []byte("x")}); !errors.Is(err, rocketkit.ErrNoRoute) {
			t.Errorf("no topic: %v", err)
		}
		if _, err := a.Reply(t.Context(), nil, question("x")); err == nil {
			t.Error("a reply to nil")
		}
		if _, err := a.Send(t.Context(), question("sent")); err != nil {
			t.Fatal(err)
		}
		if err := <-results; !errors.Is(err, producer.ErrNotRequest) || !strings.Contains(err.Error(), "CORRELATION_ID") {
			t.Errorf("a reply to what was sent: %v", err)
		}
		if n := a.handled.Load(); n != 2 {
			t.Errorf("%d messages came", n)
		}
		_ = a.Close(t.Context())
		if _, err := a.Request(t.Context(), question("x")); !errors.Is(err, rocketkit.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if _, err := a.Reply(t.Context(), nil, question("x")); !errors.Is(err, rocketkit.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestCompressedReplies: bodies come as they were before compression; one that is said to be compressed and isn't, as
// rocketmq-client-go sends them above 4 KiB, comes as it is, and one that breaks off is an error.
func TestCompressedReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plain := bytes.Repeat([]byte("answer "), 1000)
		var packed bytes.Buffer
		w := zlib.NewWriter(&packed)
		_, _ = w.Write(plain)
		_ = w.Close()
		bodies := map[string][]byte{"compressed": packed.Bytes(), "not compressed": plain, "cut": packed.Bytes()[:packed.Len()/2]}
		var a *asking
		a = ask(t, mqtest.Config{}, func(ctx context.Context, _ *producer.Producer, m *rocketkit.Message) error {
			return replyRaw(ctx, a.client, m, bodies[string(m.Body())])
		})
		for what := range bodies {
			reply, err := a.Request(t.Context(), question(what))
			if what == "cut" {
				if err == nil || !strings.Contains(err.Error(), "inflate") {
					t.Errorf("%s: %v", what, err)
				}
			} else if err != nil || !bytes.Equal(reply.Body(), plain) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// replyRaw replies with a body marked as compressed by zlib.
func replyRaw(ctx context.Context, client *rocketkit.Client, m *rocketkit.Message, body []byte) error {
	view := client.Cluster()
	address, err := view.Master(ctx, "questions", m.Queue().Broker)
	if err != nil {
		return err
	}
	var properties protocol.Properties
	for _, name := range []string{protocol.PropertyCorrelationID, protocol.PropertyReplyTo} {
		value, _ := m.Property(name)
		properties = protocol.AppendProperty(properties, name, value)
	}
	cluster, _ := m.Property(protocol.PropertyCluster)
	_, err = view.Invoke(ctx, address, protocol.SendMessage{
		ProducerGroup: "other", Topic: protocol.ReplyTopic(cluster), Properties: properties, SysFlag: protocol.SysCompressed, Body: body, Reply: true,
	}.Frame())
	return err
}

// TestRefusedRequestFailsAtOnce: what the broker refuses isn't waited for.
func TestRefusedRequestFailsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ask(t, mqtest.Config{}, nil)
		a.cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Code: int(protocol.CodeMessageIllegal), Times: 1})
		began := time.Now()
		_, err := a.Request(t.Context(), question("x"))
		if code, _, ok := rocketkit.Code(err); !ok || code != int(protocol.CodeMessageIllegal) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
