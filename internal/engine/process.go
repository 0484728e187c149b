package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/rocketkit/rocketkit"
)

var (
	errNoHandler = errors.New("this consumer has no handler for the topic")
	errGoexit    = errors.New("handler ended its goroutine (runtime.Goexit)")
)

// process is what a pool's worker does with one message.
func (e *Engine) process(t task) {
	if !t.window.begin(t.ticket) {
		t.release()
		return
	}
	pprof.SetGoroutineLabels(t.topic.labels)
	err := errGoexit
	defer func() { e.settle(t, err) }() // deferred, so that a handler's Goexit settles its message too
	err = e.handle(t)
}

// handle runs the handler under its time-out; a panic becomes an error.
func (e *Engine) handle(t task) (err error) {
	if err := t.raw.Inflate(maxInflated); err != nil {
		return &Verdict{Action: DeadLetter, Why: err}
	}
	m := rocketkit.Received(t.raw, t.topic.name, t.queue.public)
	ctx := &handlerContext{Context: e.handlers}
	if t.topic.cfg.Timeout > 0 {
		ctx.deadline = time.Now().Add(t.topic.cfg.Timeout)
	}
	defer ctx.end()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
			e.log.Error("handler panicked", "topic", t.topic.name, "id", m.ID(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return t.topic.cfg.Handle(ctx, &m)
}

// release gives back the room that the message took.
func (t *task) release() { t.queue.topic.budget.give(1, int64(t.size)) }

// finish marks the message as done and gives back its room.
func (t *task) finish() {
	if t.window.finish(t.ticket) {
		t.queue.moved()
	}
	t.release()
}

// name is the logical topic that the message was sent to, or of the queue it came from when this consumer has no handler
// for that.
func (t *task) name() string {
	if t.topic != nil {
		return t.topic.name
	}
	return t.queue.topic.name
}

// settle does what the handler's error says of the message. What can't be settled at once goes to the settler, so that
// a broker that is away costs a worker one request's time-out and no more.
func (e *Engine) settle(t task, err error) {
	if err == nil {
		t.topic.handled.Add(1)
		t.finish()
		return
	}
	level, done := e.judge(t, err)
	if !done && e.sendBack(context.WithoutCancel(e.handlers), t, level) != nil {
		t.queue.broker.backs.add(unsettled{task: t, level: level})
		return
	}
	t.finish()
}

// judge counts and logs a handler's error and returns the delay level it asks for; done when the message needs no
// further delivery.
func (e *Engine) judge(t task, err error) (level int32, done bool) {
	var v *Verdict
	if !errors.As(err, &v) {
		v = &Verdict{Action: Retry, Delay: -1}
	}
	becomes := "will be retried"
	switch {
	case v.Action == Drop:
		becomes, done = "is dropped", true
	case v.Action == DeadLetter, e.cfg.Retries == 0:
		becomes, level = "goes to the dead-letter topic", levelDeadLetter
	case v.Delay >= 0:
		level = delayLevel(v.Delay)
	}
	logAt, unlogged := slog.LevelWarn, int64(0)
	if t.topic != nil {
		logAt, unlogged = t.topic.failedWith(err)
	}
	e.log.Log(context.Background(), logAt, "handler failed", "message", becomes,
		"topic", t.name(), "id", t.raw.ID(), "attempt", t.raw.ReconsumeTimes+1, "error", err, "unlogged", unlogged)
	return level, done
}
