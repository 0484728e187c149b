package clientgo_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// SendAsync takes batches, as client-go's does.
func TestSendAsyncBatch(t *testing.T) {
	t.Parallel()
	c, client := cluster(t)
	p := produce(t, client)
	type answer struct {
		result *primitive.SendResult
		err    error
	}
	answers := make(chan answer, 10)
	second := primitive.NewMessage("orders", []byte("b"))
	second.Flag = 5
	err := p.SendAsync(t.Context(), func(_ context.Context, result *primitive.SendResult, err error) { answers <- answer{result, err} },
		primitive.NewMessage("orders", []byte("a")), second)
	if err != nil {
		t.Fatal(err)
	}
	a := next(t, answers)
	if a.err != nil || a.result.Status != primitive.SendOK || strings.Count(a.result.MsgID, ",") != 1 {
		t.Errorf("%+v", a)
	}
	if stored := c.Messages("red%orders"); len(stored) != 2 || stored[0].Queue() != stored[1].Queue() || stored[1].Stored().Flag != 5 {
		t.Errorf("stored %v", stored)
	}
}

// A callback that panics takes nothing with it, as with client-go, and its producer goes on and shuts down.
func TestCallbacksThatPanic(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p := produce(t, client)
	begun := make(chan struct{}, 3)
	panics := func(context.Context, *primitive.SendResult, error) {
		begun <- struct{}{}
		panic("on purpose")
	}
	m := primitive.NewMessage("orders", []byte("x"))
	if err := p.SendAsync(t.Context(), panics, m); err != nil {
		t.Fatal(err)
	}
	if err := p.SendAsync(t.Context(), panics, m, m); err != nil {
		t.Fatal(err)
	}
	if err := p.RequestAsync(t.Context(), 10*time.Millisecond, func(context.Context, *primitive.Message, error) {
		begun <- struct{}{}
		panic("on purpose")
	}, m); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		next(t, begun)
	}
	send(t, p, 1)
	shutdown(t, p)
}

// An interceptor that panics of a RequestAsync is an error for the callback.
func TestRequestAsyncWithAPanic(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p := produce(t, client, producer.WithInterceptor(func(context.Context, any, any, primitive.Invoker) error { panic("on purpose") }))
	called := make(chan error, 2)
	if err := p.RequestAsync(t.Context(), time.Second, func(_ context.Context, _ *primitive.Message, err error) { called <- err },
		primitive.NewMessage("orders", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := next(t, called); err == nil {
		t.Error("no error")
	}
}

// A reply reaches who asked, whichever way it is sent.
func TestRepliesByEachWay(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]func(ctx context.Context, m *primitive.Message, by replier) error{
		"SendSync": func(ctx context.Context, m *primitive.Message, by replier) error {
			_, err := by.SendSync(ctx, m)
			return err
		},
		"SendOneWay": func(ctx context.Context, m *primitive.Message, by replier) error { return by.SendOneWay(ctx, m) },
		"SendAsync": func(ctx context.Context, m *primitive.Message, by replier) error {
			failed := make(chan error, 1)
			err := by.SendAsync(ctx, func(_ context.Context, _ *primitive.SendResult, err error) { failed <- err }, m)
			if err == nil {
				err = <-failed
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client := cluster(t)
			by := produce(t, client, producer.WithGroupName("replier"))
			start(t, client, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
				m, err := consumer.CreateReplyMessage(messages[0], nil)
				if err == nil {
					m.Body = []byte("hello") // which it leaves out
					err = reply(ctx, m, by)
				}
				if err != nil {
					t.Error(err)
				}
				return consumer.ConsumeSuccess, nil
			})
			got, err := produce(t, open(t, c)).Request(t.Context(), 5*time.Second, primitive.NewMessage("orders", []byte("who?")))
			if err != nil || string(got.Body) != "hello" {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

type replier interface {
	SendSync(ctx context.Context, messages ...*primitive.Message) (*primitive.SendResult, error)
	SendAsync(ctx context.Context, done func(context.Context, *primitive.SendResult, error), messages ...*primitive.Message) error
	SendOneWay(ctx context.Context, messages ...*primitive.Message) error
}

// Shutdown waits for callbacks of all kinds, also while more are sent.
func TestShutdownWaitsForCallbacks(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p := produce(t, client)
	m := primitive.NewMessage("orders", []byte("x"))
	sent, called := 0, make(chan struct{}, 100_000)
	back := func(context.Context, *primitive.SendResult, error) { called <- struct{}{} }
	down := make(chan error, 1)
	for n := 0; ; n++ {
		if n == 20 {
			go func() { down <- p.Shutdown() }()
		}
		messages := []*primitive.Message{m, m}
		if err := p.SendAsync(t.Context(), back, messages[n%2:]...); err != nil {
			break
		}
		sent++
	}
	if err := next(t, down); err != nil {
		t.Error(err)
	}
	if len(called) != sent {
		t.Errorf("%d sent, %d called", sent, len(called))
	}
}
