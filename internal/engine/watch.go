package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
)

// watched is a handler's call as the hooks see it; nil when none of them is on.
type watched struct {
	engine *Engine
	hooks  []hook.Handler
	call   hook.Handling
	ctx    context.Context //nolint:containedctx // what the first call of the hooks gave, for the second

	// What a call for one message, which most are, needs no allocation of its own for.
	hook    [1]hook.Handler
	message [1]rocketkit.Message
	outcome [1]hook.Outcome
}

// watch tells the hooks that are on of a handler's call: of a batch's, or with a nil batch of one message's. The handler
// gets the context that it returns.
func (e *Engine) watch(ctx *handlerContext, one *rocketkit.Message, batch []rocketkit.Message) (context.Context, *watched) {
	var w *watched
	for _, h := range e.cfg.Hooks {
		if !h.On() {
			continue
		}
		if w == nil {
			w = e.watched(ctx, one, batch)
		}
		w.ctx = h.Handling(w.ctx, &w.call) //nolint:fatcontext // one for each hook, of which there are few
		w.hooks = append(w.hooks, h)
	}
	if w == nil {
		return ctx, nil
	}
	return w.ctx, w
}

// watched makes what hooks see of a call.
func (e *Engine) watched(ctx *handlerContext, one *rocketkit.Message, batch []rocketkit.Message) *watched {
	w, _ := e.watches.Get().(*watched)
	if w == nil {
		w = &watched{}
	}
	w.engine, w.ctx, w.call = e, ctx, hook.Handling{
		Group: e.cfg.Group, Topic: ctx.topic.name, Batch: batch != nil, Messages: batch, Began: ctx.began,
	}
	if batch == nil {
		w.message[0] = *one
		w.call.Messages = w.message[:]
	}
	w.hooks = w.hook[:0]
	return w
}

// handled tells the hooks what came of the call, the last first. what gives what is known of each message's retries, and
// its outcome.
func (w *watched) handled(ctx *handlerContext, what func(i int) (past, *outcome)) {
	if w == nil {
		return
	}
	now := w.engine.now()
	w.call.Took = now.Sub(w.call.Began)
	late := errors.Is(ctx.errAt(now), context.DeadlineExceeded)
	all := w.outcome[:]
	if n := len(w.call.Messages); n > 1 {
		all = make([]hook.Outcome, n)
	}
	for i := range all {
		tries, o := what(i)
		all[i] = w.engine.shown(tries, o, late)
	}
	for _, h := range slices.Backward(w.hooks) {
		h.Handled(w.ctx, &w.call, all)
	}
	e := w.engine
	*w = watched{}
	e.watches.Put(w)
}

// unhandled tells the hooks that watch for it what becomes of a message that no handler could get.
func (e *Engine) unhandled(t *task, o *outcome) {
	for _, h := range e.cfg.Hooks {
		if u, ok := h.(hook.Unhandler); ok && h.On() {
			u.Unhandled(t.topic.name, e.shown(t.past(), o, false))
		}
	}
}

// past is how often a message was handled before, as far as that counts for its retries.
type past struct {
	tried   int32
	inPlace bool // it is retried where it stands
}

func (t *task) past() past {
	if t.lane != nil {
		return past{t.tries, true}
	}
	return past{tried: t.raw.ReconsumeTimes}
}

// shown is what becomes of a message, as hooks see it; a nil outcome acknowledges it. It says what judge and judgeInOrder
// will.
func (e *Engine) shown(p past, o *outcome, late bool) hook.Outcome {
	if o == nil {
		return hook.Outcome{TimedOut: late}
	}
	s := hook.Outcome{Verdict: hook.Retry, Why: o.why, TimedOut: late, Panicked: o.stack != ""}
	last := o.Action == DeadLetter || p.tried >= e.retries()
	switch {
	case o.Action == Drop, e.cfg.Broadcast && (last || !p.inPlace):
		s.Verdict = hook.Drop
	case last:
		s.Verdict = hook.DeadLetter
	}
	return s
}
