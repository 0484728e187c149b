package producer_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

var errUnclear = errors.New("the answer to COMMIT got lost")

// trials are a cluster, and what producers' Checks were asked on it and say.
type trials struct {
	t *testing.T
	*mqtest.Cluster

	mu   sync.Mutex
	says func(m *rocketkit.Message) error // nil commits
	seen []string                         // "body by instance"
}

// transactions runs try in a bubble, on two brokers.
func transactions(t *testing.T, try func(on *trials)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		try(&trials{t: t, Cluster: mqtest.New(t, mqtest.Config{
			Brokers: 2, Topics: map[string]int{"orders": 2}, Logger: slog.New(slog.DiscardHandler),
		})})
	})
}

func (on *trials) client() *rocketkit.Client {
	on.t.Helper()
	client, err := rocketkit.Open(on.Config())
	if err != nil {
		on.t.Fatal(err)
	}
	on.t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// producer makes an instance of a producer group, on a client of its own, and waits until all brokers know it.
func (on *trials) producer(instance string) *producer.Producer {
	on.t.Helper()
	return on.producerOf(on.client(), instance, producer.Config{Group: "checkout"})
}

func (on *trials) producerOf(client *rocketkit.Client, instance string, cfg producer.Config) *producer.Producer {
	on.t.Helper()
	if cfg.Check == nil {
		cfg.Check = on.check(instance)
	}
	p, err := producer.New(client, cfg)
	if err != nil {
		on.t.Fatal(err)
	}
	on.t.Cleanup(func() { _ = p.Close(context.Background()) })
	on.until("the brokers know "+instance, func() bool {
		s := p.Transactions()
		return s.Brokers == len(on.Brokers()) && s.Asking == s.Brokers
	})
	return p
}

func (on *trials) check(instance string) func(context.Context, *rocketkit.Message) error {
	return func(_ context.Context, m *rocketkit.Message) error {
		on.mu.Lock()
		defer on.mu.Unlock()
		on.seen = append(on.seen, string(m.Body())+" by "+instance)
		if on.says != nil {
			return on.says(m)
		}
		return nil
	}
}

func (on *trials) say(says func(m *rocketkit.Message) error) {
	on.mu.Lock()
	defer on.mu.Unlock()
	on.says = says
}

func (on *trials) asked() []string {
	on.mu.Lock()
	defer on.mu.Unlock()
	return slices.Clone(on.seen)
}

// until waits on the bubble's clock.
func (on *trials) until(what string, ok func() bool) {
	on.t.Helper()
	for limit := time.Now().Add(time.Hour); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(limit) {
			on.t.Fatalf("%s: not within an hour", what)
		}
	}
}

func (on *trials) bodies() []string {
	var list []string
	for _, m := range on.Messages("orders") {
		list = append(list, string(m.Body()))
	}
	slices.Sort(list)
	return list
}

// delivered waits until everything is settled, and tells what is wrong with what consumers see.
func (on *trials) delivered(want ...string) {
	on.t.Helper()
	time.Sleep(30 * time.Minute)
	if got := on.bodies(); !slices.Equal(got, want) {
		on.t.Errorf("delivered %q, want %q", got, want)
	}
}

func returns(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func orderOf(body string) producer.Message {
	return producer.Message{Topic: "orders", Body: []byte(body)}
}

func TestTransactCommits(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		var before []string
		r, err := p.Transact(t.Context(), orderOf("one"), func(context.Context) error {
			before = on.bodies()
			return nil
		})
		if err != nil || r.ID == "" || r.Queue.Topic != "orders" {
			t.Fatal(r, err)
		}
		if after := on.bodies(); len(before) != 0 || len(after) != 1 {
			t.Errorf("delivered during the local step %q, after it %q", before, after)
		}
		if m := on.Messages("orders")[0]; m.ID() != r.ID || m.Queue().ID != r.Queue.ID || m.Queue().Broker != r.Queue.Broker {
			t.Errorf("the receipt says %v %s, the message is %v %s", r.Queue, r.ID, m.Queue(), m.ID())
		}
		on.delivered("one")
		if s := p.Transactions(); len(on.asked()) != 0 || s.Committed != 1 || s.Running != 0 || s.Checks != 0 || s.Open != 0 {
			t.Errorf("asked %q, %+v", on.asked(), s)
		}
	})
}

