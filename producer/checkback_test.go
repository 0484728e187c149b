package producer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/producer"
)

// An instance that has sent nothing, and knows no topic, answers for one that is gone.
func TestCheckOfAnInstanceThatIsGone(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		gone := on.producer("gone")
		want := []string{}
		for i := range 6 { // so on both brokers
			body := fmt.Sprint("order-", i)
			_, err := gone.Transact(t.Context(), producer.Message{
				Topic: "orders", Body: []byte(body), Tag: "t", Keys: []string{"k"}, Properties: map[string]string{"shard": "7"},
			}, returns(errUnclear))
			if !errors.Is(err, producer.ErrLeftToCheck) {
				t.Fatal(err)
			}
			if i%2 == 0 {
				want = append(want, body)
			}
		}
		if err := gone.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		on.say(func(m *rocketkit.Message) error {
			shard, _ := m.Property("shard")
			group, _ := m.Property("PGROUP")
			if m.Topic() != "orders" || m.Tag() != "t" || shard != "7" || group != "checkout" || m.ID() == "" || m.Queue().Topic != "orders" || m.Queue().Broker == "" {
				t.Errorf("the Check got %s %s %q of %q at %v", m.Topic(), m.Tag(), shard, group, m.Queue())
			}
			if n := m.Body()[len(m.Body())-1] - '0'; n%2 == 1 {
				return producer.Rollback(nil)
			}
			return nil
		})
		heir := on.producer("heir")
		on.delivered(want...)
		for _, who := range on.asked() {
			if !strings.HasSuffix(who, " by heir") {
				t.Error("asked", who)
			}
		}
		if s := heir.Transactions(); s.CheckCommitted != 3 || s.CheckRolledBack != 3 || s.Checks != 6 || s.Open != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// While a local step runs, only it knows the outcome: no Check is called, and the message is delivered once, however often
// its broker has asked.
func TestNoCheckWhileTheLocalStepRuns(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		client := on.client()
		other := on.producerOf(client, "other", producer.Config{Group: "checkout"}) // of the same Client: brokers see one
		p := on.producerOf(client, "a", producer.Config{Group: "checkout"})
		_, err := p.Transact(t.Context(), orderOf("slow"), func(context.Context) error {
			time.Sleep(4 * time.Minute)
			if s := p.Transactions(); s.Running != 1 {
				t.Errorf("%+v", s)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		on.delivered("slow")
		if s := p.Transactions(); s.CheckOwn < 5 || s.Checks != s.CheckOwn || len(on.asked()) > 0 || other.Transactions().Checks > 0 {
			t.Errorf("asked %q, %+v", on.asked(), s)
		}
	})
}

// A Check's error, panic, end of its goroutine and time-out leave the message open until one says what it is.
func TestCheckThatKnowsNothing(t *testing.T) {
	for name, fails := range map[string]func(ctx context.Context) error{
		"error":    func(context.Context) error { return errUnclear },
		"panic":    func(context.Context) error { panic("boom") },
		"exit":     func(context.Context) error { runtime.Goexit(); return nil },
		"time-out": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			transactions(t, func(on *trials) {
				t := on.t
				var calls atomic.Int32
				p := on.producerOf(on.client(), "a", producer.Config{Group: "checkout", CheckTimeout: time.Second, MaxChecks: 1,
					Check: func(ctx context.Context, _ *rocketkit.Message) error {
						if calls.Add(1) <= 2 {
							return fails(ctx)
						}
						return nil
					}})
				if _, err := p.Transact(t.Context(), orderOf("x"), returns(errUnclear)); !errors.Is(err, producer.ErrLeftToCheck) {
					t.Fatal(err)
				}
				on.until("two checks left it open", func() bool { return p.Transactions().CheckOpen == 2 })
				s := p.Transactions()
				if s.Open != 1 || s.Oldest == nil || s.Oldest.Checks != 2 || s.Oldest.Error == "" || s.Checking != 0 || s.Oldest.Topic != "orders" {
					t.Errorf("%+v, oldest %+v", s, s.Oldest)
				}
				on.delivered("x")
				if s := p.Transactions(); calls.Load() != 3 || s.CheckCommitted != 1 || s.Open != 0 {
					t.Errorf("%d calls, %+v", calls.Load(), s)
				}
			})
		})
	}
}

