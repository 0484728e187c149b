package engine

import (
	"context"
	"encoding/json"
	"fmt"
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

// commits gives every offset that was committed for a queue of t, in order.
func (r *rig) commits(queue int64) []int64 {
	var offsets []int64
	for _, seen := range r.Requests(protocol.ReqUpdateConsumerOffset) {
		if id, _ := seen.fields.Int64("queueId"); id == queue {
			if topic, _ := seen.fields.Get("topic"); topic == topicT {
				offset, _ := seen.fields.Int64("commitOffset")
				offsets = append(offsets, offset)
			}
		}
	}
	return offsets
}

// TestCommitsRise: with workers that overtake one another, what is committed never goes back.
func TestCommitsRise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 2000)...)
		g := &got{}
		e := r.run(config(func(ctx context.Context, m *rocketkit.Message) error {
			if m.Offset()%7 == 0 {
				_ = sleep(ctx, 5*time.Millisecond)
			}
			g.add(m)
			return nil
		}))
		eventually(t, "all handled", func() bool { return g.len() == 2000 })
		e.mustStop()
		if commits := r.commits(0); !slices.IsSorted(commits) || commits[len(commits)-1] != 2000 {
			t.Errorf("committed %v", commits)
		}
	})
}

// TestFloorBetweenHandingOutAndAdvancing: handlers may be done with a whole block before the loop that handed it out notes
// how far it has read. The floor must not fall back to where the block began.
func TestFloorBetweenHandingOutAndAdvancing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var handled atomic.Int32
		release := make(chan struct{})
		e := r.engine(config(func(_ context.Context, m *rocketkit.Message) error {
			if m.Offset() == 109 {
				<-release
			}
			handled.Add(1)
			return nil
		}))
		e.handlers = context.Background()
		topic := e.topics[topicT]
		q := newQueue(e, topic, protocol.Queue{Topic: topicT, Broker: "b"})
		w := newWindow(100)
		q.window, q.position = w, 100
		messages := make([]protocol.Message, 10)
		for i := range messages {
			messages[i] = protocol.Message{Topic: topicT, QueueOffset: int64(100 + i)}
		}
		q.handOut(w, messages, 100, 110)
		eventually(t, "all but one handled", func() bool { return handled.Load() == 9 })
		before := w.floor()
		close(release)
		eventually(t, "all handled", func() bool { return handled.Load() == 10 })
		synctest.Wait()
		if after := w.floor(); after < before {
			t.Errorf("the floor was %d, and is %d once the last message of the block is finished", before, after)
		}
		topic.pool.Stop()
	})
}

// TestNoCommitOverACommitUnderWay: at the stop, too, a commit waits for the one before it. Brokers handle the requests of a
// connection on several threads: of two under way the older may be stored last, and a clean stop would repeat messages.
func TestNoCommitOverACommitUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		e := r.run(config(new(got).handle))
		time.Sleep(time.Minute)
		var mu sync.Mutex
		underWay, most := 0, 0
		r.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame {
			if topic, _ := req.Fields.Get("topic"); req.Code != protocol.ReqUpdateConsumerOffset || topic != topicT {
				return nil
			}
			mu.Lock()
			underWay++
			most = max(most, underWay)
			mu.Unlock()
			time.AfterFunc(200*time.Millisecond, func() {
				mu.Lock()
				underWay--
				mu.Unlock()
				c.handle(req)
			})
			return noAnswer
		})
		r.Send(topicT, 0, "one")
		time.Sleep(100 * time.Millisecond) // committing it is under way
		r.Send(topicT, 0, "two")
		synctest.Wait()
		e.mustStop()
		time.Sleep(time.Second)
		if most != 1 {
			t.Errorf("%d commits of one queue under way at once", most)
		}
		if got := r.Offset(groupG, topicT, 0); got != 2 {
			t.Errorf("committed %d, want 2", got)
		}
	})
}

