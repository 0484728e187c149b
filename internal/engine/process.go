package engine

import (
	"context"
	"log/slog"

	"github.com/rocketkit/rocketkit"
)

// process is what a pool's worker does with one message.
func (e *Engine) process(t task) {
	switch {
	case t.lane != nil:
		e.walk(t)
		return
	case t.raw == nil:
		e.processBatch(t.topic)
		return
	}
	if !t.window.begin(t.ticket) {
		t.release()
		return
	}
	o := endedItsGoroutine()
	defer func() { e.settle(t, o) }() // deferred, so that a handler's Goexit settles its message too
	o = e.handle(t)
}

// delivery is what a handler gets, in one allocation.
type delivery struct {
	message rocketkit.Message
	ctx     handlerContext
}

// handle runs the handler under its time-out; a panic becomes an outcome like an error. nil acknowledges the message.
func (e *Engine) handle(t task) (o *outcome) {
	if err := t.raw.Inflate(maxInflated); err != nil {
		o = &outcome{Action: DeadLetter, why: err.Error()}
		if t.window != nil {
			e.unhandled(&t, o)
		}
		return o
	}
	d := &delivery{message: rocketkit.Received(t.raw, t.topic.name, t.queue.public)}
	e.begin(t, &d.ctx)
	defer d.ctx.returned()
	ctx, w := context.Context(&d.ctx), (*watched)(nil)
	if t.window != nil { // not for a tool, of which nothing follows
		ctx, w = e.watch(&d.ctx, &d.message, nil)
	}
	returned := false
	defer func() {
		if p := recover(); p != nil {
			o = panicked("handler", p)
		} else if !returned {
			o = endedItsGoroutine()
		}
		w.handled(&d.ctx, func(int) (past, *outcome) { return t.past(), o })
	}()
	err := t.topic.cfg.Handle(ctx, &d.message)
	if err != nil {
		o = outcomeOf(err) // here, because an error's own methods may panic too, as those of a nil pointer do
	}
	returned = true
	return o
}

// release gives back the room that the message took.
func (t *task) release() { t.queue.topic.budget.give(1, int64(t.size)) }

// finish marks the message as done and gives back its room; its lane goes on, if it has one.
func (t *task) finish() {
	t.done()
	if t.lane != nil {
		t.lane.goOn()
	}
}

// abandon ends the message, which has begun, without its being done: it will be delivered again. With it end those that
// follow it in its lane.
func (t *task) abandon() {
	if t.lane == nil {
		t.window.abandon()
		t.release()
		return
	}
	t.lane.giveUp(t)
	t.lane.goOn()
}

// done is finish for who goes on with the lane himself.
func (t *task) done() {
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

// settle does what the outcome says of the message. What can't be settled at once goes to the settler, so that a broker
// that is away costs a worker one request's time-out and no more. A message whose queue was lost or moved meanwhile is
// left alone: its next owner gets it anyway, and sent back it would be there twice.
func (e *Engine) settle(t task, o *outcome) {
	if o == nil {
		t.topic.handled.Add(1)
		t.finish()
		return
	}
	level, done := e.judge(t, o)
	switch {
	case done:
		t.finish()
	case t.queue.released.Load() || t.window.isStale():
		t.abandon()
	case e.sendBack(context.WithoutCancel(e.handlers), t, level) != nil:
		t.queue.broker.backs.add(unsettled{task: t, level: level})
	default:
		t.finish()
	}
}

// judge counts and logs an outcome and returns the delay level it asks for; done when the message needs no further
// delivery.
func (e *Engine) judge(t task, o *outcome) (level int32, done bool) {
	becomes := "will be retried"
	switch {
	case o.Action == Drop:
		becomes, done = "is dropped", true
	case e.cfg.Broadcast:
		becomes, done = "is dropped: what every member receives isn't retried", true
	case o.Action == DeadLetter, e.retriesNow.Load() == 0:
		becomes, level = "goes to the dead-letter topic", levelDeadLetter
	case o.Delay >= 0:
		level = delayLevel(o.Delay)
	}
	e.report(&t, o, becomes)
	return level, done
}

// report counts and logs an outcome.
func (e *Engine) report(t *task, o *outcome, becomes string) {
	attributes := []any{
		"message", becomes, "topic", t.name(), "id", t.raw.ID(), "attempt", t.raw.ReconsumeTimes + 1, "error", o.why,
	}
	if o.stack != "" {
		attributes = append(attributes, "stack", o.stack)
	}
	logAt := slog.LevelWarn
	if t.topic != nil {
		var unlogged int64
		if logAt, unlogged = t.topic.failedWith(o.why); unlogged > 0 {
			attributes = append(attributes, "unlogged", unlogged)
		}
	}
	e.log.Log(context.Background(), logAt, "handler failed", attributes...)
}
