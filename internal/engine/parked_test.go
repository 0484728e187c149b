package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// pausable consumes t and u; t as the mode has it.
func pausable(topic Topic, u *got) Config {
	cfg := config(nil)
	cfg.Topics = map[string]Topic{"t": topic, "u": {Workers: 4, Timeout: time.Minute, Handle: u.handle}}
	return cfg
}

func paused(so bool) Live { return Live{Workers: 4, Timeout: time.Minute, Paused: so} }

// TestPausedTopic: nothing of it is handled, neither new nor retried, for hours; queues and their locks stay; other topics
// go on, retries too; then all comes, with the attempts it had, and nothing comes twice.
func TestPausedTopic(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t inMode) {
		r := newRig(t)
		r.Topic(topicT, 2)
		r.Topic(topicU, 1)
		r.Topic(retryG, 1)
		g, u := &got{}, &got{}
		e := r.run(pausable(t.mode(g.handle), u))
		r.Send(topicT, 0, "before")
		time.Sleep(time.Second)
		e.Set("t", paused(true))
		for i := range 20 {
			r.Send(topicT, i%2, fmt.Sprint("t", i))
			r.retried(topicT, fmt.Sprint("retried t", i))
			r.retried(topicU, fmt.Sprint("retried u", i))
			r.Send(topicU, 0, fmt.Sprint("u", i))
		}
		time.Sleep(3 * time.Hour)
		if g.len() != 1 || u.len() != 40 {
			t.Errorf("%d of the paused topic, %d of the other, want 1 and 40", g.len(), u.len())
		}
		s := e.Snapshot()
		topic, retries := s.Topics["t"], s.Topics["%RETRY%g"]
		if !topic.Paused || len(topic.Queues) != 2 || topic.Waiting < 20 || topic.Cached != 0 || topic.HeldBack != 0 {
			t.Errorf("%+v", topic)
		}
		if by := topic.Queues[0].HeldBy; by != "the topic is paused" {
			t.Errorf("held by %q", by)
		}
		if by := retries.Queues[0].HeldBy; by != "retried messages wait for paused topics: t" {
			t.Errorf("retries held by %q", by)
		}
		if pool := e.runningInfo().Properties["pool t"]; !strings.HasPrefix(pool, "core=4 max=4 active=0 waiting=20 paused=true") && topic.Waiting == 20 {
			t.Errorf("running info: %s", pool)
		}
		if n := len(r.Requests(protocol.ReqSendBack)); n > 0 {
			t.Errorf("%d were sent back", n)
		}
		e.Set("t", paused(false))
		time.Sleep(time.Second)
		if all := g.sorted(); len(all) != 41 || len(slices.Compact(all)) != 41 {
			t.Errorf("%d came, want 41 once each", len(all))
		}
		synctest.Wait()
		for body, tries := range g.tries {
			if !slices.Equal(tries, []int{1}) {
				t.Errorf("%s: attempts %v", body, tries)
			}
		}
		if at := r.Offset(groupG, retryG, 0); at != 40 {
			t.Errorf("retries committed to %d", at)
		}
		e.mustStop()
	})
}

// TestPausedTopicEnds: a stop, and a queue that is lost, don't wait for what is paused. A retry that waits, above which
// others were handled, goes back to its broker, so that those don't come again.
func TestPausedTopicEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, e *running){
		"stop":       func(_ *rig, e *running) { e.mustStop() },
		"queue lost": func(r *rig, _ *running) { r.AddMember(groupG, "!first"); time.Sleep(2 * time.Second) },
		"lost, then paused": func(r *rig, e *running) {
			e.Set("t", paused(false))
			synctest.Wait()
			e.Set("t", paused(true))
			r.AddMember(groupG, "!first")
			time.Sleep(2 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEachMode(t, func(t inMode) {
				r := newRig(t)
				r.Topic(topicT, 1)
				r.Topic(topicU, 1)
				r.Topic(retryG, 1)
				g, u := &got{}, &got{}
				e := r.run(pausable(t.mode(g.handle), u))
				e.Set("t", paused(true))
				r.retried(topicT, "below")
				r.retried(topicU, "done")
				r.retried(topicT, "above")
				eventually(t, "the other topic's", func() bool { return u.len() == 1 })
				began := time.Now()
				end(r, e)
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it took %v", took)
				}
				if name == "lost, then paused" {
					return
				}
				if g.len() > 0 {
					t.Errorf("handled while paused: %v", g.sorted())
				}
				if at, sent := r.Offset(groupG, retryG, 0), len(r.Requests(protocol.ReqSendBack)); at != 2 || sent != 1 {
					t.Errorf("committed %d, %d sent back, want 2 and 1", at, sent)
				}
				if held := e.Snapshot().Topics["%RETRY%g"]; held.Cached != 0 {
					t.Errorf("still held: %+v", held)
				}
				if name == "stop" {
					e = rigOn(t, r.scripted, "next").run(pausable(t.mode(g.handle), u))
					time.Sleep(10 * time.Second)
					if !slices.Equal(g.sorted(), []string{"above", "below"}) || u.len() != 1 {
						t.Errorf("then came %v and %v", g.sorted(), u.sorted())
					}
					e.mustStop()
				}
			})
		})
	}
}