// reset is how an operator resets the group's offset: brokers of 5.x tell with the next pull, older ones by a request.
var resets = map[string]func(r *rig, offset int64){
	"5.x": func(r *rig, offset int64) { r.Reset(groupG, topicT, 0, offset) },
	"4.x": func(r *rig, offset int64) {
		table, err := json.Marshal([]map[string]any{{"topic": topicT, "brokerName": "b", "queueId": 0, "offset": offset}})
		if err != nil {
			panic(err)
		}
		r.Tell(&frame.Frame{
			Code: protocol.ReqResetClientOffset, Flag: 2,
			Fields: frame.Fields{{Key: "group", Value: groupG}, {Key: "topic", Value: topicT}, {Key: "timestamp", Value: "0"}},
			Body:   fmt.Appendf(nil, `{"offsetTable":%s}`, table),
		})
	},
}

// TestReset of an idle queue, whose pull the broker holds.
func TestReset(t *testing.T) {
	t.Parallel()
	for name, reset := range resets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, numbered("m", 10)...)
				g := &got{}
				e := r.run(config(g.handle))
				eventually(t, "all handled", func() bool { return g.len() == 10 })
				time.Sleep(time.Second)
				reset(r, 4)
				time.Sleep(time.Minute)
				if n := g.len(); n != 16 {
					t.Errorf("%d messages handled, want the last 6 again", n)
				}
				if got := r.Offset(groupG, topicT, 0); got != 10 {
					t.Errorf("committed %d, want 10", got)
				}
				e.mustStop()
			})
		})
	}
}

// TestResetForward skips messages, those too that were pulled and not begun, and their late results count for nothing.
func TestResetForward(t *testing.T) {
	t.Parallel()
	for name, reset := range resets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Send(topicT, 0, numbered("m", 100)...)
				g := &got{}
				release := make(chan struct{})
				e := r.run(config(func(_ context.Context, m *rocketkit.Message) error {
					if m.Offset() < 100 {
						<-release
					}
					g.add(m)
					return nil
				}))
				time.Sleep(time.Second) // 4 are being handled, 96 wait
				reset(r, 100)
				time.Sleep(time.Minute)
				close(release)
				r.Send(topicT, 0, "new")
				time.Sleep(time.Minute)
				if n := g.len(); n != 5 {
					t.Errorf("%d handled, want the 4 that had begun and the new one", n)
				}
				if held := e.Snapshot().Topics["t"].Cached; held != 0 {
					t.Errorf("%d messages held", held)
				}
				e.mustStop()
				if got := r.Offset(groupG, topicT, 0); got != 101 {
					t.Errorf("committed %d, want 101", got)
				}
			})
		})
	}
}

// TestResetOfGatedQueue: a reset is what an operator does about a queue that stands because one handler hangs. The queue must
// notice it while it waits for room, and go on from there.
func TestResetOfGatedQueue(t *testing.T) {
	t.Parallel()
	for name, reset := range resets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				const n = maxSpan + 5000
				r.Send(topicT, 0, numbered("m", n)...)
				release := make(chan struct{})
				var handled, fresh atomic.Int64
				cfg := config(nil)
				cfg.Drain = 0
				cfg.Topics = map[string]Topic{"t": {Workers: 2, Handle: func(_ context.Context, m *rocketkit.Message) error {
					switch {
					case m.Offset() == 0:
						<-release
					case m.Offset() >= n:
						fresh.Add(1)
					}
					handled.Add(1)
					return nil
				}}}
				e := r.run(cfg)
				defer close(release)
				eventually(t, "the window full", func() bool { return handled.Load() >= maxSpan-1 })
				time.Sleep(time.Minute)
				reset(r, n)
				r.Send(topicT, 0, "new")
				time.Sleep(2 * time.Minute)
				if fresh.Load() != 1 {
					t.Errorf("2 minutes after the reset the queue still stands: %+v", e.Snapshot().Topics["t"].Queues)
				}
				_ = e.stop()
			})
		})
	}
}

