package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// withReplica makes a rig whose broker has a replica, which answers pulls of t as do says; nil leaves it to the replica,
// whose store is the master's. The master suggests the replica with every answer.
func withReplica(t *testing.T, do func(c *scriptedConn, req *frame.Frame) *frame.Frame) *rig {
	t.Helper()
	s := newScripted("b", "replica")
	s.brokers["replica"].topics = s.brokers["b"].topics
	s.brokers["replica"].fresh = make(chan struct{})
	s.Topic(topicT, 1)
	s.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame {
		switch {
		case req.Code == protocol.ReqGetRoute:
			topic := field(req, "topic")
			if topic != topicT {
				return nil
			}
			return body(protocol.TopicRoute{
				Queues:  []protocol.QueueData{{Broker: "b", ReadQueues: 1, WriteQueues: 1, Perm: protocol.PermRead | protocol.PermWrite}},
				Brokers: []protocol.BrokerData{{Cluster: "c", Name: "b", Addresses: map[int64]string{0: "b:10911", 1: "replica:10911"}}},
			})
		case req.Code != protocol.ReqPullMessage || field(req, "topic") != topicT:
		case c.broker.name == "replica" && do != nil:
			return do(c, req)
		case c.broker.name == "b":
			s.group.Go(func() {
				if answer := c.pull(req); answer != nil {
					for i := range answer.Fields {
						if answer.Fields[i].Key == "suggestWhichBrokerId" {
							answer.Fields[i].Value = "1"
						}
					}
					c.Answer(req, answer)
				}
			})
			return noAnswer
		}
		return nil
	})
	return rigOn(t, s, "one")
}

// pullsAt counts the pulls of t that a broker has got.
func (r *rig) pullsAt(broker string) int {
	n := 0
	for _, seen := range r.Requests(protocol.ReqPullMessage) {
		if topic, _ := seen.fields.Get("topic"); seen.broker == broker && topic == topicT {
			n++
		}
	}
	return n
}

// TestReplicaIsReadFrom when the master says so; commits go to the master.
func TestReplicaIsReadFrom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := withReplica(t, nil)
		r.Send(topicT, 0, numbered("m", 1000)...)
		g := &got{}
		e := r.run(config(g.handle))
		eventually(t, "all handled", func() bool { return g.len() == 1000 })
		if n := r.pullsAt("replica"); n == 0 {
			t.Error("the replica was never asked")
		}
		e.mustStop()
		if got := r.Offset(groupG, topicT, 0); got != 1000 {
			t.Errorf("committed %d at the master, want 1000", got)
		}
	})
}

// TestReplicaThatIsNoGood: one that lags, or claims that its short queue is all there is, or is dead, costs a pull now and
// then and nothing else: the master is asked, and its suggestions aren't followed for a while.
func TestReplicaThatIsNoGood(t *testing.T) {
	t.Parallel()
	answer := func(code int32, next int64) *frame.Frame {
		f := &frame.Frame{Code: code}
		for key, n := range map[string]int64{"nextBeginOffset": next, "minOffset": 0, "maxOffset": 5, "suggestWhichBrokerId": 0} {
			f.Fields = append(f.Fields, frame.Field{Key: key, Value: fmt.Sprint(n)})
		}
		return f
	}
	for name, do := range map[string]func(c *scriptedConn, req *frame.Frame) *frame.Frame{
		"lags": func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			return answer(protocol.CodePullRetryImmediately, fieldInt(req, "queueOffset"))
		},
		"corrects":     func(*scriptedConn, *frame.Frame) *frame.Frame { return answer(protocol.CodePullOffsetMoved, 5) },
		"skips":        func(*scriptedConn, *frame.Frame) *frame.Frame { return answer(protocol.CodePullOffsetMoved, 900) },
		"refuses":      func(*scriptedConn, *frame.Frame) *frame.Frame { return refuse(protocol.CodeSystemError, "no") },
		"doesn't know": func(*scriptedConn, *frame.Frame) *frame.Frame { return refuse(protocol.CodeTopicNotExist, "no") },
		"is dead":      func(c *scriptedConn, _ *frame.Frame) *frame.Frame { _ = c.nc.Close(); return noAnswer },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := withReplica(t, do)
				const n = 3000
				r.Send(topicT, 0, numbered("m", n)...)
				g := &got{}
				e := r.run(config(g.handle))
				start := time.Now()
				eventually(t, "all handled", func() bool { return g.len() >= n })
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("took %v", took)
				}
				time.Sleep(5 * time.Minute)
				if asked := r.pullsAt("replica"); asked == 0 || asked > 15 {
					t.Errorf("the replica was asked %d times in 5 minutes, want about once in 30 s", asked)
				}
				if got := g.len(); got != n {
					t.Errorf("%d handled, want %d once each", got, n)
				}
				e.mustStop()
				if got := r.Offset(groupG, topicT, 0); got != n {
					t.Errorf("committed %d, want %d", got, n)
				}
			})
		})
	}
}