// TestPausedLanesEnd: of a topic that keeps the order of keys, what stands while it is paused is left to the queue's next
// owner, in order; a stop doesn't wait for it.
func TestPausedLanesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(topicU, 1)
		for _, m := range []string{"a1", "a2", "b1", "a3", "b2", "c1"} {
			r.sendKey(0, m[:1], m)
		}
		g, u := &got{}, &got{}
		first := true
		topic := Topic{Workers: 4, Timeout: time.Minute, Order: OrderKey, Handle: func(ctx context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "c1" && first { // it waits in its lane, to be tried again
				first = false
				return &Verdict{Action: Retry, Delay: 20 * time.Second}
			}
			if string(m.Body()) == "a1" && g.len() < 2 {
				_ = sleep(ctx, time.Second)
			}
			g.add(m)
			return nil
		}}
		e := r.run(pausable(topic, u))
		eventually(t, "b is through, a1 runs", func() bool { return g.len() == 2 })
		e.Set("t", paused(true))
		time.Sleep(time.Minute) // a1 has returned, and c1's time has come
		if got := g.sorted(); !slices.Equal(got, []string{"a1", "b1", "b2"}) {
			t.Errorf("handled %v", got)
		}
		began := time.Now()
		e.mustStop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the stop took %v", took)
		}
		if at := r.Offset(groupG, topicT, 0); at != 1 {
			t.Errorf("committed %d, want 1", at)
		}
		g.bodies = nil
		e = rigOn(t, r.scripted, "next").run(pausable(topic, u))
		time.Sleep(time.Minute)
		if got := g.sorted(); !slices.Equal(got, []string{"a2", "a3", "b1", "b2", "c1"}) {
			t.Errorf("then came %v", got)
		}
		e.mustStop()
	})
}

// TestPausedRetriesMakeRoom: however many retries of a paused topic there are, those of others come; none of them becomes a
// dead letter by it.
func TestPausedRetriesMakeRoom(t *testing.T) {
	t.Parallel()
	inEachMode(t, func(t inMode) {
		r := newRig(t)
		r.Topic(topicT, 1)
		r.Topic(topicU, 1)
		r.Topic(retryG, 1)
		g, u := &got{}, &got{}
		cfg := pausable(t.mode(g.handle), u)
		cfg.Retries = 1
		run := &running{Engine: r.engine(cfg), t: t, result: make(chan error, 1)}
		run.retry.budget.maxMessages = 100
		ctx, cancel := context.WithCancel(t.Context())
		run.cancel = cancel
		go func() { run.result <- run.Run(ctx) }()
		<-run.Ready()
		run.Set("t", paused(true))
		for i := range 300 {
			r.retried(topicT, fmt.Sprint("t", i))
		}
		r.retried(topicU, "other")
		eventually(t, "the other topic's", func() bool { return u.len() == 1 })
		time.Sleep(2 * time.Hour)
		if g.len() > 0 {
			t.Errorf("handled while paused: %d", g.len())
		}
		r.retried(topicU, "another")
		eventually(t, "another one", func() bool { return u.len() == 2 })
		run.Set("t", paused(false))
		time.Sleep(2 * time.Hour)
		if all := g.sorted(); len(all) != 300 || len(slices.Compact(all)) != 300 {
			t.Errorf("%d came, want 300 once each", len(all))
		}
		if dead := r.Bodies(letterG); len(dead) > 0 {
			t.Errorf("%d dead letters", len(dead))
		}
		run.mustStop()
	})
}

// TestStopsWhilePaused: a group of two topics that is paused, resumed and resized at random, stopped at any moment and
// started again, loses nothing and repeats nothing; but where the order of keys is kept, a stop while paused may repeat.
func TestStopsWhilePaused(t *testing.T) {
	t.Parallel()
	const queues, perQueue, cycles = 4, 400, 12
	inEachMode(t, func(t inMode) {
		s := newScripted("b")
		s.Topic(topicT, queues)
		s.Topic(topicU, queues)
		s.Topic(retryG, 2)
		r := rigOn(t, s, "sender")
		var all []string
		for q := range queues {
			for i := range perQueue {
				body := fmt.Sprintf("%d-%04d", q, i)
				r.sendKey(q, fmt.Sprint(i%20), "t"+body)
				r.Send(topicU, q, "u"+body)
				all = append(all, "t"+body, "u"+body)
			}
		}
		g := &got{}
		handle := func(ctx context.Context, m *rocketkit.Message) error {
			if err := sleep(ctx, time.Duration(rand.IntN(4000))*time.Microsecond); err != nil {
				return err
			}
			if m.Attempt() == 1 && rand.IntN(20) == 0 {
				return &Verdict{Action: Retry, Delay: 100 * time.Millisecond}
			}
			g.add(m)
			return nil
		}
		cfg := config(nil)
		cfg.Topics = map[string]Topic{"t": t.mode(handle), "u": {Workers: 4, Timeout: time.Minute, Handle: handle}}
		for cycle := range cycles {
			e := rigOn(t, s, fmt.Sprint("i", cycle)).run(cfg)
			for range rand.IntN(12) {
				e.Set([]string{"t", "u"}[rand.IntN(2)], Live{Workers: 1 + rand.IntN(20), Timeout: time.Minute, Paused: rand.IntN(2) == 0})
				time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
			}
			if cycle == cycles-1 {
				for _, name := range []string{"t", "u"} {
					e.Set(name, Live{Workers: 16, Timeout: time.Minute})
				}
				time.Sleep(5 * time.Minute)
			}
			began := time.Now()
			e.mustStop()
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("a stop took %v", took)
			}
		}
		slices.Sort(all)
		came := g.sorted()
		repeats := len(came)
		came = slices.Compact(came)
		repeats -= len(came)
		if !slices.Equal(came, all) || repeats > 0 && cfg.Topics["t"].Order != OrderKey {
			t.Errorf("%d came, %d of them again, want %d; first difference: %s", len(came), repeats, len(all), difference(came, all))
		}
		for q := range queues {
			if at := s.Offset(groupG, topicT, q); at != perQueue {
				t.Errorf("queue %d: committed %d", q, at)
			}
		}
	})
}