// A Check that outlasts the broker's interval isn't run beside itself, and its answer is for where the message is by then.
func TestSlowCheckRunsOnce(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		var calls atomic.Int32
		p := on.producerOf(on.client(), "a", producer.Config{Group: "checkout", CheckTimeout: time.Hour,
			Check: func(context.Context, *rocketkit.Message) error {
				calls.Add(1)
				time.Sleep(115 * time.Second) // not when its broker asks
				return nil
			}})
		_, _ = p.Transact(t.Context(), orderOf("x"), returns(errUnclear))
		on.delivered("x")
		if s := p.Transactions(); calls.Load() != 1 || s.CheckRepeated < 3 || s.CheckCommitted != 1 {
			t.Errorf("%d calls, %+v", calls.Load(), s)
		}
	})
}

// MaxChecks run at once; the others wait, and none is forgotten.
func TestChecksAreBounded(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		const n, most = 50, 3
		var now, peak atomic.Int32
		p := on.producerOf(on.client(), "a", producer.Config{Group: "checkout", MaxChecks: most,
			Check: func(context.Context, *rocketkit.Message) error {
				peak.Store(max(peak.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
				return nil
			}})
		var want []string
		for range n {
			want = append(want, "x")
			_, _ = p.Transact(t.Context(), orderOf("x"), returns(errUnclear))
		}
		on.until("checks wait", func() bool { s := p.Transactions(); return s.WaitingForChecks > most && s.Checking == most })
		on.delivered(want...)
		if s := p.Transactions(); peak.Load() != most || s.CheckCommitted != n || s.Checking != 0 || s.WaitingForChecks != 0 {
			t.Errorf("%d at once, %+v", peak.Load(), s)
		}
	})
}

// Close waits for Checks that run, answers included, and begins none.
func TestCloseWaitsForChecks(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		began, end := make(chan struct{}, 9), make(chan struct{})
		p := on.producerOf(on.client(), "a", producer.Config{Group: "checkout", MaxChecks: 1,
			Check: func(ctx context.Context, _ *rocketkit.Message) error {
				began <- struct{}{}
				select {
				case <-end:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}})
		for range 3 {
			_, _ = p.Transact(t.Context(), orderOf("x"), returns(errUnclear))
		}
		<-began
		if err := p.Close(within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "checks") {
			t.Error(err)
		}
		if err := p.Close(t.Context()); err != nil { // that one's context has ended
			t.Error(err)
		}
		close(end)
		if len(began) > 0 {
			t.Error("Close began a Check")
		}
		on.producer("b")
		on.delivered("x", "x", "x")
	})
}

// A broker that is asked in vain gives up, which is logged before, and seen.
func TestBrokerGivesUp(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		var lines lines
		cfg := on.Config()
		cfg.Logger = slog.New(slog.NewTextHandler(&lines, nil))
		client, err := rocketkit.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(t.Context())
		p := on.producerOf(client, "a", producer.Config{Group: "checkout", Check: func(context.Context, *rocketkit.Message) error { return errUnclear }})
		defer p.Close(t.Context())
		_, _ = p.Transact(t.Context(), orderOf("x"), returns(errUnclear))
		on.until("asked 15 times", func() bool { return p.Transactions().CheckOpen == 15 })
		if s := p.Transactions(); s.Oldest == nil || s.Oldest.Checks != 15 {
			t.Errorf("%+v", s)
		}
		on.delivered()
		if n := len(on.Messages("TRANS_CHECK_MAX_TIME_TOPIC")); n != 1 {
			t.Errorf("%d messages given up", n)
		}
		if s := p.Transactions(); s.Checks != 15 || s.Open != 0 {
			t.Errorf("%+v", s)
		}
		if n := strings.Count(lines.String(), "TRANS_CHECK_MAX_TIME_TOPIC"); n != 3 || strings.Count(lines.String(), "left open") != 15 {
			t.Errorf("%d warnings in\n%s", n, lines.String())
		}
	})
}