// TestStuckHandlerHoldsUpNobody: one handler that hangs lets its queue go on up to maxSpan, and when it ends at last
// everything behind it is committed.
func TestStuckHandlerHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		const n = maxSpan + 5000
		r.Send(topicT, 0, numbered("m", n)...)
		release := make(chan struct{})
		var handled atomic.Int64
		cfg := config(nil)
		cfg.Topics = map[string]Topic{"t": {Workers: 2, Handle: func(_ context.Context, m *rocketkit.Message) error {
			if m.Offset() == 0 {
				<-release
			}
			handled.Add(1)
			return nil
		}}}
		e := r.run(cfg)
		time.Sleep(time.Minute)
		if got := handled.Load(); got < maxSpan-1 || got > maxSpan+pullBatch {
			t.Errorf("%d handled while one hangs, want about %d", got, maxSpan)
		}
		close(release)
		eventually(t, "all handled", func() bool { return handled.Load() == n })
		e.mustStop()
		if got := r.Offset(groupG, topicT, 0); got != n {
			t.Errorf("committed %d, want %d", got, n)
		}
	})
}

// TestExpiredOffset: what the broker has deleted is skipped, and what was received before is still handled and counts.
func TestExpiredOffset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 100)...)
		r.mu.Lock()
		b := r.brokers["b"]
		b.groups[groupG] = true
		b.offsets[offsetKey{groupG, topicT, 0}] = 10
		b.topics[topicT][0].first, b.topics[topicT][0].messages = 60, b.topics[topicT][0].messages[60:]
		r.mu.Unlock()
		g := &got{}
		e := r.run(config(g.handle))
		eventually(t, "what is left handled", func() bool { return g.len() == 40 })
		e.mustStop()
		if got := r.Offset(groupG, topicT, 0); got != 100 {
			t.Errorf("committed %d, want 100", got)
		}
	})
}

// TestMovedToWhereWeAsked: a broker that keeps saying so must not be asked as fast as it answers.
func TestMovedToWhereWeAsked(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int32{"moved": protocol.CodePullOffsetMoved, "retry immediately": protocol.CodePullRetryImmediately} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.Topic(topicT, 1)
				var pulls atomic.Int64
				r.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame {
					if req.Code != protocol.ReqPullMessage || field(req, "topic") != topicT {
						return nil
					}
					pulls.Add(1)
					// A thousandth of a second there and back, so that the test ends.
					time.AfterFunc(time.Millisecond, func() {
						c.Answer(req, &frame.Frame{Code: code, Fields: frame.Fields{
							{Key: "nextBeginOffset", Value: field(req, "queueOffset")}, {Key: "minOffset", Value: "0"},
							{Key: "maxOffset", Value: "0"}, {Key: "suggestWhichBrokerId", Value: "0"},
						}})
					})
					return noAnswer
				})
				e := r.run(config(new(got).handle))
				time.Sleep(10 * time.Second)
				if n := pulls.Load(); n > 1000 {
					t.Errorf("%d pulls in 10 s", n)
				}
				if n := r.logs.count("level=WARN"); n > 20 {
					t.Errorf("%d warnings in 10 s", n)
				}
				e.mustStop()
			})
		})
	}
}

// TestStaticTopic: on topics whose logical queues move between brokers (5.x), the offsets in a block are physical, and the
// answer says what to add.
func TestStaticTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.brokers["b"].groups[groupG] = true
		r.brokers["b"].offsets[offsetKey{groupG, topicT, 0}] = 1000
		r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code != protocol.ReqPullMessage || field(req, "topic") != topicT || fieldInt(req, "queueOffset") != 1000 {
				return nil
			}
			return &frame.Frame{
				Body: protocol.EncodeMessage(nil, &protocol.Message{Topic: topicT, QueueOffset: 0, Body: []byte("m")}),
				Fields: frame.Fields{
					{Key: "nextBeginOffset", Value: "1001"}, {Key: "minOffset", Value: "1000"}, {Key: "maxOffset", Value: "1001"},
					{Key: "suggestWhichBrokerId", Value: "0"}, {Key: "offsetDelta", Value: "1000"},
				},
			}
		})
		var offset atomic.Int64
		e := r.run(config(func(_ context.Context, m *rocketkit.Message) error { offset.Store(m.Offset()); return nil }))
		time.Sleep(time.Second)
		if got := offset.Load(); got != 1000 {
			t.Errorf("the message's offset is %d, want 1000 (0: it was not handled at all)", got)
		}
		e.cancel()
	})
}

