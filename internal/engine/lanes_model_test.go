package engine

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// laneModel is a queue of an ordered topic whose handlers end when the test says, and how. It knows, of each window, what
// was delivered and what is done.
type laneModel struct {
	e       *Engine
	q       *queue
	windows []*windowed

	stop func()

	mu      sync.Mutex
	running map[string]*run // by key: one at a time
	held    bool            // the queue's lock
	refuses bool            // the broker takes no dead letters
	wrong   []string
}

// windowed is what a window was given.
type windowed struct {
	*window
	from    int64 // the first offset
	keys    []string
	started []int // how often each message came
	done    []bool
	retired time.Time
	closed  bool
}

// run is a handler that runs.
type run struct {
	window *windowed
	index  int
	end    chan func() error
}

// handle checks that a message may come now, and waits for what the test wants it to do.
func (l *laneModel) handle(_ context.Context, m *rocketkit.Message) error {
	l.mu.Lock()
	w, i := l.find(m.Offset())
	key := w.keys[i]
	if l.running[key] != nil {
		l.say("key %q: offset %d comes while another runs", key, m.Offset())
	}
	if !l.held {
		l.say("offset %d comes without the lock", m.Offset())
	}
	if w.closed {
		l.say("offset %d of a window that is closed comes", m.Offset())
	}
	for before := range i {
		if w.keys[before] == key && !w.done[before] {
			l.say("key %q: message %d comes before %d is done", key, i, before)
		}
	}
	if w.done[i] {
		l.say("message %d comes again", i)
	}
	if w.started[i]++; m.Attempt() != w.started[i] {
		l.say("message %d: attempt %d, want %d", i, m.Attempt(), w.started[i])
	}
	r := &run{w, i, make(chan func() error)}
	l.running[key] = r
	l.mu.Unlock()
	return (<-r.end)()
}

// find tells which window a message was given to: the offsets of no two overlap.
func (l *laneModel) find(offset int64) (*windowed, int) {
	for _, w := range l.windows {
		if i := int(offset - w.from); i >= 0 && i < len(w.keys) {
			return w, i
		}
	}
	panic("no window has it")
}

// finish ends a handler.
func (l *laneModel) finish(r *run, done bool, how func() error) {
	l.mu.Lock()
	delete(l.running, r.window.keys[r.index])
	r.window.done[r.index] = done
	l.mu.Unlock()
	r.end <- how
	synctest.Wait()
}

// finishOne ends one of the handlers that run, in one of the ways there are.
func (l *laneModel) finishOne(t *rapid.T) {
	l.mu.Lock()
	keys := slices.Sorted(maps.Keys(l.running))
	l.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	r := l.running[rapid.SampledFrom(keys).Draw(t, "key")]
	delay := time.Duration(rapid.IntRange(0, 6000).Draw(t, "delay")) * time.Millisecond
	switch rapid.SampledFrom([]string{"nil", "nil", "nil", "error", "panic", "Goexit", "retry in", "drop", "dead letter"}).Draw(t, "how") {
	case "nil":
		l.finish(r, true, func() error { return nil })
	case "drop":
		l.finish(r, true, func() error { return &Verdict{Action: Drop} })
	case "error":
		l.finish(r, false, func() error { return errTest })
	case "panic":
		l.finish(r, false, func() error { panic("oh") })
	case "Goexit":
		l.finish(r, false, func() error { runtime.Goexit(); return nil })
	case "retry in":
		l.finish(r, false, func() error { return &Verdict{Action: Retry, Delay: delay} })
	case "dead letter":
		l.finish(r, false, func() error { return &Verdict{Action: DeadLetter} })
	}
}