// A broker that comes back knows the producers that serve check-backs before it next asks, also those that use no topic
// of its.
func TestCheckAfterABrokersReturn(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		sender := on.producer("sender")
		on.producer("idle")
		for range 4 {
			_, _ = sender.Transact(t.Context(), orderOf("x"), returns(errUnclear))
		}
		_ = sender.Close(t.Context())
		for _, broker := range on.Brokers() {
			if err := on.Stop(broker); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		for _, broker := range on.Brokers() {
			if err := on.Restart(broker); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(35 * time.Second) // the brokers' first round of questions
		if got := on.bodies(); len(got) != 4 {
			t.Errorf("delivered %q after one round of questions", got)
		}
		on.delivered("x", "x", "x", "x")
	})
}

// The name servers may be away when a producer is made; it is known once they answer.
func TestChecksWithNameServersAwayAtFirst(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		if err := on.Stop("namesrv-a"); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Minute)
			_ = on.Restart("namesrv-a")
		}()
		on.producer("a") // waits until the brokers know it
	})
}

// Two tenants with the same group and topic get their own messages only.
func TestTenantsCheckBacks(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		owner := on.client()
		for _, name := range []string{"red", "blue", "re"} {
			tenant, err := on.Tenant(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := tenant.CreateTopic("orders", 2); err != nil {
				t.Fatal(err)
			}
			client, err := owner.For(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := on.producerOf(client, name, producer.Config{Group: "checkout", Check: func(_ context.Context, m *rocketkit.Message) error {
				if m.Topic() != "orders" || string(m.Body()) != "of "+name {
					t.Errorf("%s was asked about %q of %s", name, m.Body(), m.Topic())
				}
				return nil
			}})
			for range 4 {
				_, _ = p.Transact(t.Context(), orderOf("of "+name), returns(errUnclear))
			}
			defer func() {
				if s := p.Transactions(); len(tenant.Messages("orders")) != 4 || s.CheckCommitted != 4 {
					t.Errorf("%s: %+v", name, s)
				}
			}()
		}
		time.Sleep(5 * time.Minute)
	})
}

// Producers of one Client and group are one member to brokers: the one that was first, and has gone, or has no Check,
// isn't the one that is asked.
func TestCheckOutlivesTheFirstProducer(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		client := on.client()
		plain, err := producer.New(client, producer.Config{Group: "checkout"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plain.Send(t.Context(), orderOf("plain")); err != nil {
			t.Fatal(err)
		}
		first := on.producerOf(client, "first", producer.Config{Group: "checkout"})
		on.producerOf(client, "second", producer.Config{Group: "checkout"})
		_, _ = first.Transact(t.Context(), orderOf("x"), returns(errUnclear))
		if err := first.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		on.delivered("plain", "x")
		if got := on.asked(); len(got) != 1 || got[0] != "x by second" {
			t.Errorf("asked %q", got)
		}
	})
}

// CheckAfter keeps brokers from asking while a local step may run, here in an instance that is asked by none.
func TestCheckAfter(t *testing.T) {
	transactions(t, func(on *trials) {
		t := on.t
		on.producer("other")
		p := on.producerOf(on.client(), "a", producer.Config{Group: "checkout", CheckAfter: 2 * time.Minute})
		began := time.Now()
		if _, err := p.Transact(t.Context(), orderOf("slow"), func(context.Context) error { time.Sleep(100 * time.Second); return nil }); err != nil {
			t.Fatal(err)
		}
		_, err := p.Transact(t.Context(), orderOf("too slow"), func(context.Context) error { time.Sleep(121 * time.Second); return nil })
		if code, _, _ := rocketkit.Code(err); code != 604 || !errors.Is(err, producer.ErrLeftToCheck) {
			t.Error(err)
		}
		_, _ = p.Transact(t.Context(), orderOf("open"), returns(errUnclear))
		left := time.Now()
		on.until("asked", func() bool { return strings.Contains(fmt.Sprint(on.asked()), "open") })
		if waited := time.Since(left); waited < 2*time.Minute {
			t.Errorf("asked after %v", waited)
		}
		on.delivered("open", "slow", "too slow")
		t.Log(time.Since(began), on.asked())
	})
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
