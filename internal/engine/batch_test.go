package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// batches collects what a batch handler gets.
type batches struct {
	mu    sync.Mutex
	begun time.Time
	all   []batchSeen
	then  func(ctx context.Context, messages []rocketkit.Message, verdicts *Verdicts) error // may be nil
}

type batchSeen struct {
	after  time.Duration // since the first was expected
	bodies []string
}

func (b *batches) handle(ctx context.Context, messages []rocketkit.Message, verdicts *Verdicts) error {
	seen := batchSeen{after: time.Since(b.begun)}
	for i := range messages {
		seen.bodies = append(seen.bodies, string(messages[i].Body()))
	}
	b.mu.Lock()
	b.all = append(b.all, seen)
	b.mu.Unlock()
	if b.then != nil {
		return b.then(ctx, messages, verdicts)
	}
	return nil
}

func (b *batches) seen() []batchSeen {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

func (b *batches) sorted() []string {
	var all []string
	for _, s := range b.seen() {
		all = append(all, s.bodies...)
	}
	slices.Sort(all)
	return all
}

// text gives sizes and times, "3@0s 2@1s".
func (b *batches) text() string {
	var parts []string
	for _, s := range b.seen() {
		parts = append(parts, fmt.Sprintf("%d@%v", len(s.bodies), s.after))
	}
	return strings.Join(parts, " ")
}

// batched consumes "t" in batches.
func batched(b *batches, workers, size int, wait time.Duration) Config {
	b.begun = time.Now()
	cfg := config(nil)
	cfg.Topics["t"] = Topic{Workers: workers, Timeout: time.Minute, HandleBatch: b.handle, BatchSize: size, BatchWait: wait}
	return cfg
}

// TestBatchSizesAndWaits: a batch goes out when it is full, when its first message has waited, or at once without a wait.
func TestBatchSizesAndWaits(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, test := range map[string]struct {
		workers, size int
		wait, work    time.Duration
		sent          []int // each a second after the other; all in one queue
		want          string
	}{
		"full":                   {4, 3, time.Hour, 0, []int{6}, "3@0s 3@0s"},
		"the rest waits":         {4, 3, second / 2, 0, []int{5}, "3@0s 2@500ms"},
		"no wait":                {4, 3, 0, 0, []int{1, 2}, "1@0s 2@1s"},
		"from the first message": {4, 10, 1500 * time.Millisecond, 0, []int{1, 1, 1, 1}, "2@1.5s 2@3.5s"},
		"filled before its time": {4, 3, 90 * second, 0, []int{2, 2, 2}, "3@1s 3@2s"},
		"filled while busy":      {1, 10, 0, 5 * second / 2, []int{1, 2, 3, 1}, "1@0s 5@2.5s 1@5s"},
		"full ones while busy":   {1, 2, 0, 5 * second / 2, []int{1, 2, 3}, "1@0s 2@2.5s 2@5s 1@7.5s"},
		"topped up while busy":   {1, 4, second / 2, 3 * second, []int{4, 1, 2}, "4@0s 3@3s"},
		"in parallel":            {2, 1, 0, 5 * second / 2, []int{3}, "1@0s 1@0s 1@2.5s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				b := &batches{then: func(context.Context, []rocketkit.Message, *Verdicts) error { time.Sleep(test.work); return nil }}
				e := r.run(batched(b, test.workers, test.size, test.wait))
				time.Sleep(time.Minute)
				b.begun = time.Now()
				sent := 0
				for _, n := range test.sent {
					sendTogether(r.scripted, numbered(fmt.Sprint(sent, "-"), n)...)
					sent += n
					time.Sleep(time.Second)
				}
				time.Sleep(2 * time.Minute)
				if got := b.text(); got != test.want {
					t.Errorf("batches %s, want %s", got, test.want)
				}
				if s := e.Snapshot().Topics["t"]; s.Handled != int64(sent) || s.Cached != 0 || s.Active != 0 || s.Waiting != 0 {
					t.Errorf("%+v", s)
				}
				e.mustStop()
				if got := r.Offset(groupG, topicT, 0); got != int64(sent) {
					t.Errorf("committed %d, want %d", got, sent)
				}
			})
		})
	}
}

// sendTogether stores messages in queue 0 of t so that no pull comes between.
func sendTogether(s *scripted, bodies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.brokers["b"]
	for _, body := range bodies {
		b.store(&protocol.Message{
			Topic: topicT, Body: []byte(body), Properties: protocol.AppendProperty(nil, protocol.PropertyUniqueKey, "id-"+body),
			StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), BornHost: netip.MustParseAddrPort("10.0.0.2:1"),
		})
	}
}

