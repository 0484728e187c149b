package clientgo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/clientgo"
)

func succeed(context.Context, call) (consumer.ConsumeResult, error) {
	return consumer.ConsumeSuccess, nil
}

// Where the handler asks for a retry, panics, or answers what no handler should, the message comes again. client-go never
// acknowledges nor retries one whose handler has panicked.
func TestFailuresAreRetried(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() (consumer.ConsumeResult, error){
		"later":    func() (consumer.ConsumeResult, error) { return consumer.ConsumeRetryLater, errors.New("on purpose") },
		"rollback": func() (consumer.ConsumeResult, error) { return consumer.Rollback, nil },
		"commit":   func() (consumer.ConsumeResult, error) { return consumer.Commit, nil },
		"strange":  func() (consumer.ConsumeResult, error) { return 42, nil },
		"panic":    func() (consumer.ConsumeResult, error) { panic("on purpose") },
	} {
		for _, batch := range []int{1, 10} {
			if batch > 1 && name != "panic" && name != "later" {
				continue
			}
			t.Run(fmt.Sprint(name, batch), func(t *testing.T) {
				t.Parallel()
				_, client := cluster(t)
				handle, calls := recorder(func(ctx context.Context, c call) (consumer.ConsumeResult, error) {
					if how, ok := primitive.GetConcurrentlyCtx(ctx); ok {
						how.DelayLevelWhenNextConsume = 1
					}
					if c.attempts[0] == 0 {
						return fail()
					}
					return consumer.ConsumeSuccess, nil
				})
				start(t, client, handle, consumer.WithConsumeMessageBatchMaxSize(batch))
				send(t, produce(t, client), 1)
				for attempt := range int32(2) {
					if c := next(t, calls); c.attempts[0] != attempt {
						t.Errorf("attempt %d: %+v", attempt, c)
					}
				}
			})
		}
	}
}

// In order, what isn't done with stays where it is, also what client-go commits over: a message that is to be retried
// later (apache/rocketmq-client-go#1229).
func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	for _, result := range []consumer.ConsumeResult{consumer.ConsumeRetryLater, consumer.SuspendCurrentQueueAMoment, consumer.Rollback} {
		t.Run(fmt.Sprint(result), func(t *testing.T) {
			t.Parallel()
			_, client := cluster(t)
			handle, calls := recorder(func(ctx context.Context, c call) (consumer.ConsumeResult, error) {
				how, ok := primitive.GetOrderlyCtx(ctx)
				if !ok {
					return consumer.ConsumeSuccess, errors.New("no context of ordered consumption")
				}
				if how.SuspendCurrentQueueTimeMillis = 10; c.bodies[0] == "1" && c.attempts[0] < 2 {
					return result, nil
				}
				return consumer.ConsumeSuccess, nil
			})
			start(t, client, handle, consumer.WithConsumerOrder(true))
			send(t, produce(t, client), 3)
			var bodies []string
			for range 5 {
				bodies = append(bodies, next(t, calls).bodies...)
			}
			if got := strings.Join(bodies, " "); got != "0 1 1 1 2" {
				t.Error(got)
			}
		})
	}
}

// Of a batch what lies beyond AckIndex comes again, and nothing else. client-go acknowledges all.
func TestAckIndex(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	send(t, produce(t, client), 10)
	handle, calls := recorder(func(ctx context.Context, c call) (consumer.ConsumeResult, error) {
		how, _ := primitive.GetConcurrentlyCtx(ctx)
		if how.DelayLevelWhenNextConsume = 1; len(c.bodies) == 10 {
			how.AckIndex = 6
		}
		return consumer.ConsumeSuccess, nil
	})
	start(t, client, handle, consumer.WithConsumeMessageBatchMaxSize(10))
	if c := next(t, calls); len(c.bodies) != 10 {
		t.Fatalf("first %+v", c)
	}
	var again []string
	for len(again) < 3 {
		again = append(again, next(t, calls).bodies...)
	}
	if slices.Sort(again); !slices.Equal(again, []string{"7", "8", "9"}) {
		t.Errorf("again %q", again)
	}
}

// A level below 0 is the dead-letter topic, and so is what fails more often than WithMaxReconsumeTimes.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	for name, level := range map[string]int{"asked for": -1, "too often": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client := cluster(t)
			handle, _ := recorder(func(ctx context.Context, _ call) (consumer.ConsumeResult, error) {
				how, _ := primitive.GetConcurrentlyCtx(ctx)
				how.DelayLevelWhenNextConsume = level
				return consumer.ConsumeRetryLater, nil
			})
			start(t, client, handle, consumer.WithMaxReconsumeTimes(1))
			send(t, produce(t, client), 1)
			eventually(t, "a dead letter", func() bool { return len(c.Messages("%DLQ%red%billing")) == 1 })
		})
	}
}

