package producer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

// A plan is messages, settings and a broker's moods, drawn at random; what came of it is judged by judge.
type plan struct {
	linger   producer.Linger
	inFlight int
	messages []planned
	moods    []mood // of the brokers, request by request, and again from the first
	moves    time.Duration
}

type planned struct {
	at     time.Duration // since the one before
	key    string
	async  bool
	limit  time.Duration // of its context; 0 for none
	cancel bool          // ends by cancel rather than by deadline
	poison bool          // brokers refuse every request that holds it
	delay  int
	size   int
}

type mood struct {
	code int32
	wait time.Duration
	lost bool // stored, and not answered
}

func drawPlan(t *rapid.T) plan {
	p := plan{inFlight: rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "in flight")}
	if rapid.Bool().Draw(t, "linger") {
		p.linger = producer.Linger{
			Wait:     rapid.SampledFrom([]time.Duration{time.Microsecond, 5 * time.Millisecond, time.Second}).Draw(t, "wait"),
			Messages: rapid.SampledFrom([]int{0, 1, 2, 5}).Draw(t, "messages"),
			Bytes:    rapid.SampledFrom([]int{0, 1, 600}).Draw(t, "bytes"),
		}
	}
	for range rapid.IntRange(1, 40).Draw(t, "n") {
		m := planned{
			at:     rapid.SampledFrom([]time.Duration{0, 0, 0, time.Millisecond, 20 * time.Millisecond}).Draw(t, "at"),
			key:    rapid.SampledFrom([]string{"", "", "a", "b", "c", "d"}).Draw(t, "key"),
			async:  rapid.Bool().Draw(t, "async"),
			limit:  rapid.SampledFrom([]time.Duration{0, 0, 0, 1, 3 * time.Millisecond, 2 * time.Second}).Draw(t, "limit"),
			cancel: rapid.Bool().Draw(t, "cancel"),
			poison: rapid.IntRange(0, 9).Draw(t, "poison") == 0,
			size:   rapid.SampledFrom([]int{1, 100, 700}).Draw(t, "size"),
		}
		if rapid.IntRange(0, 9).Draw(t, "delayed") == 0 {
			m.delay = 1
		}
		p.messages = append(p.messages, m)
	}
	waits := []time.Duration{0, 0, time.Millisecond, 50 * time.Millisecond}
	for range rapid.IntRange(1, 12).Draw(t, "moods") {
		p.moods = append(p.moods, mood{
			code: rapid.SampledFrom([]int32{0, 0, 0, protocol.CodeSystemBusy, protocol.CodeSystemError, protocol.CodeServiceNotAvailable}).Draw(t, "code"),
			wait: rapid.SampledFrom(waits).Draw(t, "wait"),
			lost: rapid.IntRange(0, 5).Draw(t, "lost") == 0,
		})
	}
	p.moods = append(p.moods, mood{}, mood{}, mood{}) // a broker that only fails proves little
	if rapid.Bool().Draw(t, "route changes") {
		p.moves = rapid.SampledFrom([]time.Duration{time.Millisecond, 30 * time.Millisecond}).Draw(t, "when")
	}
	return p
}

// outcome is what a caller was told.
type outcome struct {
	receipt producer.Receipt
	err     error
	times   int
}

// played is what a plan came to.
type played struct {
	plan     plan
	outcomes []outcome
	stored   []storedMessage
	lost     int // answers
	together int // most requests with keys of one queue under way at once
}

type storedMessage struct {
	n      int // in the plan
	id     string
	broker string
	queue  int
	offset int64
}

func bodyOf(i int, m planned) []byte {
	kind := "good"
	if m.poison {
		kind = "poison"
	}
	return fmt.Appendf(nil, "%s %d %s", kind, i, strings.Repeat("x", m.size))
}

