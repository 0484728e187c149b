package engine

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// inOrder is config with an order.
func inOrder(order Order, workers int, handle func(context.Context, *rocketkit.Message) error) Config {
	cfg := config(nil)
	cfg.Topics = map[string]Topic{"t": {Workers: workers, Timeout: time.Minute, Handle: handle, Order: order}}
	return cfg
}

// sendKey stores a message with a sharding key; none when key is empty.
func (r *rig) sendKey(queue int, key, body string) {
	if key == "" {
		r.SendWith(topicT, queue, body)
		return
	}
	r.SendWith(topicT, queue, body, protocol.PropertyShardingKey, key)
}

// orderCheck sees every call of a handler: of one lane, messages must come by offset, each until it is done, and one at a
// time.
type orderCheck struct {
	lane func(*rocketkit.Message) string

	mu        sync.Mutex
	last      map[string]int64 // offset of the last that came
	attempts  map[string]int   // of that
	done      map[string]bool  // whether it is
	running   map[string]int
	all, most int // handlers that run, and ran at once
	handled   int // messages done
	wrong     []string
}

func newOrderCheck(lane func(*rocketkit.Message) string) *orderCheck {
	return &orderCheck{lane: lane, last: map[string]int64{}, attempts: map[string]int{}, done: map[string]bool{}, running: map[string]int{}}
}

func byQueue(m *rocketkit.Message) string { return fmt.Sprint(m.Queue().ID) }

func byKey(m *rocketkit.Message) string { return fmt.Sprint(m.Queue().ID, "/", m.ShardingKey()) }

func (c *orderCheck) begin(m *rocketkit.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lane := c.lane(m)
	last, some := c.last[lane]
	switch {
	case c.running[lane] > 0:
		c.wrong = append(c.wrong, fmt.Sprintf("lane %s: offset %d begins while another runs", lane, m.Offset()))
	case some && m.Offset() == last:
		if c.attempts[lane]++; c.done[lane] || m.Attempt() != c.attempts[lane] {
			c.wrong = append(c.wrong, fmt.Sprintf("lane %s: offset %d: attempt %d, want %d (done before: %v)", lane, last, m.Attempt(), c.attempts[lane], c.done[lane]))
		}
	case some && (m.Offset() < last || !c.done[lane]), m.Attempt() != 1:
		c.wrong = append(c.wrong, fmt.Sprintf("lane %s: offset %d, attempt %d, after %d (done: %v)", lane, m.Offset(), m.Attempt(), last, c.done[lane]))
	default:
		c.attempts[lane] = 1
	}
	c.last[lane], c.done[lane] = m.Offset(), false
	c.running[lane]++
	c.all++
	c.most = max(c.most, c.all)
}

func (c *orderCheck) end(m *rocketkit.Message, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lane := c.lane(m)
	c.running[lane]--
	c.all--
	if c.done[lane] = done; done {
		c.handled++
	}
}

func (c *orderCheck) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handled
}

func (c *orderCheck) report(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.wrong[:min(len(c.wrong), 5)] {
		t.Error(text)
	}
}

// badHandler takes a little time, and fails one attempt of ten, in all the ways there are.
func (c *orderCheck) badHandler(ctx context.Context, m *rocketkit.Message) error {
	c.begin(m)
	done := true
	defer func() { c.end(m, done) }()
	_ = sleep(ctx, time.Duration(rand.IntN(3000))*time.Microsecond)
	if rand.IntN(10) > 0 {
		return nil
	}
	kind := rand.IntN(6)
	done = kind > 3
	switch kind {
	case 0:
		panic("oh")
	case 1:
		runtime.Goexit()
	case 2:
		return &Verdict{Action: Retry, Delay: time.Duration(rand.IntN(100)) * time.Millisecond}
	case 3:
		return errTest
	case 4:
		return &Verdict{Action: Drop}
	}
	return &Verdict{Action: DeadLetter}
}