// TestBatchVerdicts: each message's own verdict holds for it, and the handler's end for the others.
func TestBatchVerdicts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		then      func(ctx context.Context, v *Verdicts) error // of the first batch, of "0" to "5"
		want      string                                       // bodies of the retries, with when
		letters   []string
		failed    int64
		lastError string
	}{
		"nil":   {func(context.Context, *Verdicts) error { return nil }, "", nil, 0, ""},
		"error": {func(context.Context, *Verdicts) error { return errTest }, "10s: 0 1 2 3 4 5", nil, 6, "no"},
		"each its own": {func(_ context.Context, v *Verdicts) error {
			v.Set(0, nil)
			v.Set(1, &Verdict{Action: Retry, Delay: time.Second})
			v.Set(2, &Verdict{Action: Drop})
			v.Set(3, &Verdict{Action: DeadLetter})
			v.Set(4, errTest)
			return nil
		}, "1s: 1, 10s: 4", []string{"3"}, 4, "no"},
		"own and the handler's": {func(_ context.Context, v *Verdicts) error {
			v.Set(0, nil)
			v.Set(1, errTest)
			v.Set(1, nil) // the last counts
			return &Verdict{Action: Retry, Delay: time.Second}
		}, "1s: 2 3 4 5", nil, 4, "retry in 1s"},
		"panic":  {func(_ context.Context, v *Verdicts) error { v.Set(2, nil); panic("oh") }, "10s: 0 1 3 4 5", nil, 5, "handler panicked: oh"},
		"Goexit": {func(_ context.Context, v *Verdicts) error { v.Set(2, nil); runtime.Goexit(); return nil }, "10s: 0 1 3 4 5", nil, 5, "handler ended its goroutine (runtime.Goexit)"},
		"out of range": {func(_ context.Context, v *Verdicts) error { v.Set(0, nil); v.Set(6, nil); return nil },
			"10s: 1 2 3 4 5", nil, 5, "handler panicked: rocketkit: verdict for message 6 of a batch of 6"},
		"an error that panics": {func(_ context.Context, v *Verdicts) error { v.Set(1, (*brokenError)(nil)); return nil }, "10s: 1", nil, 1,
			"verdict panicked: runtime error: invalid memory address or nil pointer dereference"},
		"time-out": {func(ctx context.Context, v *Verdicts) error { v.Set(5, nil); <-ctx.Done(); return ctx.Err() },
			"1m10s: 0 1 2 3 4", nil, 5, "context deadline exceeded"},
		"too late": {func(_ context.Context, v *Verdicts) error { go v.Set(0, errTest); return nil }, "", nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				b := &batches{}
				first := true
				b.then = func(ctx context.Context, _ []rocketkit.Message, v *Verdicts) error {
					if !first {
						return nil
					}
					first = false
					return test.then(ctx, v)
				}
				e := r.run(batched(b, 1, 6, time.Second/2))
				b.begun = time.Now()
				sendTogether(r.scripted, "0", "1", "2", "3", "4", "5")
				time.Sleep(5 * time.Minute)
				var retries []string
				for _, s := range b.seen()[1:] {
					slices.Sort(s.bodies)
					after := s.after - time.Second/2
					if len(s.bodies) == 6 { // full, so it didn't wait
						after = s.after
					}
					retries = append(retries, fmt.Sprintf("%v: %s", after, strings.Join(s.bodies, " ")))
				}
				if got := strings.Join(retries, ", "); got != test.want {
					t.Errorf("retries %q, want %q", got, test.want)
				}
				if got := r.Bodies(letterG); !slices.Equal(got, test.letters) {
					t.Errorf("dead letters %v, want %v", got, test.letters)
				}
				s := e.Snapshot().Topics["t"]
				if s.Failed != test.failed || s.LastError != test.lastError || s.Cached != 0 || s.Active != 0 {
					t.Errorf("%d failures, the last %q, want %d, %q: %+v", s.Failed, s.LastError, test.failed, test.lastError, s)
				}
				e.mustStop()
				if got := r.Offset(groupG, topicT, 0); got != 6 {
					t.Errorf("committed %d, want 6", got)
				}
			})
		})
	}
}

type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