// TestBadBlock: a block that can't be read stops its queue, visibly, and nothing else; nothing of it is skipped.
func TestBadBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Send(topicT, 0, "bad")
		r.Send(topicT, 1, "good")
		r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code != protocol.ReqPullMessage || field(req, "topic") != topicT || fieldInt(req, "queueId") != 0 {
				return nil
			}
			return &frame.Frame{Body: []byte("not messages"), Fields: frame.Fields{
				{Key: "nextBeginOffset", Value: "1"}, {Key: "minOffset", Value: "0"}, {Key: "maxOffset", Value: "1"}, {Key: "suggestWhichBrokerId", Value: "0"},
			}}
		})
		g := &got{}
		e := r.run(config(g.handle))
		time.Sleep(10 * time.Minute)
		if want := []string{"good"}; !slices.Equal(g.sorted(), want) {
			t.Errorf("got %v, want %v", g.sorted(), want)
		}
		for _, q := range e.Snapshot().Topics["t"].Queues {
			if bad := strings.Contains(q.LastError, "offset 0"); bad != (q.Queue.ID == 0) {
				t.Errorf("queue %v: last error %q", q.Queue, q.LastError)
			}
		}
		if n := r.logs.count("level=WARN"); n > 20 {
			t.Errorf("%d warnings in 10 minutes", n)
		}
		r.Script(nil)
		eventually(t, "the queue going on", func() bool { return g.len() == 2 })
		e.mustStop()
	})
}

// TestBlackHole: a broker that takes requests and answers none delays its own queues only: the other's commits go on as
// ever, also the last ones.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted("a", "b")
		s.Topic(topicT, 128)
		r := rigOn(t, s, "one")
		g := &got{}
		cfg := config(g.handle)
		e := r.run(cfg)
		time.Sleep(time.Second)
		r.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame {
			if c.broker != nil && c.broker.name == "b" && req.Code == protocol.ReqUpdateConsumerOffset {
				return noAnswer
			}
			return nil
		})
		sendB := func(n int) { // one to each queue of b, then of a
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, name := range []string{"b", "a"} {
				for q := range 128 {
					s.brokers[name].store(&protocol.Message{Topic: topicT, QueueID: int32(q), Body: fmt.Append(nil, name, q, "-", n)})
				}
			}
		}
		worst := time.Duration(0)
		for n := range 5 {
			sendB(n)
			start := time.Now()
			eventually(t, "a's queues committed", func() bool {
				for q := range 128 {
					if s.Offset(groupG, topicT, q) != int64(n+1) {
						return false
					}
				}
				return true
			})
			worst = max(worst, time.Since(start))
			time.Sleep(time.Second)
		}
		if worst > time.Second {
			t.Errorf("while b answers no commit, one of a's takes up to %v", worst)
		}
		sendB(5)
		eventually(t, "all handled", func() bool { return g.len() == 6*256 })
		start := time.Now()
		_ = e.stop()
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the stop took %v, with nothing to drain", took)
		}
		for q := range 128 {
			if got := s.Offset(groupG, topicT, q); got != 6 {
				t.Errorf("a's queue %d: committed %d at the stop, want 6", q, got)
				break
			}
		}
	})
}