func TestOnlyRollbackRollsBack(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		why := errors.New("no credit")
		for _, said := range []error{producer.Rollback(why), errors.Join(errors.New("order 7"), producer.Rollback(why))} {
			_, err := p.Transact(t.Context(), orderOf("refused"), returns(said))
			if !errors.Is(err, producer.ErrRolledBack) || !errors.Is(err, why) || errors.Is(err, producer.ErrLeftToCheck) {
				t.Errorf("%v gave %v", said, err)
			}
			// Returned from another local step, it doesn't roll that one's message back.
			if _, again := p.Transact(t.Context(), orderOf("outer"), returns(err)); !errors.Is(again, producer.ErrLeftToCheck) {
				t.Errorf("passed on: %v", again)
			}
		}
		if _, err := p.Transact(t.Context(), orderOf("refused"), returns(producer.Rollback(nil))); !errors.Is(err, producer.ErrRolledBack) {
			t.Error(err)
		}
		_, err := p.Transact(t.Context(), orderOf("unclear"), returns(errUnclear))
		if !errors.Is(err, producer.ErrLeftToCheck) || !errors.Is(err, errUnclear) || errors.Is(err, producer.ErrRolledBack) {
			t.Error(err)
		}
		on.delivered("outer", "outer", "unclear") // the Check commits
		if s := p.Transactions(); s.RolledBack != 3 || s.LeftToCheck != 3 || s.CheckCommitted != 3 || s.Open != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestLocalStepThatPanicsOrExitsIsLeftToCheck(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v", got)
				}
			}()
			_, _ = p.Transact(t.Context(), orderOf("panicked"), func(context.Context) error { panic("boom") })
		}()
		exited := make(chan struct{})
		go func() {
			defer close(exited)
			_, _ = p.Transact(t.Context(), orderOf("exited"), func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-exited
		if s := p.Transactions(); s.LeftToCheck != 2 || s.Running != 0 || s.Open != 2 || s.Oldest == nil || s.Oldest.Topic != "orders" {
			t.Errorf("%+v", s)
		}
		on.say(func(m *rocketkit.Message) error {
			if string(m.Body()) == "exited" {
				return producer.Rollback(nil)
			}
			return nil
		})
		on.delivered("panicked")
	})
}

func TestTransactRefuses(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		client := on.client()
		p := on.producerOf(client, "a", producer.Config{Group: "checkout"})
		without, err := producer.New(client, producer.Config{Group: "plain"})
		if err != nil {
			t.Fatal(err)
		}
		defer without.Close(t.Context())
		delayed := orderOf("late")
		delayed.DelayLevel = 3
		never := func(context.Context) error { t.Error("the local step ran"); return nil }
		for want, try := range map[string]func() error{
			"Config.Check": func() error { _, err := without.Transact(t.Context(), orderOf("x"), never); return err },
			"DelayLevel":   func() error { _, err := p.Transact(t.Context(), delayed, never); return err },
			"local":        func() error { _, err := p.Transact(t.Context(), orderOf("x"), nil); return err },
			"Body":         func() error { _, err := p.Transact(t.Context(), orderOf(""), never); return err },
			"nowhere": func() error {
				_, err := p.Transact(t.Context(), producer.Message{Topic: "nowhere", Body: []byte("x")}, never)
				return err
			},
		} {
			err := try()
			if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, producer.ErrLeftToCheck) {
				t.Errorf("want an error about %s: %v", want, err)
			}
		}
		on.Inject(mqtest.Fault{Request: mqtest.RequestSend, Break: mqtest.Silence})
		_, err = p.Transact(within(t, 5*time.Second), orderOf("x"), never)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, producer.ErrLeftToCheck) || !producer.Retryable(err) {
			t.Error(err)
		}
		_ = p.Close(t.Context())
		if _, err := p.Transact(t.Context(), orderOf("x"), never); !errors.Is(err, rocketkit.ErrClosed) {
			t.Error(err)
		}
		on.delivered()
	})
}

func TestCheckConfigIsChecked(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		client := on.client()
		for field, cfg := range map[string]producer.Config{
			"CheckAfter":   {CheckAfter: time.Hour},
			"CheckTimeout": {CheckTimeout: -1},
			"MaxChecks":    {MaxChecks: -1},
		} {
			if _, err := producer.New(client, cfg); !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// An outcome that the broker doesn't take at first is told again.
func TestOutcomeIsToldAgain(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		busy := on.Inject(mqtest.Fault{Request: mqtest.RequestEndTransaction, Code: 2, Times: 3})
		if _, err := p.Transact(t.Context(), orderOf("busy"), returns(nil)); err != nil || busy.Count() != 3 {
			t.Error(err, busy.Count())
		}
		cut := on.Inject(mqtest.Fault{Request: mqtest.RequestEndTransaction, Break: mqtest.Disconnect, Times: 2})
		if _, err := p.Transact(t.Context(), orderOf("cut"), returns(nil)); err != nil || cut.Count() != 2 {
			t.Error(err, cut.Count())
		}
		on.delivered("busy", "cut")
	})
}