// TestOrderWithFailingHandlers: whatever handlers do, messages of a queue, or of a key, come in order, one at a time, each
// until it is done; and other queues and keys at the same time.
func TestOrderWithFailingHandlers(t *testing.T) {
	t.Parallel()
	const queues, perQueue, workers = 4, 300, 16
	for name, test := range map[string]struct {
		order  Order
		lane   func(*rocketkit.Message) string
		atOnce int
	}{
		"queue": {OrderQueue, byQueue, queues},
		"key":   {OrderKey, byKey, workers},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, queues)
				for q := range queues {
					for i := range perQueue {
						r.sendKey(q, []string{"", "a", "b", "c", "d", "e", "f"}[i%7], fmt.Sprint(q, "-", i))
					}
				}
				check := newOrderCheck(test.lane)
				e := r.run(inOrder(test.order, workers, check.badHandler))
				eventually(t, "all done", func() bool { return check.count() == queues*perQueue })
				time.Sleep(time.Second)
				synctest.Wait()
				check.report(t)
				if check.most != test.atOnce {
					t.Errorf("at most %d handlers at once, want %d", check.most, test.atOnce)
				}
				for _, q := range e.allQueues() {
					if q.lanes != nil && len(q.lanes.byKey) != 0 {
						t.Errorf("%v: %d lanes without a message", q.public, len(q.lanes.byKey))
					}
				}
				if s := e.Snapshot().Topics["t"]; s.Cached != 0 || s.CachedBytes != 0 || s.Active != 0 {
					t.Errorf("still held: %+v", s)
				}
				e.mustStop()
				for q := range queues {
					if got := r.Offset(groupG, topicT, q); got != perQueue {
						t.Errorf("queue %d: committed %d, want %d", q, got, perQueue)
					}
				}
			})
		})
	}
}

// TestVerdictsInOrder: what becomes of a message whose order is kept; the one behind it waits, and what has another key
// doesn't.
func TestVerdictsInOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handle  func(ctx context.Context) error // of the first attempt; later ones succeed
		again   time.Duration                   // when it comes again; -1: never
		letters int
	}{
		"error":       {func(context.Context) error { return errTest }, time.Second, 0},
		"panic":       {func(context.Context) error { panic("oh") }, time.Second, 0},
		"Goexit":      {func(context.Context) error { runtime.Goexit(); return nil }, time.Second, 0},
		"time-out":    {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 61 * time.Second, 0},
		"retry in":    {func(context.Context) error { return &Verdict{Action: Retry, Delay: 1234567 * time.Microsecond} }, 1234567 * time.Microsecond, 0},
		"retry now":   {func(context.Context) error { return &Verdict{Action: Retry} }, 10 * time.Millisecond, 0},
		"drop":        {func(context.Context) error { return &Verdict{Action: Drop} }, -1, 0},
		"dead letter": {func(context.Context) error { return &Verdict{Action: DeadLetter} }, -1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				var mu sync.Mutex
				var begun time.Time
				came := map[string][]time.Duration{}
				e := r.run(inOrder(OrderKey, 2, func(ctx context.Context, m *rocketkit.Message) error {
					mu.Lock()
					if begun.IsZero() {
						begun = time.Now()
					}
					body := string(m.Body())
					came[body] = append(came[body], time.Since(begun))
					first := body == "bad" && len(came[body]) == 1
					if m.Attempt() != len(came[body]) {
						t.Errorf("%s: attempt %d, want %d", body, m.Attempt(), len(came[body]))
					}
					mu.Unlock()
					if first {
						return test.handle(ctx)
					}
					return nil
				}))
				r.sendKey(0, "a", "bad")
				r.sendKey(0, "a", "behind")
				r.sendKey(0, "b", "other")
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				behind, bad := test.again, []time.Duration{0, test.again}
				if behind < 0 {
					behind, bad = 0, bad[:1]
				}
				if !slices.Equal(came["bad"], bad) || !slices.Equal(came["behind"], []time.Duration{behind}) || !slices.Equal(came["other"], []time.Duration{0}) {
					t.Errorf("came at %v, want bad at %v, behind at %v, other at 0", came, bad, behind)
				}
				if letters := len(r.Bodies(letterG)); letters != test.letters {
					t.Errorf("%d dead letters, want %d", letters, test.letters)
				}
				if n := len(r.Requests(protocol.ReqSendBack)); n != test.letters {
					t.Errorf("%d send-backs, want %d", n, test.letters)
				}
				e.mustStop()
				if got := r.Offset(groupG, topicT, 0); got != 3 {
					t.Errorf("committed %d, want 3", got)
				}
			})
		})
	}
}