// play carries a plan out in a bubble.
func play(t *testing.T, p plan) (r played) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 2, "a", "b")
		watch := &brokers{f: f, plan: p, keyed: map[string]int{}}
		f.answer, f.silent = watch.answer, watch.silent
		client := f.producer("", producer.Config{Linger: p.linger, MaxInFlight: p.inFlight})
		if p.moves > 0 {
			time.AfterFunc(p.moves, func() { watch.move() })
		}
		r = played{plan: p, outcomes: make([]outcome, len(p.messages))}
		var mu sync.Mutex
		told := func(i int, receipt producer.Receipt, err error) {
			mu.Lock()
			defer mu.Unlock()
			r.outcomes[i].receipt, r.outcomes[i].err = receipt, err
			r.outcomes[i].times++
		}
		var callers sync.WaitGroup
		for i, m := range p.messages {
			time.Sleep(m.at)
			ctx, cancel := context.Background(), context.CancelFunc(func() {})
			switch {
			case m.limit > 0 && m.cancel:
				ctx, cancel = context.WithCancel(ctx)
				time.AfterFunc(m.limit, cancel)
			case m.limit > 0:
				ctx, cancel = context.WithTimeout(ctx, m.limit)
			}
			message := producer.Message{Topic: "orders", Body: bodyOf(i, m), ShardingKey: m.key, DelayLevel: m.delay}
			if m.async {
				client.SendAsync(ctx, message, func(receipt producer.Receipt, err error) { told(i, receipt, err); cancel() })
				continue
			}
			callers.Go(func() {
				defer cancel()
				receipt, err := client.Send(ctx, message)
				clear(message.Body) // the caller's own again
				told(i, receipt, err)
			})
		}
		callers.Wait()
		if err := client.Close(within(t, time.Hour)); err != nil {
			t.Errorf("Close: %v", err)
		}
		time.Sleep(time.Second) // what callers have left arrives
		synctest.Wait()
		if messages, keys, lanes := client.Remaining(); messages+keys+lanes != 0 {
			t.Errorf("after Close there are %d messages, %d keys and %d lanes of queues left", messages, keys, lanes)
		}
		watch.mu.Lock()
		defer watch.mu.Unlock()
		r.stored, r.lost, r.together = f.storedMessages(), watch.lost, watch.together
	})
	return r
}

// brokers is the brokers of a plan.
type brokers struct {
	f    *fake
	plan plan

	mu       sync.Mutex
	requests int
	lost     int
	moved    bool
	keyed    map[string]int // requests with keys under way, by queue
	together int
	silence  map[*byte]bool // requests to be lost, by their bodies' first byte
}

func (w *brokers) move() {
	w.mu.Lock()
	w.moved = true
	w.mu.Unlock()
	w.f.setRoute("orders", 1, "a", "b")
}

func (w *brokers) answer(s sent) (int32, string) {
	w.mu.Lock()
	m := w.plan.moods[w.requests%len(w.plan.moods)]
	w.requests++
	queue := s.broker + strconv.Itoa(s.queue)
	keyed := slices.ContainsFunc(s.messages(), func(m protocol.BatchMessage) bool { key, _ := m.Properties.Get("__SHARDINGKEY"); return key != "" })
	if keyed {
		w.keyed[queue]++
		w.together = max(w.together, w.keyed[queue])
	}
	w.mu.Unlock()
	time.Sleep(m.wait)
	w.mu.Lock()
	defer w.mu.Unlock()
	if keyed {
		w.keyed[queue]--
	}
	switch {
	case w.moved && s.queue == 1:
		return protocol.CodeInvalidParameter, "request queueId[1] is illegal"
	case slices.ContainsFunc(s.messages(), func(m protocol.BatchMessage) bool { return strings.HasPrefix(string(m.Body), "poison") }):
		return protocol.CodeMessageIllegal, "poison"
	case m.code != 0:
		return m.code, "not now"
	case m.lost:
		w.lost++
		if w.silence == nil {
			w.silence = map[*byte]bool{}
		}
		w.silence[&s.body[0]] = true
	}
	return 0, ""
}

