package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// TestVerdicts: what becomes of a message by what its handler does with it.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	type outcome struct {
		attempts  []time.Duration // when, after the first
		letters   int
		failed    int64
		lastError string
	}
	twice := []time.Duration{0, 10 * time.Second} // the broker's first backoff is level 3
	for name, test := range map[string]struct {
		handle func(ctx context.Context) error // of the first attempt; later ones succeed
		want   outcome
	}{
		"nil":   {func(context.Context) error { return nil }, outcome{attempts: twice[:1]}},
		"error": {func(context.Context) error { return errTest }, outcome{attempts: twice, failed: 1, lastError: "no"}},
		"panic": {func(context.Context) error { panic("oh") }, outcome{attempts: twice, failed: 1, lastError: "handler panicked: oh"}},
		"panic with nil": {func(context.Context) error { panic(nil) }, //nolint:govet // what is tested
			outcome{attempts: twice, failed: 1, lastError: "handler panicked: panic called with nil argument"}},
		"Goexit": {func(context.Context) error { runtime.Goexit(); return nil }, outcome{attempts: twice, failed: 1, lastError: "handler ended its goroutine (runtime.Goexit)"}},
		"retry in": {func(context.Context) error { return &Verdict{Action: Retry, Delay: 20 * time.Second, Why: errTest} },
			outcome{attempts: []time.Duration{0, 30 * time.Second}, failed: 1, lastError: "retry in 20s: no"}},
		"retry in, wrapped": {func(context.Context) error {
			return fmt.Errorf("order: %w", &Verdict{Action: Retry, Delay: time.Second})
		}, outcome{attempts: []time.Duration{0, time.Second}, failed: 1, lastError: "order: retry in 1s"}},
		"drop":        {func(context.Context) error { return &Verdict{Action: Drop} }, outcome{attempts: twice[:1], failed: 1, lastError: "drop"}},
		"dead letter": {func(context.Context) error { return &Verdict{Action: DeadLetter} }, outcome{attempts: twice[:1], letters: 1, failed: 1, lastError: "dead letter"}},
		"time-out": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			outcome{attempts: []time.Duration{0, 70 * time.Second}, failed: 1, lastError: "context deadline exceeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, "m")
				var begun time.Time
				var attempts []time.Duration
				e := r.run(config(func(ctx context.Context, m *rocketkit.Message) error {
					if begun.IsZero() {
						begun = time.Now()
					}
					attempts = append(attempts, time.Since(begun))
					if m.Topic() != "t" || m.Attempt() != len(attempts) {
						t.Errorf("attempt %d of topic %s, want %d of t", m.Attempt(), m.Topic(), len(attempts))
					}
					if m.Attempt() > 1 {
						return nil
					}
					return test.handle(ctx)
				}))
				time.Sleep(5 * time.Minute)
				stats := e.Snapshot().Topics["t"]
				if stats.Failed != test.want.failed || stats.LastError != test.want.lastError {
					t.Errorf("%d failures, the last %q; want %d, %q", stats.Failed, stats.LastError, test.want.failed, test.want.lastError)
				}
				if letters := len(r.Bodies(letterG)); letters != test.want.letters {
					t.Errorf("%d dead letters, want %d", letters, test.want.letters)
				}
				if stats.Cached != 0 || stats.CachedBytes != 0 || stats.Active != 0 {
					t.Errorf("still held: %+v", stats)
				}
				e.mustStop()
				if !slices.Equal(attempts, test.want.attempts) {
					t.Errorf("attempts at %v, want %v", attempts, test.want.attempts)
				}
				if got := r.Offset(groupG, topicT, 0); got != 1 {
					t.Errorf("committed %d, want 1", got)
				}
			})
		})
	}
}

