package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

// replier runs a consumer that answers each request with what answer makes of it.
func replier(t *testing.T, client *rocketkit.Client, topic string, answer func(m *rocketkit.Message) producer.Message) *running {
	t.Helper()
	p := newProducer(t, client, "replier")
	return run(t, client, consumer.Config{Group: "answers", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		topic: {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			if _, err := p.Reply(ctx, m, answer(m)); err != nil {
				return consumer.Drop(err)
			}
			return nil
		}},
	}})
}

func newProducer(t *testing.T, client *rocketkit.Client, group string) *producer.Producer {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: group})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// request makes a request that must be answered.
func request(t *testing.T, p *producer.Producer, topic, body string) *rocketkit.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reply, err := p.Request(ctx, producer.Message{Topic: topic, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func echo(m *rocketkit.Message) producer.Message {
	return producer.Message{Body: append([]byte("re: "), m.Body()...), Tag: "answer", Properties: map[string]string{"for": m.ID()}}
}

// Each caller gets the reply to its own request, from the first one on, and the reply's tag, properties and body.
func TestRequest(t *testing.T) { onEach(t, testRequest) }

func testRequest(t *testing.T, on target) {
	asking, answering := on.open(t, tenantOf(t, "")), on.open(t, tenantOf(t, ""))
	topic(t, asking, "questions")
	replier(t, answering, "questions", echo)
	p := newProducer(t, asking, "asker")
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			body := fmt.Sprintf("question %d", i)
			reply, err := p.Request(ctx, producer.Message{Topic: "questions", Body: []byte(body)})
			if err != nil {
				t.Error(err)
				return
			}
			if got := string(reply.Body()); got != "re: "+body || reply.Tag() != "answer" {
				t.Errorf("%s: reply %q, tag %q", body, got, reply.Tag())
			}
			if id, _ := reply.Property("for"); id == "" {
				t.Errorf("%s: the reply's property is missing", body)
			}
		})
	}
	wg.Wait()
	if n := asking.Cluster().ReplyCounts(); n.Delivered != 32 || n.Refused != 0 {
		t.Errorf("%+v", n)
	}
}

// A request that nobody answers was stored, and the error says where.
func TestRequestWithoutReply(t *testing.T) { onEach(t, testRequestWithoutReply) }

func testRequestWithoutReply(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "questions")
	p := newProducer(t, client, "asker")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := p.Request(ctx, producer.Message{Topic: "questions", Body: []byte("is anybody there")})
	var missing *producer.NoReplyError
	if !errors.As(err, &missing) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if r := missing.Request; r.ID == "" || r.OffsetID == "" || r.Queue.Topic != "questions" {
		t.Errorf("%+v", r)
	}
	t.Log(err)

	// It was a request, so who consumes it late may reply: the requester takes it and drops it.
	replied := make(chan error, 1)
	late := newProducer(t, client, "replier")
	run(t, client, consumer.Config{Group: "answers", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"questions": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			_, err := late.Reply(ctx, m, producer.Message{Body: []byte("too late")})
			replied <- err
			return nil
		}},
	}})
	if err := <-replied; err != nil {
		t.Error(err)
	}
	if n := client.Cluster().ReplyCounts(); n.Delivered != 0 || n.Unclaimed != 1 {
		t.Errorf("%+v", n)
	}
}

// A message that was sent is not a request; a requester that has ended is gone.
func TestReplyToNobody(t *testing.T) { onEach(t, testReplyToNobody) }

func testReplyToNobody(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "questions")
	p := newProducer(t, client, "replier")
	if _, err := p.Send(t.Context(), producer.Message{Topic: "questions", Body: []byte("plain")}); err != nil {
		t.Fatal(err)
	}
	asking, err := rocketkit.Open(on.config(t, tenantOf(t, "")))
	if err != nil {
		t.Fatal(err)
	}
	asker := newProducer(t, asking, "asker")
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if _, err := asker.Request(ctx, producer.Message{Topic: "questions", Body: []byte("asked")}); err == nil {
		t.Fatal("a reply from nobody")
	}
	_ = asker.Close(t.Context())
	if err := asking.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]chan error{"plain": make(chan error, 1), "asked": make(chan error, 1)}
	run(t, client, consumer.Config{Group: "answers", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"questions": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			_, err := p.Reply(ctx, m, producer.Message{Body: []byte("x")})
			outcomes[string(m.Body())] <- err
			return nil
		}},
	}})
	if err := <-outcomes["plain"]; !errors.Is(err, producer.ErrNotRequest) {
		t.Error(err)
	}
	if err := <-outcomes["asked"]; !errors.Is(err, producer.ErrRequesterGone) {
		t.Error(err)
	} else {
		t.Log(err)
	}
}

// Large replies arrive whole.
func TestLargeReply(t *testing.T) { onEach(t, testLargeReply) }

func testLargeReply(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "questions")
	large := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	replier(t, client, "questions", func(*rocketkit.Message) producer.Message { return producer.Message{Body: large} })
	if reply := request(t, newProducer(t, client, "asker"), "questions", "much"); !bytes.Equal(reply.Body(), large) {
		t.Errorf("%d bytes", len(reply.Body()))
	}
}

// Two tenants ask and answer by the same names in one process, over one Client's sockets and so one client id: neither
// gets the other's replies, and the end of one's producers doesn't take the other's replies away.
func TestTenantsReplies(t *testing.T) { onEach(t, testTenantsReplies) }

func testTenantsReplies(t *testing.T, on target) {
	red := on.open(t, tenantOf(t, "-r"))
	blue, err := red.For(tenantOf(t, "-b"))
	if err != nil {
		t.Fatal(err)
	}
	askers := map[string]*producer.Producer{}
	for name, client := range map[string]*rocketkit.Client{"red": red, "blue": blue} {
		topic(t, client, "questions")
		replier(t, client, "questions", func(m *rocketkit.Message) producer.Message {
			return producer.Message{Body: []byte(name + " answers " + string(m.Body()))}
		})
		askers[name] = newProducer(t, client, "asker")
	}
	ask := func(name string, n int) {
		for i := range n {
			body := fmt.Sprintf("%d", i)
			if got := string(request(t, askers[name], "questions", body).Body()); got != name+" answers "+body {
				t.Errorf("%s got %q", name, got)
			}
		}
	}
	var wg sync.WaitGroup
	for name := range askers {
		wg.Go(func() { ask(name, 20) })
	}
	wg.Wait()
	if err := askers["blue"].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask("red", 5)
}