// TestBatchWithBadBody: what can't be inflated goes to the dead letters, and its batch comes without it.
func TestBatchWithBadBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		sendTogether(r.scripted, "a", "b")
		r.mu.Lock()
		r.brokers["b"].store(&protocol.Message{Topic: topicT, SysFlag: protocol.SysCompressed | protocol.SysZstd, Body: []byte("not zstd")})
		r.mu.Unlock()
		b := &batches{}
		e := r.run(batched(b, 1, 3, time.Hour))
		eventually(t, "a dead letter", func() bool { return len(r.Bodies(letterG)) == 1 })
		if got := b.sorted(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("the handler got %v", got)
		}
		e.mustStop()
	})
}

// TestBatchesOfSeveralQueuesAndRetries: one batch holds what there is of the topic, wherever it comes from.
func TestBatchesOfSeveralQueuesAndRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 3)
		r.Topic(retryG, 1)
		b := &batches{}
		e := r.run(batched(b, 1, 4, time.Hour))
		time.Sleep(time.Minute)
		for q := range 3 {
			r.Send(topicT, q, fmt.Sprint("q", q))
		}
		r.SendWith(retryG, 0, "again", protocol.PropertyRetryTopic, topicT)
		time.Sleep(time.Minute)
		if seen := b.seen(); len(seen) != 1 || !slices.Equal(b.sorted(), []string{"again", "q0", "q1", "q2"}) {
			t.Errorf("batches %v", seen)
		}
		e.mustStop()
	})
}

// TestStopWithHalfFullBatch: it isn't waited for, and the next member gets all of it, once.
func TestStopWithHalfFullBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, 2)
		b := &batches{}
		e := rigOn(t, s, "one").run(batched(b, 2, 10, time.Hour))
		sendTogether(s, numbered("m", 25)...)
		s.Send(topicT, 1, numbered("n", 3)...)
		time.Sleep(time.Minute)
		if got := len(b.sorted()); got != 20 {
			t.Errorf("%d messages handled before the stop, want two full batches", got)
		}
		began := time.Now()
		e.mustStop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
		e = rigOn(t, s, "two").run(batched(b, 2, 10, time.Minute))
		time.Sleep(2 * time.Minute)
		e.mustStop()
		if want := append(numbered("m", 25), numbered("n", 3)...); !slices.Equal(b.sorted(), want) {
			t.Errorf("handled %v, want %v", b.sorted(), want)
		}
	})
}

// TestStopFlushesWhatMustBegin: a retried message that waits in a half-full batch, while one behind it in the retry topic
// has been handled, is handled before the stop ends: or the one behind would come twice.
func TestStopFlushesWhatMustBegin(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, e *running){
		"stop":       func(_ *rig, e *running) { e.mustStop() },
		"queue lost": func(r *rig, _ *running) { r.AddMember(groupG, "!first"); time.Sleep(2 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Topic(topicU, 1)
				r.Topic(retryG, 1)
				r.SendWith(retryG, 0, "batched", protocol.PropertyRetryTopic, topicT)
				r.SendWith(retryG, 0, "single", protocol.PropertyRetryTopic, topicU)
				r.SendWith(retryG, 0, "left", protocol.PropertyRetryTopic, topicT)
				b, g := &batches{}, &got{}
				cfg := batched(b, 2, 10, time.Hour)
				cfg.Topics["u"] = Topic{Workers: 1, Handle: g.handle}
				e := r.run(cfg)
				eventually(t, "the single one handled", func() bool { return g.len() == 1 })
				began := time.Now()
				end(r, e)
				if took := time.Since(began); took > releaseWithin/2 {
					t.Errorf("it took %v", took)
				}
				if got := b.sorted(); !slices.Equal(got, []string{"batched"}) {
					t.Errorf("handled %v", got)
				}
				if got := r.Offset(groupG, retryG, 0); got != 2 {
					t.Errorf("committed %d, want 2", got)
				}
				if held := e.Snapshot().Topics["t"]; held.Waiting > 0 && name == "queue lost" {
					t.Errorf("still waits: %+v", held)
				}
			})
		})
	}
}

// TestResetDropsHalfFullBatch: nothing of before the reset is handled after it, and nothing of it is held.
func TestResetDropsHalfFullBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		sendTogether(r.scripted, "0", "1", "2")
		b := &batches{}
		e := r.run(batched(b, 1, 10, time.Hour))
		eventually(t, "half a batch", func() bool { return e.Snapshot().Topics["t"].Waiting == 3 })
		r.Reset(groupG, topicT, 0, 1)
		sendTogether(r.scripted, "3") // ends the held pull
		eventually(t, "the reset", func() bool { return e.Snapshot().Topics["t"].Waiting == 3 && r.Offset(groupG, topicT, 0) == 1 })
		sendTogether(r.scripted, "4", "5", "6", "7", "8", "9", "10")
		eventually(t, "a batch", func() bool { return len(b.seen()) == 1 })
		if got := b.seen()[0].bodies; !slices.Equal(got, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}) {
			t.Errorf("got %v", got)
		}
		if s := e.Snapshot().Topics["t"]; s.Cached != 0 {
			t.Errorf("%d held", s.Cached)
		}
		e.mustStop()
	})
}