// An outcome that can't be told is left to the check, and the error says that the local step is done.
func TestOutcomeThatCantBeToldIsLeftToCheck(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		why := errors.New("no credit")
		silent := on.Inject(mqtest.Fault{Request: mqtest.RequestEndTransaction, Break: mqtest.Silence})
		_, err := p.Transact(within(t, 5*time.Second), orderOf("committed"), returns(nil))
		if !errors.Is(err, producer.ErrLeftToCheck) || !strings.Contains(err.Error(), "local step succeeded") || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		_, err = p.Transact(within(t, 5*time.Second), orderOf("rolled back"), returns(producer.Rollback(why)))
		if !errors.Is(err, producer.ErrLeftToCheck) || !errors.Is(err, why) || errors.Is(err, producer.ErrRolledBack) {
			t.Error(err)
		}
		silent.Remove()
		refusal := on.Inject(mqtest.Fault{Request: mqtest.RequestEndTransaction, Code: 16, Times: 1})
		_, err = p.Transact(t.Context(), orderOf("refused"), returns(nil))
		if code, _, _ := rocketkit.Code(err); code != 16 || !errors.Is(err, producer.ErrLeftToCheck) || refusal.Count() != 1 {
			t.Error(err)
		}
		on.say(func(m *rocketkit.Message) error {
			if string(m.Body()) == "rolled back" {
				return producer.Rollback(nil)
			}
			return nil
		})
		on.delivered("committed", "refused")
	})
}

// What the broker has lost can't be delivered, and who committed hears of it.
func TestLostHalfMessage(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		lost := on.Inject(mqtest.Fault{Request: mqtest.RequestEndTransaction, Code: 1, Remark: "Find prepared transaction message failed"})
		_, err := p.Transact(t.Context(), orderOf("x"), returns(nil))
		if !errors.Is(err, producer.ErrHalfLost) || errors.Is(err, producer.ErrLeftToCheck) || lost.Count() != 1 {
			t.Error(err)
		}
		if _, err := p.Transact(t.Context(), orderOf("x"), returns(producer.Rollback(nil))); !errors.Is(err, producer.ErrRolledBack) {
			t.Error(err)
		}
		if s := p.Transactions(); s.Lost != 1 || s.RolledBack != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// When the caller's context ends while the local step runs, the broker hears the outcome all the same.
func TestContextThatEndsInTheLocalStep(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		ctx, cancel := context.WithCancel(t.Context())
		_, err := p.Transact(ctx, orderOf("one"), func(context.Context) error { cancel(); return nil })
		if !errors.Is(err, producer.ErrLeftToCheck) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		on.delivered("one")
		if got := on.asked(); len(got) > 0 {
			t.Errorf("asked %q", got)
		}
	})
}

// So it does when the process shuts down meanwhile, as contexts end by the same signal.
func TestContextThatEndsInTheLocalStepDuringClose(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		ctx, cancel := context.WithCancel(t.Context())
		closed := make(chan error)
		_, err := p.Transact(ctx, orderOf("one"), func(context.Context) error {
			cancel()
			go func() { closed <- p.Close(t.Context()) }()
			time.Sleep(time.Second)
			return nil
		})
		if !errors.Is(err, producer.ErrLeftToCheck) {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if s := p.Transactions(); s.LeftToCheck != 1 || s.Open != 0 {
			t.Errorf("%+v", s)
		}
		on.delivered("one")
		if got := on.asked(); len(got) > 0 {
			t.Errorf("asked %q", got)
		}
	})
}

// A broker that is away when the local step is done is told once it is back.
func TestBrokerAwayBetweenHalfAndEnd(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		p := on.producer("a")
		for range 4 { // so on both brokers
			_, err := p.Transact(within(t, time.Minute), orderOf("x"), func(context.Context) error {
				for _, broker := range on.Brokers() {
					if err := on.Stop(broker); err != nil {
						t.Error(err)
					}
				}
				go func() {
					time.Sleep(10 * time.Second)
					for _, broker := range on.Brokers() {
						_ = on.Restart(broker)
					}
				}()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		on.delivered("x", "x", "x", "x")
	})
}