// TestLastCommitFails: a stop whose last commits failed did not end well, and says so.
func TestLastCommitFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		g := &got{}
		e := r.run(config(g.handle))
		r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code == protocol.ReqUpdateConsumerOffset {
				return refuse(protocol.CodeSystemError, "disk full")
			}
			return nil
		})
		r.Send(topicT, 0, "m")
		eventually(t, "handled", func() bool { return g.len() == 1 })
		if err := e.stop(); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("Run returned %v, though what it handled is not committed", err)
		}
	})
}

// TestHeldMessagesKeepTheirRoom: what is filtered away, handled, dropped or sent back leaves nothing behind.
func TestHeldMessagesKeepTheirRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 2)
		for i := range 500 {
			r.SendWith(topicT, i%2, fmt.Sprint(i), protocol.PropertyTags, fmt.Sprint("T", i%3))
		}
		cfg := config(nil)
		cfg.Topics = map[string]Topic{"t": {Tags: []string{"T1", "T2"}, Workers: 8, Handle: func(_ context.Context, m *rocketkit.Message) error {
			switch m.Offset() % 4 {
			case 0:
				return &Verdict{Action: Drop}
			case 1:
				return &Verdict{Action: DeadLetter}
			case 2:
				if m.Attempt() == 1 {
					return errTest
				}
			}
			return nil
		}}}
		e := r.run(cfg)
		time.Sleep(time.Hour)
		for name, s := range e.Snapshot().Topics {
			if s.Cached != 0 || s.CachedBytes != 0 {
				t.Errorf("topic %s holds %d messages of %d bytes", name, s.Cached, s.CachedBytes)
			}
		}
		e.mustStop()
		if e.bytes.bytes != 0 {
			t.Errorf("%d shared bytes held", e.bytes.bytes)
		}
		for q := range 2 {
			if got := r.Offset(groupG, topicT, q); got != 250 {
				t.Errorf("queue %d: committed %d, want 250", q, got)
			}
		}
	})
}

// TestResetBeatsTheStart: a reset that comes while a queue asks for its position is not undone by the answer.
func TestResetBeatsTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 100)...)
		asked := 0
		r.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code != protocol.ReqQueryConsumerOffset || field(req, "topic") != topicT {
				return nil
			}
			if asked++; asked == 1 {
				return nil // the seeding
			}
			time.AfterFunc(2*time.Second, func() { c.Answer(req, number("offset", 0)) })
			return noAnswer
		})
		g := &got{}
		e := r.run(config(g.handle))
		time.Sleep(time.Second)
		e.reset(map[protocol.Queue]int64{{Topic: topicT, Broker: "b"}: 90})
		time.Sleep(time.Minute)
		if n := g.len(); n != 10 {
			t.Errorf("%d handled, want the last 10", n)
		}
		e.mustStop()
	})
}

// TestResetBeatsThePullUnderWay: what a pull from before a reset is answered says nothing of where to go on after it.
func TestResetBeatsThePullUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Send(topicT, 0, numbered("m", 100)...)
		r.Script(func(c *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code != protocol.ReqPullMessage || field(req, "topic") != topicT || fieldInt(req, "queueOffset") != 100 {
				return nil
			}
			moved := &frame.Frame{Code: protocol.CodePullOffsetMoved}
			for key, n := range map[string]int64{"nextBeginOffset": 50, "minOffset": 0, "maxOffset": 100, "suggestWhichBrokerId": 0} {
				moved.Fields = append(moved.Fields, frame.Field{Key: key, Value: fmt.Sprint(n)})
			}
			time.AfterFunc(10*time.Second, func() { r.Script(nil); c.Answer(req, moved) })
			return noAnswer
		})
		g := &got{}
		e := r.run(config(g.handle))
		eventually(t, "all handled", func() bool { return g.len() == 100 })
		time.Sleep(time.Second)
		e.reset(map[protocol.Queue]int64{{Topic: topicT, Broker: "b"}: 90})
		time.Sleep(time.Minute)
		if n := g.len(); n != 110 {
			t.Errorf("%d handled, want the last 10 again", n)
		}
		e.mustStop()
	})
}
