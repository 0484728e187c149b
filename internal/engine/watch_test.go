package engine

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// spy is a hook that notes what it is told.
type spy struct {
	name string
	off  bool
	mu   *sync.Mutex
	told *[]string
}

type spyKey struct{ name string }

func spies(names ...string) (all []hook.Handler, told func() []string) {
	mu, notes := &sync.Mutex{}, &[]string{}
	for _, name := range names {
		all = append(all, &spy{name: name, mu: mu, told: notes})
	}
	return all, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(*notes)
	}
}

func (s *spy) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.told = append(*s.told, s.name+fmt.Sprintf(format, args...))
}

func (s *spy) On() bool { return !s.off }

func (s *spy) Handling(ctx context.Context, h *hook.Handling) context.Context {
	s.note(" %s/%s %d", h.Group, h.Topic, len(h.Messages))
	return context.WithValue(ctx, spyKey{s.name}, s.name)
}

func (s *spy) Handled(ctx context.Context, h *hook.Handling, outcomes []hook.Outcome) {
	verdicts := []string{"done", "retry", "drop", "dead letter"}
	for i, o := range outcomes {
		s.note(" %s %s late=%t panicked=%t %v", h.Messages[i].Body(), verdicts[o.Verdict], o.TimedOut, o.Panicked, ctx.Value(spyKey{s.name}))
	}
}

func (s *spy) Unhandled(topic string, o hook.Outcome) {
	s.note(" unhandled %s %d panicked=%t", topic, o.Verdict, o.Panicked)
}

// Hooks are told of messages that no handler could get, as they become dead letters like others.
func TestHooksAreToldOfUnfitMessages(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]Topic{
		"alone": {Workers: 1}, "in a lane": {Workers: 1, Order: OrderQueue}, "of no key": {Workers: 1, Order: OrderKey},
		"in a batch": {Workers: 1, BatchSize: 2, BatchWait: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				switch {
				case of.BatchSize > 0:
					of.HandleBatch = func(context.Context, []rocketkit.Message, *Verdicts) error { return nil }
				default:
					of.Handle = func(context.Context, *rocketkit.Message) error { return nil }
				}
				want := []string{"a unhandled t 3 panicked=false"}
				if of.Order == OrderKey {
					of.Key = func(*rocketkit.Message) string { panic("no key") }
					want = []string{"a unhandled t 3 panicked=true"}
					r.Send(topicT, 0, "m")
				} else {
					r.brokers["b"].store(&protocol.Message{Topic: topicT, SysFlag: protocol.SysCompressed | protocol.SysZstd, Body: []byte("not zstd")})
				}
				cfg := config(nil)
				hooks, told := spies("a")
				cfg.Hooks, cfg.Retries, cfg.Topics["t"] = hooks, 0, of
				e := r.run(cfg)
				time.Sleep(time.Minute)
				e.mustStop()
				if got := told(); !slices.Equal(got, want) {
					t.Errorf("told %q, want %q", got, want)
				}
			})
		})
	}
}