// TestExpiredMessagesAreCounted: what retention has deleted under a consumer is skipped at once, and told.
func TestExpiredMessagesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		const n = 3000
		r.Send(topicT, 0, numbered("m", n)...)
		release := make(chan struct{})
		var handled atomic.Int64
		e := r.run(config(func(context.Context, *rocketkit.Message) error { <-release; handled.Add(1); return nil }))
		received := func() int64 { return e.Snapshot().Topics["t"].Queues[0].Position }
		eventually(t, "its cache full", func() bool { return received() >= minCached })
		time.Sleep(time.Second)
		from := received()
		r.mu.Lock()
		q := r.brokers["b"].topics[topicT][0]
		q.first, q.messages = n-100, q.messages[n-100:]
		r.mu.Unlock()
		start := time.Now()
		close(release)
		want := from + 100
		eventually(t, "what is left handled", func() bool { return handled.Load() == want })
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		if got := e.Snapshot().Topics["t"].Queues[0].Skipped; got != n-100-from {
			t.Errorf("%d skipped, want %d", got, n-100-from)
		}
		if line := fmt.Sprintf("skipped=%d", n-100-from); r.logs.count(line) != 1 {
			t.Errorf("no log line has %s", line)
		}
		e.mustStop()
		if got := r.Offset(groupG, topicT, 0); got != n {
			t.Errorf("committed %d, want %d", got, n)
		}
	})
}

// TestQueueThatEndsBeforeThePosition: one that was cut goes on at its end and repeats nothing; one that was created anew
// goes on at its beginning, whatever is in it by then, and loses nothing.
func TestQueueThatEndsBeforeThePosition(t *testing.T) {
	t.Parallel()
	cut := func(r *rig) {
		q := r.brokers["b"].topics[topicT][0]
		q.messages = q.messages[:80]
		r.brokers["b"].log = r.brokers["b"].log[:80]
	}
	anew := func(r *rig) {
		r.brokers["b"].topics[topicT][0] = &scriptedQueue{}
		delete(r.brokers["b"].offsets, offsetKey{groupG, topicT, 0})
	}
	group := func(r *rig) { delete(r.brokers["b"].offsets, offsetKey{groupG, topicT, 0}) } // deleted with its offsets
	for name, test := range map[string]struct {
		do   func(r *rig)
		send int
		want int
	}{
		"cut":                {cut, 0, 100},
		"cut, with more":     {cut, 5, 105}, // offsets 80 to 84 anew
		"anew, empty":        {anew, 0, 100},
		"anew, with some":    {anew, 30, 130},
		"anew, just as many": {anew, 99, 199},
		"anew, with more":    {anew, 500, 600},
		"the same":           {group, 10, 110},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, numbered("m", 100)...)
				g := &got{}
				e := r.run(config(g.handle))
				eventually(t, "all handled", func() bool { return g.len() == 100 })
				time.Sleep(5 * time.Second)
				r.mu.Lock()
				test.do(r)
				if name == "cut, with more" { // what a cut queue gets first finds the consumer at its new end
					r.mu.Unlock()
					time.Sleep(time.Minute)
					r.mu.Lock()
				}
				for _, text := range numbered("new", test.send) { // all at once: the held pull sees nothing of how they came
					r.brokers["b"].store(&protocol.Message{Topic: topicT, Body: []byte(text)})
				}
				r.mu.Unlock()
				time.Sleep(time.Minute)
				r.Send(topicT, 0, "last")
				eventually(t, "the last message", func() bool { return slices.Contains(g.sorted(), "last") })
				if n := g.len(); n != test.want+1 {
					t.Errorf("%d handled, want %d", n, test.want+1)
				}
				e.mustStop()
			})
		})
	}
}

