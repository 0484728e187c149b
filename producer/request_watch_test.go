package producer

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/mqtest"
)

// watching is a hook.Sender that adds a property and counts.
type watching struct {
	mu   sync.Mutex
	seen map[hook.Kind]int
	sent map[hook.Kind]int
}

func (*watching) On() bool { return true }

func (w *watching) Sending(ctx context.Context, s *hook.Sending) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[s.Kind]++
	s.Messages[0].Properties = append(s.Messages[0].Properties, hook.Property{Name: "watched", Value: "yes"})
	return ctx
}

func (w *watching) Sent(_ context.Context, s *hook.Sending, r *hook.Sent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Err == nil {
		w.sent[s.Kind]++
	}
}

// TestWatchedRequestIsSentOnce: where something watches the sends, requests and replies are sent once all the same, and
// the reply is waited for.
func TestWatchedRequestIsSentOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"questions": 1}, Logger: slog.New(slog.DiscardHandler)})
		client, err := rocketkit.Open(cluster.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		p, err := New(client, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(context.Background())
		w := &watching{seen: map[hook.Kind]int{}, sent: map[hook.Kind]int{}}
		p.hooks = []hook.Sender{w}
		c, err := consumer.New(client, consumer.Config{Group: "answers", Topics: map[string]consumer.Topic{
			"questions": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
				_, err := p.Reply(ctx, m, Message{Body: []byte("answer")})
				return err
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		defer func() { stop(); <-done }()
		<-c.Ready()

		reply, err := p.Request(t.Context(), Message{Topic: "questions", Body: []byte("x")})
		if err != nil || string(reply.Body()) != "answer" {
			t.Fatal(err)
		}
		stored := cluster.Messages("questions")
		if len(stored) != 1 {
			t.Errorf("stored %d times", len(stored))
		}
		for _, name := range []string{"watched", protocol.PropertyCorrelationID, protocol.PropertyReplyTo, protocol.PropertyTTL} {
			if _, ok := stored[0].Property(name); !ok {
				t.Errorf("the request has no property %s", name)
			}
		}
		if value, _ := reply.Property("watched"); value != "yes" {
			t.Error("the reply lacks what was added to it")
		}
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, kind := range []hook.Kind{hook.Request, hook.Reply} {
			if w.seen[kind] != 1 || w.sent[kind] != 1 {
				t.Errorf("kind %d: %d begun, %d sent", kind, w.seen[kind], w.sent[kind])
			}
		}
	})
}
