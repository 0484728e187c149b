package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/send"
)

// DefaultMaxInFlight is how many messages of SendAsync are under way at once when Config.MaxInFlight is 0.
const DefaultMaxInFlight = 1024

// SendAsync sends one message as [Producer.Send] does, retries included, and returns before it is stored; ctx goes on to be
// the message's clock. At most Config.MaxInFlight messages are under way: beyond that SendAsync waits for room, for as long
// as ctx lets it. Body, Keys and Properties mustn't change until done is called.
//
// done is called exactly once, with what Send would have returned: also for a message that is refused here, for a ctx that
// has ended, and after Close. It may be nil. All calls are made on one goroutine of the Producer's, one after the other, and
// never inside of SendAsync. So they need no lock among themselves, and one that blocks holds up the others, and in the
// end SendAsync itself; not Send. done may call SendAsync, but not wait for Close. A panic in it is logged, and nothing
// else comes of it.
//
// Messages of one ShardingKey are stored in the order of the calls, and done is called in that order. A message that fails
// is passed over: those after it are sent all the same.
func (p *Producer) SendAsync(ctx context.Context, m Message, done func(Receipt, error)) {
	a := &asyncSend{p: p, name: m.Topic, done: done, began: time.Now()}
	if !p.sends.enter() {
		a.fail(fmt.Errorf("producer: send: the Producer: %w", rocketkit.ErrClosed))
		return
	}
	a.inside = true
	topic, err := p.topic(m.Topic)
	a.holds = p.async.room.Acquire(ctx, 1) == nil // also for what is refused below: its call has to wait for its turn
	switch {
	case err != nil:
		a.fail(fmt.Errorf("producer: send: Topic: %w", err))
		return
	case !a.holds:
		err = fmt.Errorf("producer: %w", topic.Left(ctx, 0, a.began, errRoom))
		p.counters.note(m.Topic, "", 1, 0, &a.result, err)
		a.fail(err)
		return
	}
	if err := m.check(p.cfg.MaxMessageSize); err != nil {
		a.fail(fmt.Errorf("producer: send %s: %w", m.Topic, err))
		return
	}
	a.send(ctx, topic, &m)
}

var errRoom = errors.New("it waited for room among Config.MaxInFlight messages, and was not sent")

// asyncSend is a message of SendAsync.
type asyncSend struct {
	p       *Producer
	name    string // of the topic
	id      string
	done    func(Receipt, error)
	began   time.Time
	watched *watched
	line    *line
	stop    func() bool // ends the watch over its context

	inside bool // of the gate
	holds  bool // room

	result send.Result
	err    error
}

// send has a message sent that has been checked.
func (a *asyncSend) send(ctx context.Context, topic *send.Topic, m *Message) {
	p := a.p
	a.id = p.idOf(m)
	ctx, a.watched = p.watch(ctx, hook.Send, false, []Message{*m}, a.id)
	w := &waiting{key: m.ShardingKey, since: time.Now(), settle: a.settle} // it may have waited for room since it began
	w.deadline, w.limited = ctx.Deadline()
	if p.shares(m) {
		if err := p.encode(w, m, a.id, a.watched); err != nil {
			a.fail(fmt.Errorf("producer: send %s: %w", m.Topic, err))
			return
		}
	} else {
		w.alone = &alone{ctx: ctx, message: *m, id: a.id, watched: a.watched}
	}
	a.line = p.lines.of(m.Topic, topic)
	if ctx.Done() != nil {
		a.watchContext(ctx, w)
	}
	a.line.put(w)
}

// watchContext has the message leave its line when its context ends.
func (a *asyncSend) watchContext(ctx context.Context, w *waiting) {
	a.p.async.mu.Lock() // the outcome passes there, and must find what is written here
	defer a.p.async.mu.Unlock()
	a.stop = context.AfterFunc(ctx, func() {
		if a.line.leave(ctx, w) {
			w.settled()
		}
	})
}

// settle takes the outcome from the line.
func (a *asyncSend) settle(w *waiting) {
	a.result, a.err = w.result, w.err
	if w.alone == nil || w.shared == nil { // else its own request was counted
		a.p.counters.note(a.name, a.id, 1, w.body, &a.result, a.err)
	}
	a.p.async.finished(a)
}

func (a *asyncSend) fail(err error) {
	a.err = err
	a.p.async.finished(a)
}

// end tells of the outcome.
func (a *asyncSend) end() {
	if a.stop != nil {
		a.stop()
	}
	if a.line != nil {
		a.p.lines.leave(a.line)
	}
	if a.done == nil {
		return
	}
	if a.err != nil {
		a.done(Receipt{}, a.err)
		return
	}
	a.done(receipt(a.name, a.id, a.result), nil)
}

// async is what the messages of SendAsync have in common: room, and the goroutine that calls done. The goroutine lives
// as long as there are calls to be made.
type async struct {
	log  *slog.Logger
	room *semaphore.Weighted
	most int

	mu       sync.Mutex
	outcomes []*asyncSend
	calling  bool
}

// backlog is how many outcomes may wait for their calls, beyond which messages keep their room until they are called. That
// a message leaves its room when it is stored lets done send the next one: it isn't in the way of its own room.
const backlog = 1024

// finished lines up the call of a message's done. The hooks are told before, as those calls may take long.
func (s *async) finished(a *asyncSend) {
	a.watched.sent(a.result, a.err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.outcomes) < s.most+backlog {
		s.leave(a)
	}
	s.outcomes = append(s.outcomes, a)
	if !s.calling {
		s.calling = true
		go s.call()
	}
}

func (s *async) leave(a *asyncSend) {
	if a.holds {
		a.holds = false
		s.room.Release(1)
	}
}

// call calls done for each outcome.
func (s *async) call() {
	returned := false
	defer func() {
		if !returned { // done has ended this goroutine
			go s.call()
		}
	}()
	for {
		s.mu.Lock()
		if len(s.outcomes) == 0 {
			s.outcomes, s.calling, returned = nil, false, true
			s.mu.Unlock()
			return
		}
		a := s.outcomes[0]
		s.outcomes[0] = nil
		s.outcomes = s.outcomes[1:]
		s.leave(a)
		s.mu.Unlock()
		s.one(a)
	}
}

// one calls done once, whatever it does.
func (s *async) one(a *asyncSend) {
	defer func() {
		if a.inside {
			a.p.sends.leave()
		}
		if p := recover(); p != nil {
			s.log.Error("the done of a SendAsync panicked", "topic", a.name, "id", a.id, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	a.end()
}