// TestRetriesInOrder: after Retries a message is dead-lettered, and only then does what stands behind it come.
func TestRetriesInOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ retries, attempts int }{
		"the default": {-1, 17}, "three": {3, 4}, "none": {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, "bad", "good")
				var came []string
				cfg := inOrder(OrderQueue, 1, func(_ context.Context, m *rocketkit.Message) error {
					came = append(came, string(m.Body()))
					if string(m.Body()) == "bad" {
						return errTest
					}
					if letters := r.Bodies(letterG); !slices.Equal(letters, []string{"bad"}) {
						t.Errorf("the next came before the dead letter was stored: %v", letters)
					}
					return nil
				})
				cfg.Retries = test.retries
				e := r.run(cfg)
				time.Sleep(time.Minute)
				synctest.Wait()
				if want := append(slices.Repeat([]string{"bad"}, test.attempts), "good"); !slices.Equal(came, want) {
					t.Errorf("%d came: %v, want %d times bad, then good", len(came), came, test.attempts)
				}
				e.mustStop()
			})
		})
	}
}

// TestDeadLetterHoldsItsLane until a broker has taken it, however long that takes; other keys go on.
func TestDeadLetterHoldsItsLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Script(refuseSendBack("", refuse(protocol.CodeSystemError, "disk full")))
		g := &got{}
		e := r.run(inOrder(OrderKey, 4, func(_ context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "bad" {
				return &Verdict{Action: DeadLetter, Why: errTest}
			}
			g.add(m)
			return nil
		}))
		r.sendKey(0, "a", "bad")
		r.sendKey(0, "a", "behind")
		r.sendKey(0, "b", "other")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := g.sorted(); !slices.Equal(got, []string{"other"}) {
			t.Errorf("handled %v while the dead letter isn't stored", got)
		}
		if got := r.Offset(groupG, topicT, 0); got != 0 {
			t.Errorf("committed %d over it", got)
		}
		r.Script(nil)
		eventually(t, "the lane goes on", func() bool { return g.len() == 2 && r.Offset(groupG, topicT, 0) == 3 })
		if letters := r.Bodies(letterG); !slices.Equal(letters, []string{"bad"}) {
			t.Errorf("dead letters: %v", letters)
		}
		e.mustStop()
	})
}

// TestWaitingTakesNoWorker: messages that wait for their retry hold no worker, and no other key.
func TestWaitingTakesNoWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		for i := range 50 {
			r.sendKey(0, fmt.Sprint("bad", i), "bad")
		}
		for i := range 5000 {
			r.sendKey(0, fmt.Sprint("good", i%9), fmt.Sprint(i))
		}
		g := &got{}
		e := r.run(inOrder(OrderKey, 1, func(_ context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "bad" {
				return &Verdict{Action: Retry, Delay: time.Hour}
			}
			g.add(m)
			return nil
		}))
		time.Sleep(time.Minute)
		synctest.Wait()
		if g.len() != 5000 {
			t.Errorf("%d of 5000 handled beside 50 that wait", g.len())
		}
		if s := e.Snapshot().Topics["t"]; s.Active != 0 || s.Cached != 50 {
			t.Errorf("%d active, %d held, want 0 and 50", s.Active, s.Cached)
		}
		if holds := e.allQueues()[0].lanes; holds != nil && !strings.Contains(holds.holds(), `offset 0 of key "bad0" has failed 1 times, and is retried in`) {
			t.Errorf("what holds the queue: %q", holds.holds())
		}
		start := time.Now()
		e.mustStop()
		if took := time.Since(start); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