// Interceptors and the limiter are called as by client-go; one that fails without calling on has the message retried,
// which client-go acknowledges.
func TestInterceptors(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	var limited, refused atomic.Int32
	handle, calls := recorder(succeed)
	seen := make(chan *primitive.ConsumeMessageContext, 10)
	start(t, client, handle,
		consumer.WithLimiter(func(topic string) {
			if topic == "orders" {
				limited.Add(1)
			}
		}),
		consumer.WithInterceptor(func(ctx context.Context, req, reply any, next primitive.Invoker) error {
			if how, ok := primitive.GetConcurrentlyCtx(ctx); ok {
				how.DelayLevelWhenNextConsume = 1
			}
			if refused.Add(1) == 1 {
				return errors.New("not yet")
			}
			err := next(ctx, req, reply)
			if c, ok := primitive.GetConsumerCtx(ctx); ok && reply.(*consumer.ConsumeResultHolder).ConsumeResult == consumer.ConsumeSuccess {
				seen <- c
			}
			return err
		}))
	send(t, produce(t, client), 1)
	if c := next(t, calls); c.attempts[0] != 1 {
		t.Errorf("handled %+v", c)
	}
	c := next(t, seen)
	if c.ConsumerGroup != "billing" || !c.Success || c.MQ == nil || len(c.Msgs) != 1 || c.Properties[primitive.PropCtxType] != string(primitive.SuccessReturn) {
		t.Errorf("context %+v", c)
	}
	if limited.Load() != 2 {
		t.Errorf("limited %d times", limited.Load())
	}
}

// Suspend has nothing received until Resume, and the difference of offsets grows and goes.
func TestSuspend(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	handle, calls := recorder(succeed)
	c := start(t, client, handle)
	p := produce(t, client)
	send(t, p, 1)
	next(t, calls)
	c.Suspend()
	send(t, p, 5)
	time.Sleep(100 * time.Millisecond) // long enough for what must not happen
	if len(calls) != 0 {
		t.Errorf("%d handled while suspended", len(calls))
	}
	c.Resume()
	for range 5 {
		next(t, calls)
	}
	eventually(t, "all committed", func() bool { return c.GetOffsetDiffMap()["orders"] == 0 })
}

// Shutdown waits for the handlers that run, and commits: nothing comes again.
func TestShutdownWaits(t *testing.T) {
	t.Parallel()
	cl, client := cluster(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	handle, _ := recorder(func(context.Context, call) (consumer.ConsumeResult, error) {
		close(begun)
		<-goOn
		return consumer.ConsumeSuccess, nil
	})
	c := start(t, client, handle)
	send(t, produce(t, client), 1)
	next(t, begun)
	down := make(chan error, 1)
	go func() { down <- c.Shutdown() }()
	select {
	case err := <-down:
		t.Errorf("shut down while a handler ran: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	if err := next(t, down); err != nil {
		t.Error(err)
	}
	handle, calls := recorder(succeed)
	start(t, open(t, cl), handle)
	send(t, produce(t, client), 1)
	if got := next(t, calls); got.bodies[0] != "0" || len(calls) != 0 {
		t.Errorf("came again: %+v", got)
	}
}

// What a consumer can't do is an error that says so, and leaves nothing running.
func TestPushConsumerErrors(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	handle, _ := recorder(succeed)
	c := start(t, client, handle)
	if err := c.Subscribe("refunds", consumer.MessageSelector{}, handle); !errors.Is(err, clienterrors.ErrStartTopic) {
		t.Errorf("Subscribe after Start: %v", err)
	}
	if err := c.Unsubscribe("orders"); !errors.Is(err, clienterrors.ErrStartTopic) {
		t.Errorf("Unsubscribe after Start: %v", err)
	}
	if err := c.Start(); err != nil {
		t.Errorf("second Start: %v", err)
	}
	lost, err := clientgo.NewPushConsumer(client, consumer.WithGroupName("other"))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, lost.Subscribe("orders", consumer.MessageSelector{}, nil), "the handler is nil")
	refused(t, lost.Subscribe("orders", consumer.MessageSelector{Type: "XML"}, handle), "neither TAG nor SQL92")
	if err := lost.Subscribe("nowhere", consumer.MessageSelector{}, handle); err != nil {
		t.Fatal(err)
	}
	if err := lost.Start(); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("Start without the topic: %v", err)
	}
	if err := lost.Start(); !errors.Is(err, rocketkit.ErrClosed) {
		t.Errorf("Start after a failure: %v", err)
	}
}
