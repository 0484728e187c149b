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
	hooks []hook.Handler
	call  hook.Handling
	ctx   context.Context //nolint:containedctx // what the first call of the hooks gave, for the second
}

// watch tells the hooks that are on of a handler's call. The handler gets the context that it returns.
func (e *Engine) watch(ctx *handlerContext, batch bool, messages func() []rocketkit.Message) (context.Context, *watched) {
	if !slices.ContainsFunc(e.cfg.Hooks, hook.Handler.On) {
		return ctx, nil
	}
	w := &watched{ctx: ctx, call: hook.Handling{
		Group: e.cfg.Group, Topic: ctx.topic.name, Batch: batch, Messages: messages(), Began: ctx.began,
	}}
	for _, h := range e.cfg.Hooks {
		if h.On() {
			w.ctx = h.Handling(w.ctx, &w.call)
			w.hooks = append(w.hooks, h)
		}
	}
	return w.ctx, w
}

// handled tells the hooks what came of the call, the last first.
func (w *watched) handled(ctx *handlerContext, outcomes func(i int) *outcome) {
	if w == nil {
		return
	}
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	all := make([]hook.Outcome, len(w.call.Messages))
	for i := range all {
		all[i] = outcomes(i).shown(late)
	}
	for _, h := range slices.Backward(w.hooks) {
		h.Handled(w.ctx, &w.call, all)
	}
}

// shown is the outcome as hooks see it; that of a nil one is Done.
func (o *outcome) shown(late bool) hook.Outcome {
	if o == nil {
		return hook.Outcome{TimedOut: late}
	}
	return hook.Outcome{
		Verdict:  [...]hook.Verdict{Retry: hook.Retry, Drop: hook.Drop, DeadLetter: hook.DeadLetter}[o.Action],
		Why:      o.why,
		TimedOut: late,
		Panicked: o.stack != "",
	}
}