// Hooks are told what becomes of a message, also where that isn't what its handler has asked for.
func TestHooksAreToldWhatBecomesOfAMessage(t *testing.T) {
	t.Parallel()
	fail := func(context.Context) error { return errTest }
	for name, test := range map[string]struct {
		handle  func(context.Context) error
		retries int
		order   Order
		want    []string // of each delivery
	}{
		"fine":                       {func(context.Context) error { return nil }, -1, OrderNone, []string{"done late=false panicked=false"}},
		"dropped":                    {func(context.Context) error { return &Verdict{Action: Drop} }, -1, OrderNone, []string{"drop late=false panicked=false"}},
		"given up by the handler":    {func(context.Context) error { return &Verdict{Action: DeadLetter} }, -1, OrderNone, []string{"dead letter late=false panicked=false"}},
		"no retries":                 {fail, 0, OrderNone, []string{"dead letter late=false panicked=false"}},
		"out of retries":             {fail, 1, OrderNone, []string{"retry late=false panicked=false", "dead letter late=false panicked=false"}},
		"out of retries in its lane": {fail, 1, OrderQueue, []string{"retry late=false panicked=false", "dead letter late=false panicked=false"}},
		"panic":                      {func(context.Context) error { panic("oh") }, 0, OrderNone, []string{"dead letter late=false panicked=true"}},
		"Goexit":                     {func(context.Context) error { runtime.Goexit(); return nil }, 0, OrderNone, []string{"dead letter late=false panicked=false"}},
		"broadcast":                  {fail, 16, OrderNone, []string{"drop late=false panicked=false"}},
		"broadcast in its lane":      {fail, 1, OrderQueue, []string{"retry late=false panicked=false", "drop late=false panicked=false"}},
		"late": {func(context.Context) error { time.Sleep(2 * time.Minute); return nil }, -1, OrderNone,
			[]string{"done late=true panicked=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, "m")
				cfg := config(func(ctx context.Context, _ *rocketkit.Message) error {
					if ctx.Value(spyKey{"a"}) != "a" || ctx.Value(spyKey{"b"}) != "b" || ctx.Value(spyKey{"off"}) != nil {
						t.Error("the handler's context isn't the hooks'")
					}
					return test.handle(ctx)
				})
				hooks, told := spies("a", "off", "b")
				hooks[1].(*spy).off = true
				cfg.Retries, cfg.Hooks, cfg.Broadcast = test.retries, hooks, strings.HasPrefix(name, "broadcast")
				topic := cfg.Topics["t"]
				topic.Order = test.order
				cfg.Topics["t"] = topic
				e := r.run(cfg)
				time.Sleep(10 * time.Minute)
				e.mustStop()
				var want []string
				for _, w := range test.want {
					want = append(want, "a g/t 1", "b g/t 1", "b m "+w+" b", "a m "+w+" a") // the last is told first
				}
				if got := told(); !slices.Equal(got, want) {
					t.Errorf("told\n%q, want\n%q", got, want)
				}
			})
		})
	}
}

// Of a batch, hooks are told of each message.
func TestHooksAreToldOfBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, "m", "n", "o")
		cfg := config(nil)
		hooks, told := spies("a")
		cfg.Hooks = hooks
		cfg.Topics["t"] = Topic{Workers: 1, BatchSize: 3, BatchWait: time.Second, HandleBatch: func(_ context.Context, _ []rocketkit.Message, v *Verdicts) error {
			v.Set(1, &Verdict{Action: Drop})
			v.Set(2, &Verdict{Action: DeadLetter})
			return nil
		}}
		e := r.run(cfg)
		time.Sleep(time.Minute)
		e.mustStop()
		want := []string{
			"a g/t 3", "a m done late=false panicked=false a", "a n drop late=false panicked=false a", "a o dead letter late=false panicked=false a",
		}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("told\n%q, want\n%q", got, want)
		}
	})
}

// Nothing follows from what a handler says to a tool that has asked for its call, so hooks, who would count a retry or a dead
// letter that there isn't, aren't told.
func TestHooksAreNotToldOfDirectCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(retryG, 1)
		calls := 0
		cfg := config(func(context.Context, *rocketkit.Message) error {
			if calls++; calls == 1 {
				return nil
			}
			return &Verdict{Action: DeadLetter}
		})
		hooks, told := spies("a")
		cfg.Hooks = hooks
		e := r.run(cfg)
		req := r.direct(topicT, "m")
		time.Sleep(time.Minute) // the member itself has consumed it by now
		before := told()
		if result, err := e.direct(t, req); err != nil || calls != 2 {
			t.Fatalf("%v, %v after %d calls", result, err, calls)
		}
		if after := told(); len(before) != 2 || !slices.Equal(after, before) {
			t.Errorf("told %q, and before %q", after, before)
		}
		e.mustStop()
	})
}