// TestFailingKeysBound: a key that fails holds back the others only once so many of its messages are held that the topic's
// budget is full.
func TestFailingKeysBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		for i := range 3 * minCached {
			r.sendKey(0, []string{"bad", "good"}[i%2], fmt.Sprint(i))
		}
		g := &got{}
		e := r.run(inOrder(OrderKey, 4, func(_ context.Context, m *rocketkit.Message) error {
			if m.ShardingKey() == "bad" {
				return &Verdict{Action: Retry, Delay: time.Hour}
			}
			g.add(m)
			return nil
		}))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := g.len(); got < minCached || got > minCached+pullBatch {
			t.Errorf("%d of the other key handled, want those beside the first %d of the failing one", got, minCached)
		}
		e.mustStop()
	})
}

// TestRetryNowDoesNotSpin: a handler that always says "at once" is asked a hundred times a second at most.
func TestRetryNowDoesNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, "m")
		calls := 0
		cfg := inOrder(OrderQueue, 4, func(context.Context, *rocketkit.Message) error { calls++; return &Verdict{Action: Retry} })
		cfg.Retries = 1 << 30
		e := r.run(cfg)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if calls < 500 || calls > 1001 {
			t.Errorf("%d calls in 10 s", calls)
		}
		e.mustStop()
	})
}

// TestRetryTopicOfOrderedTopic: what comes from the retry topic, sent there by members that keep no order, is handled as
// it comes, and retried as it was.
func TestRetryTopicOfOrderedTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(retryG, 1)
		for _, body := range []string{"x", "y"} {
			r.SendWith(retryG, 0, body, protocol.PropertyRetryTopic, topicT, protocol.PropertyShardingKey, "a")
		}
		g := &got{}
		e := r.run(inOrder(OrderKey, 4, func(_ context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "x" && m.Attempt() == 1 {
				return errTest
			}
			g.add(m)
			return nil
		}))
		eventually(t, "y beside x", func() bool { return slices.Equal(g.sorted(), []string{"y"}) })
		eventually(t, "x, after the broker's backoff", func() bool { return g.len() == 2 })
		if n := len(r.Requests(protocol.ReqSendBack)); n != 1 {
			t.Errorf("%d send-backs, want 1", n)
		}
		e.mustStop()
	})
}

// TestKeyFunction: the caller's function tells the key, of the decompressed message; its panic fails the message and
// nothing else.
func TestKeyFunction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		check := newOrderCheck(func(m *rocketkit.Message) string { return string(m.Body()[:1]) })
		cfg := inOrder(OrderKey, 8, check.badHandler)
		topic := cfg.Topics["t"]
		topic.Key = func(m *rocketkit.Message) string {
			if string(m.Body()) == "nobody's" {
				panic(errors.New("whose?"))
			}
			return string(m.Body()[:1])
		}
		cfg.Topics["t"] = topic
		e := r.run(cfg)
		r.Send(topicT, 0, "nobody's")
		r.mu.Lock()
		r.brokers["b"].store(&protocol.Message{Topic: topicT, SysFlag: protocol.SysCompressed | protocol.SysZlib, Body: zlibbed("a, as the next")})
		r.brokers["b"].store(&protocol.Message{Topic: topicT, SysFlag: protocol.SysCompressed | protocol.SysZlib, Body: []byte("not zlib")})
		r.mu.Unlock()
		for i := range 300 {
			r.SendWith(topicT, 0, fmt.Sprint([]string{"a", "b", "c"}[i%3], i), protocol.PropertyShardingKey, "not this")
		}
		eventually(t, "all done", func() bool { return r.Offset(groupG, topicT, 0) == 303 })
		check.report(t)
		if letters := r.Bodies(letterG); !slices.Contains(letters, "nobody's") || !slices.Contains(letters, "not zlib") {
			t.Errorf("messages that have no key are no dead letters: %v", letters)
		}
		if line := r.logs.find("Key panicked: whose?"); !strings.Contains(line, "order_test.go") {
			t.Errorf("the panic and its stack are not logged: %q", line)
		}
		e.mustStop()
	})
}

func zlibbed(body string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(body))
	_ = w.Close()
	return b.Bytes()
}