// TestRetriesEndInTheDeadLetterTopic: Retries is how often a message is delivered again.
func TestRetriesEndInTheDeadLetterTopic(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ retries, attempts int }{
		"the group's setting": {-1, 17},
		"three":               {3, 4},
		"one":                 {1, 2},
		"none":                {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, "m")
				g := &got{}
				cfg := config(func(_ context.Context, m *rocketkit.Message) error { g.add(m); return errTest })
				cfg.Retries = test.retries
				e := r.run(cfg)
				for i := 0; i < 300 && len(r.Bodies(letterG)) == 0; i++ {
					time.Sleep(time.Minute)
				}
				if got := g.len(); got != test.attempts {
					t.Errorf("%d attempts, want %d", got, test.attempts)
				}
				if got := r.Bodies(letterG); !slices.Equal(got, []string{"m"}) {
					t.Errorf("dead letters: %v", got)
				}
				e.mustStop()
			})
		})
	}
}

// TestBadBodyIsADeadLetter: what can't be inflated will not be by trying again.
func TestBadBodyIsADeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.mu.Lock()
		r.brokers["b"].store(&protocol.Message{Topic: topicT, SysFlag: protocol.SysCompressed | protocol.SysZstd, Body: []byte("not zstd")})
		r.mu.Unlock()
		g := &got{}
		e := r.run(config(g.handle))
		eventually(t, "a dead letter", func() bool { return len(r.Bodies(letterG)) == 1 })
		if g.len() != 0 {
			t.Error("the handler was given what could not be inflated")
		}
		e.mustStop()
	})
}

// TestTagsAreCheckedAgain: brokers filter by the tag's hash, and "Aa" has that of "BB".
func TestTagsAreCheckedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		for _, tag := range []string{"Aa", "BB", "Aa", "BB"} {
			r.SendWith(topicT, 0, tag, protocol.PropertyTags, tag)
		}
		r.SendWith(topicT, 0, "none")
		g := &got{}
		cfg := config(g.handle)
		cfg.Topics = map[string]Topic{"t": {Tags: []string{"BB", "C"}, Workers: 1, Handle: g.handle}}
		e := r.run(cfg)
		eventually(t, "the whole queue read", func() bool { return r.Offset(groupG, topicT, 0) == 5 })
		if want := []string{"BB", "BB"}; !slices.Equal(g.sorted(), want) {
			t.Errorf("got %v, want %v", g.sorted(), want)
		}
		e.mustStop()
	})
}

// TestRetryWithoutHandler: a retried message whose topic this member doesn't handle is never lost.
func TestRetryWithoutHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(topicU, 1)
		r.Topic(retryG, 1)
		r.SendWith(retryG, 0, "m", protocol.PropertyRetryTopic, topicU)
		g := &got{}
		cfg := config(g.handle)
		cfg.Retries = 2
		e := r.run(cfg)
		time.Sleep(time.Hour)
		if g.len() != 0 {
			t.Errorf("the handler of t got %v", g.sorted())
		}
		if got := r.Bodies(letterG); !slices.Equal(got, []string{"m"}) {
			t.Errorf("dead letters: %v", got)
		}
		if held := e.Snapshot().Topics["%RETRY%g"].Cached; held != 0 {
			t.Errorf("%d messages held", held)
		}
		e.mustStop()
	})
}

// TestDeadLettersCanBeRetried: a dead-letter topic is received like any other, and so are its own retries.
func TestDeadLettersCanBeRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic("%DLQ%red%billing", 1)
		r.SendWith("%DLQ%red%billing", 0, "m", protocol.PropertyRetryTopic, topicT) // of the group that gave it up
		var attempts atomic.Int32
		cfg := config(nil)
		cfg.Topics = map[string]Topic{"%DLQ%billing": {Workers: 1, Handle: func(context.Context, *rocketkit.Message) error {
			if attempts.Add(1) == 1 {
				return errTest
			}
			return nil
		}}}
		e := r.run(cfg)
		for i := 0; i < 300 && len(r.Bodies(letterG)) == 0 && attempts.Load() < 2; i++ {
			time.Sleep(time.Minute)
		}
		if attempts.Load() != 2 {
			t.Errorf("%d attempts, want 2", attempts.Load())
		}
		if got := r.Bodies(letterG); len(got) != 0 {
			t.Errorf("dead letters of the group that reads the dead letters: %v", got)
		}
		e.mustStop()
	})
}