// TestCutQueueKeepsWhatIsUnfinished: a queue that was cut goes on at its end only when all that is left of it was handled;
// what was received and has not begun is handled first.
func TestCutQueueKeepsWhatIsUnfinished(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]Order{"unordered": OrderNone, "in order": OrderQueue} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				all := numbered("m", 100)
				r.Send(topicT, 0, all...)
				release := make(chan struct{})
				g := &got{}
				e := r.run(inOrder(order, 4, func(_ context.Context, m *rocketkit.Message) error { <-release; g.add(m); return nil }))
				eventually(t, "all received", func() bool { return e.Snapshot().Topics["t"].Queues[0].Position == 100 })
				r.mu.Lock()
				q := r.brokers["b"].topics[topicT][0]
				q.messages, r.brokers["b"].log = q.messages[:80], r.brokers["b"].log[:80]
				r.mu.Unlock()
				time.Sleep(time.Minute) // the held pull ends, and the next is told
				close(release)
				time.Sleep(time.Minute)
				handled := slices.Compact(g.sorted())
				for _, body := range all[:80] {
					if !slices.Contains(handled, body) {
						t.Fatalf("%s was never handled, committed %d", body, r.Offset(groupG, topicT, 0))
					}
				}
				e.mustStop()
				if got := r.Offset(groupG, topicT, 0); got != 80 {
					t.Errorf("committed %d, want 80", got)
				}
			})
		})
	}
}

// memory keeps positions.
type memory struct {
	mu        sync.Mutex
	positions map[rocketkit.Queue]int64
}

func (o *memory) Load(context.Context, []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.positions), nil
}

func (o *memory) Commit(_ context.Context, positions map[rocketkit.Queue]int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.Copy(o.positions, positions)
	return nil
}

// TestTopicAnewWithOffsets: a topic that was deleted and created anew is read from its oldest message, though positions of
// the old one are kept elsewhere.
func TestTopicAnewWithOffsets(t *testing.T) {
	t.Parallel()
	for _, n := range []int{10, 100, 500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, numbered("m", 100)...)
				kept := &memory{positions: map[rocketkit.Queue]int64{}}
				g := &got{}
				cfg := config(g.handle)
				cfg.Offsets = kept
				e := r.run(cfg)
				eventually(t, "all handled", func() bool { return g.len() == 100 })
				time.Sleep(time.Second)
				r.mu.Lock() // deleted: no name server or broker knows it any more
				b := r.brokers["b"]
				old := b.topics[topicT]
				delete(b.topics, topicT)
				delete(b.offsets, offsetKey{groupG, topicT, 0})
				close(b.fresh)
				b.fresh = make(chan struct{})
				r.mu.Unlock()
				time.Sleep(10 * time.Second)
				if len(old) == 0 {
					t.Fatal("no topic")
				}
				r.mu.Lock()
				b.topic(topicT, 1)
				for _, text := range numbered("new", n) {
					b.store(&protocol.Message{Topic: topicT, Body: []byte(text)})
				}
				r.mu.Unlock()
				time.Sleep(time.Minute)
				if got := g.len(); got != 100+n {
					t.Errorf("%d handled, want %d", got, 100+n)
				}
				e.mustStop()
				if got := kept.positions[rocketkit.Queue{Topic: "t", Broker: "b"}]; got != int64(n) {
					t.Errorf("kept %d, want %d", got, n)
				}
			})
		})
	}
}