// TestFullTopicHandsOutBatches: what can't fill any more, because the topic may hold no more, isn't waited for.
func TestFullTopicHandsOutBatches(t *testing.T) {
	t.Parallel()
	for name, retried := range map[string]bool{"topic": false, "retry topic": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Topic(retryG, 1)
				b := &batches{}
				e := r.engine(batched(b, 1, 1000, 24*time.Hour))
				bodies := numbered("m", 200)
				if retried {
					e.retry.budget.maxBytes = 300
					for _, body := range bodies {
						r.SendWith(retryG, 0, body, protocol.PropertyRetryTopic, topicT)
					}
				} else {
					e.topics[topicT].budget.maxBytes = 300
					r.Send(topicT, 0, bodies...)
				}
				ctx, cancel := context.WithCancel(context.Background())
				result := make(chan error, 1)
				go func() { result <- e.Run(ctx) }()
				eventually(t, "most of them", func() bool { return len(b.sorted()) >= 128 })
				cancel()
				if err := <-result; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestFailedBatchWithoutBroker: its worker waits for one time-out, not for one a message; nothing is lost.
func TestFailedBatchWithoutBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 200)...)
		var away atomic.Bool
		away.Store(true)
		r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code == protocol.ReqSendBack && away.Load() {
				return noAnswer
			}
			return nil
		})
		b := &batches{}
		b.then = func(_ context.Context, messages []rocketkit.Message, _ *Verdicts) error {
			if messages[0].Attempt() == 1 {
				return &Verdict{Action: Retry, Delay: time.Second}
			}
			return nil
		}
		e := r.run(batched(b, 1, 100, time.Second))
		eventually(t, "both batches", func() bool { return len(b.seen()) == 2 })
		if after := b.seen()[1].after - b.seen()[0].after; after > 4*time.Second {
			t.Errorf("the second batch came %v after the first", after)
		}
		away.Store(false)
		eventually(t, "all again", func() bool { return len(b.sorted()) == 400 })
		e.mustStop()
		if got := r.Offset(groupG, topicT, 0); got != 200 {
			t.Errorf("committed %d", got)
		}
	})
}

// TestBatchesUnderStopsRepeatNothing: stopped under load and started again, a group that handles in batches of which parts
// fail neither repeats nor loses a message.
func TestBatchesUnderStopsRepeatNothing(t *testing.T) {
	t.Parallel()
	const queues, perQueue, cycles = 4, 600, 6
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("b")
		s.Topic(topicT, queues)
		var all []string
		for q := range queues {
			bodies := numbered(fmt.Sprint("q", q, "-"), perQueue)
			s.Send(topicT, q, bodies...)
			all = append(all, bodies...)
		}
		g := &got{}
		b := &batches{then: func(ctx context.Context, messages []rocketkit.Message, v *Verdicts) error {
			if err := sleep(ctx, time.Duration(rand.IntN(20))*time.Millisecond); err != nil {
				return err
			}
			for i := range messages {
				if messages[i].Attempt() == 1 && rand.IntN(20) == 0 {
					v.Set(i, &Verdict{Action: Retry, Delay: time.Second})
					continue
				}
				g.add(&messages[i])
			}
			return nil
		}}
		for cycle := range cycles {
			e := rigOn(t, s, fmt.Sprint("i", cycle)).run(batched(b, 3, 1+rand.IntN(60), time.Duration(rand.IntN(50))*time.Millisecond))
			if cycle < cycles-1 {
				time.Sleep(time.Duration(20+rand.IntN(60)) * time.Millisecond)
			} else {
				eventually(t, "all handled", func() bool { return g.len() >= len(all) })
				time.Sleep(time.Minute)
			}
			e.mustStop()
		}
		slices.Sort(all)
		if got := g.sorted(); !slices.Equal(got, all) {
			t.Errorf("%d handled, want %d once each; first difference: %s", len(got), len(all), difference(got, all))
		}
		for q := range queues {
			if got := s.Offset(groupG, topicT, q); got != perQueue {
				t.Errorf("queue %d: committed %d, want %d", q, got, perQueue)
			}
		}
	})
}