// TestSlowTopicStarvesNobody: a topic whose handlers don't return fills its own budget and nothing else.
func TestSlowTopicStarvesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Topic(topicU, 2)
		r.Send(topicT, 0, numbered("t", 3000)...)
		r.Send(topicT, 1, numbered("t", 3000)...)
		r.Send(topicU, 0, numbered("u", 3000)...)
		r.Send(topicU, 1, numbered("v", 3000)...)
		g := &got{}
		cfg := config(func(ctx context.Context, _ *rocketkit.Message) error { <-ctx.Done(); return ctx.Err() })
		cfg.Topics["t"] = Topic{Workers: 2, Handle: cfg.Topics["t"].Handle}
		cfg.Topics["u"] = Topic{Workers: 2, Handle: g.handle}
		cfg.Drain = time.Second
		e := r.run(cfg)
		eventually(t, "all of u handled", func() bool { return g.len() == 6000 })
		if held := e.Snapshot().Topics["t"].Cached; held < minCached || held > minCached+2*pullBatch {
			t.Errorf("t holds %d messages, want about %d", held, minCached)
		}
		e.mustStop()
	})
}

// TestSlowRetriesStarveNobody: %RETRY% mixes the topics, and a topic whose handlers don't return must not keep the others'
// retries waiting.
func TestSlowRetriesStarveNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(topicU, 1)
		r.Topic(retryG, 1)
		for i := range 2 * minCached {
			r.SendWith(retryG, 0, fmt.Sprint("t", i), protocol.PropertyRetryTopic, topicT)
		}
		r.SendWith(retryG, 0, "u", protocol.PropertyRetryTopic, topicU)
		g := &got{}
		cfg := config(func(ctx context.Context, _ *rocketkit.Message) error { <-ctx.Done(); return ctx.Err() })
		cfg.Topics["t"] = Topic{Workers: 2, Handle: cfg.Topics["t"].Handle}
		cfg.Topics["u"] = Topic{Workers: 2, Handle: g.handle}
		cfg.Drain = time.Second
		e := r.run(cfg)
		time.Sleep(10 * time.Minute)
		if g.len() != 1 {
			t.Errorf("u's retried message waits behind t's for 10 minutes")
		}
		e.mustStop()
	})
}

// TestHandlersContext: what a handler's context says, and that a value of Run's reaches it.
func TestHandlersContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, "m")
		handled := make(chan error, 1)
		e := r.engine(config(func(ctx context.Context, _ *rocketkit.Message) error {
			deadline, ok := ctx.Deadline()
			if !ok || time.Until(deadline) != time.Minute {
				handled <- fmt.Errorf("deadline in %v", time.Until(deadline))
			}
			if ctx.Value(key{}) != "value" {
				handled <- errors.New("Run's value is missing")
			}
			handled <- ctx.Err()
			return nil
		}))
		ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
		result := make(chan error, 1)
		go func() { result <- e.Run(ctx) }()
		if err := <-handled; err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// TestPanicIsLogged with its stack, once, and by logical names.
func TestPanicIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, "m")
		e := r.run(config(func(context.Context, *rocketkit.Message) error { panic("oh") }))
		eventually(t, "a log line", func() bool { return r.logs.find("handler panicked") != "" })
		line := r.logs.find("handler panicked")
		for _, part := range []string{"topic=t", "group=g", "tenant=red", "id=id-m", "handler panicked: oh", "process_test.go"} {
			if !strings.Contains(line, part) {
				t.Errorf("%q is not in %s", part, line)
			}
		}
		e.mustStop()
	})
}