// newLaneModel makes a queue, with a broker that takes dead letters or not.
func newLaneModel(t *testing.T) *laneModel {
	t.Helper()
	r := newRig(t)
	r.Topic(topicT, 1)
	l := &laneModel{running: map[string]*run{}, held: true}
	cfg := inOrder(OrderKey, 3, l.handle)
	cfg.Retries = 2
	l.e = r.engine(cfg)
	l.e.handlers = t.Context()
	l.q = newQueue(l.e, l.e.topics[topicT], protocol.Queue{Topic: topicT, Broker: "b"})
	l.q.lanes.held = func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.held }
	r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
		if req.Code != protocol.ReqSendBack {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refuses {
			return refuse(protocol.CodeSystemError, "disk full")
		}
		w, i := l.find(fieldInt(req, "offset"))
		if w.done[i] || w != l.current() {
			l.say("message %d is dead-lettered, done: %v, in the window at %d", i, w.done[i], w.from)
		}
		w.done[i] = true
		return &frame.Frame{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var settling sync.WaitGroup
	settling.Go(func() { l.q.broker.backs.run(ctx, l.e) })
	l.stop = func() {
		cancel()
		settling.Wait()
		l.e.topics[topicT].pool.Stop()
		_ = r.client.Close(context.Background())
		r.Close()
	}
	l.open()
	return l
}

func (l *laneModel) say(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// end retires the queue and lets what runs finish: everything becomes idle, whether or not the lock is held and the broker
// takes dead letters, and nothing is left.
func (l *laneModel) end(t *rapid.T) {
	l.e.topics[topicT].pool.Resize(2, 2)
	w := l.current()
	if w.retired.IsZero() {
		w.retired = time.Now()
		w.retire()
	}
	for range 300 {
		synctest.Wait()
		l.check(t)
		l.mu.Lock()
		runs := slices.Collect(maps.Values(l.running))
		l.mu.Unlock()
		for _, r := range runs {
			l.finish(r, true, func() error { return nil })
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, w := range l.windows {
		if !isClosed(w.idle) {
			t.Fatalf("window at %d isn't idle 30 s after it retired: %d unfinished", w.from, w.unfinished())
		}
	}
	messages, bytes := l.e.topics[topicT].budget.held()
	if lanes := len(l.q.lanes.byKey); lanes != 0 || messages != 0 || bytes != 0 {
		t.Fatalf("%d lanes and %d messages of %d bytes are left", lanes, messages, bytes)
	}
}

func (l *laneModel) current() *windowed { return l.windows[len(l.windows)-1] }

// open begins a window, far above the one before.
func (l *laneModel) open() {
	from := int64(len(l.windows)) * 1_000_000
	l.q.restart(from)
	for _, w := range l.windows {
		w.closed = true
	}
	l.windows = append(l.windows, &windowed{window: l.q.current(), from: from})
}

// add hands out messages of these keys.
func (l *laneModel) add(keys []string) {
	w := l.current()
	from := w.from + int64(len(w.keys))
	l.mu.Lock()
	w.keys = append(w.keys, keys...)
	w.started = append(w.started, make([]int, len(keys))...)
	w.done = append(w.done, make([]bool, len(keys))...)
	l.mu.Unlock()
	messages := make([]protocol.Message, len(keys))
	for i, key := range keys {
		messages[i] = protocol.Message{Topic: topicT, QueueOffset: from + int64(i), CommitLogOffset: from + int64(i)}
		if key != "" {
			messages[i].Properties = protocol.AppendProperty(nil, protocol.PropertyShardingKey, key)
		}
	}
	l.q.handOut(w.window, messages, from, from+int64(len(keys)))
}

// check is what holds at any time.
func (l *laneModel) check(t *rapid.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) > 0 {
		t.Fatal(l.wrong[0])
	}
	for _, w := range l.windows {
		floor := w.from + int64(len(w.keys))
		if i := slices.Index(w.done, false); i >= 0 {
			floor = w.from + int64(i)
		}
		if got := w.floor(); got != floor {
			t.Fatalf("window at %d: floor %d, want %d", w.from, got, floor)
		}
		if w.retired.IsZero() {
			continue
		}
		idle, busy := isClosed(w.idle), false
		for _, r := range l.running {
			busy = busy || r.window == w
		}
		if busy && idle {
			t.Fatalf("window at %d is idle and has a handler that runs", w.from)
		}
	}
}

// bubbled hides the test's deadline, which is of no clock in the bubble, from rapid.
type bubbled struct{ rapid.TB }

// seldom skips an action most of the time.
func seldom(t *rapid.T) {
	if rapid.IntRange(0, 7).Draw(t, "seldom") != 4 {
		t.Skip()
	}
}

// TestLanesModel drives the lanes of a queue, its windows and its pool together: whatever handlers do, whenever the
// queue is moved or given up and the pool resized, a floor never passes a message that isn't done, messages of a key
// come one at a time and in order, none twice once it is done, and a window that has retired becomes idle.
func TestLanesModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // one for all checks: a bubble can't be made within a rapid.Check
		rapid.Check(bubbled{t}, func(rt *rapid.T) {
			l := newLaneModel(t)
			defer l.stop()
			actions := map[string]func(*rapid.T){
				"add": func(t *rapid.T) {
					if !l.current().retired.IsZero() {
						t.Skip("nothing is pulled for a retired window")
					}
					l.add(rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "c", "d"}), 1, pullBatch).Draw(t, "keys"))
				},
				"finish": func(t *rapid.T) {
					for range rapid.IntRange(1, 12).Draw(t, "handlers") {
						l.finishOne(t)
					}
				},
				"sleep": func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond) },
				"resize": func(t *rapid.T) {
					n := rapid.IntRange(0, 6).Draw(t, "workers")
					l.e.topics[topicT].pool.Resize(n, n)
				},
				"lock":   func(*rapid.T) { l.mu.Lock(); l.held = !l.held; l.mu.Unlock() },
				"broker": func(*rapid.T) { l.mu.Lock(); l.refuses = !l.refuses; l.mu.Unlock() },
				"move": func(t *rapid.T) {
					if !l.current().retired.IsZero() {
						t.Skip("a queue that is given up isn't moved")
					}
					seldom(t)
					l.open()
				},
				"retire": func(t *rapid.T) {
					seldom(t)
					if w := l.current(); w.retired.IsZero() {
						w.retired = time.Now()
						w.retire()
					}
				},
				"close": func(t *rapid.T) {
					if l.current().retired.IsZero() {
						t.Skip("only what was given up for some time is given up at once")
					}
					seldom(t)
					l.current().closed = true
					l.current().close()
				},
				"": func(t *rapid.T) { synctest.Wait(); l.check(t) },
			}
			for range 3 { // it makes few steps by itself
				rt.Repeat(actions)
			}
			l.end(rt)
		})
	})
}