func (w *brokers) silent(s sent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silence[&s.body[0]]
}

// judge tells what is wrong with what a plan came to.
func (r *played) judge() error {
	var all []error
	wrong := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	copies := map[int]int{}
	places := map[string]storedMessage{}
	for _, s := range r.stored {
		copies[s.n]++
		places[fmt.Sprint(s.broker, s.queue, s.offset)] = s
	}
	limited := false
	for i, m := range r.plan.messages {
		o := r.outcomes[i]
		limited = limited || m.limit > 0
		if o.times != 1 {
			wrong("message %d has %d outcomes", i, o.times)
			continue
		}
		if o.err == nil {
			s, ok := places[fmt.Sprint(o.receipt.Queue.Broker, o.receipt.Queue.ID, o.receipt.Offset)]
			if !ok || s.n != i || s.id != o.receipt.ID || o.receipt.OffsetID != fmt.Sprintf("%s#%d", s.broker, s.offset) {
				wrong("message %d: receipt %+v, but there is %+v", i, o.receipt, s)
			}
		}
		code, _, _ := rocketkit.Code(o.err)
		switch ended := errors.Is(o.err, context.DeadlineExceeded) || errors.Is(o.err, context.Canceled); {
		case m.poison && copies[i] > 0:
			wrong("message %d is stored, though brokers refuse it", i)
		case m.poison && code != int(protocol.CodeMessageIllegal) && !ended:
			wrong("poison %d: %v", i, o.err)
		case !m.poison && o.err != nil && !ended:
			wrong("message %d: %v", i, o.err)
		case ended && m.limit == 0:
			wrong("message %d has no limit: %v", i, o.err)
		case ended && !producer.Retryable(o.err):
			wrong("message %d: not retryable: %v", i, o.err)
		case o.err != nil && strings.Contains(o.err.Error(), "was not sent") && copies[i] > 0:
			wrong("message %d is stored %d times: %v", i, copies[i], o.err)
		case copies[i] > 1+r.lost:
			wrong("message %d is stored %d times, with %d answers lost", i, copies[i], r.lost)
		}
	}
	if !limited && r.plan.linger.Wait > 0 && r.lost == 0 && r.together > 1 && !r.delayedKeys() {
		wrong("%d requests with keys of one queue under way at once", r.together)
	}
	r.judgeOrder(wrong)
	return errors.Join(all...)
}

func (r *played) delayedKeys() bool {
	return slices.ContainsFunc(r.plan.messages, func(m planned) bool { return m.delay > 0 }) || r.plan.moves > 0
}

// judgeOrder looks at what SendAsync was called with for one key: the first copy of each message comes before that of the
// next, and the last too. What left early may be stored late.
func (r *played) judgeOrder(wrong func(string, ...any)) {
	inOrder := func(stored iter.Seq2[int, storedMessage], way func(a, b int) bool) {
		seen, last := map[int]bool{}, map[string]int{}
		for _, s := range stored {
			m := r.plan.messages[s.n]
			if m.key == "" || !m.async || m.limit > 0 || seen[s.n] {
				continue
			}
			seen[s.n] = true
			if before, ok := last[m.key]; ok && !way(before, s.n) {
				wrong("key %s: messages %d and %d are stored out of order", m.key, before, s.n)
			}
			last[m.key] = s.n
		}
	}
	inOrder(slices.All(r.stored), func(a, b int) bool { return a < b })
	inOrder(slices.Backward(r.stored), func(a, b int) bool { return a > b })
}

// TestLingerModel has messages of all kinds sent at random through brokers in all moods, and holds what came of it to what
// is promised.
func TestLingerModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := play(t, drawPlan(rt))
		if err := r.judge(); err != nil {
			rt.Fatalf("%+v\n%v", r.plan, err)
		}
	})
}
