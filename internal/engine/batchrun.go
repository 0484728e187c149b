package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/rocketkit/rocketkit"
)

// Verdicts are what a batch's handler says of its messages one by one. Its methods are safe for concurrent use.
type Verdicts struct {
	mu     sync.Mutex
	said   []said
	closed bool
}

type said struct {
	err error
	own bool // err holds, not the handler's
}

// Set notes what becomes of a message, in place of what was noted before; after the handler's return it does nothing.
// It panics when there is no message i.
func (v *Verdicts) Set(i int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i < 0 || i >= len(v.said) {
		panic(fmt.Sprintf("rocketkit: verdict for message %d of a batch of %d", i, len(v.said)))
	}
	if !v.closed {
		v.said[i] = said{err, true}
	}
}

func (v *Verdicts) close() []said {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	return v.said
}

// judged is a message of a batch and what came of it; nil acknowledges it.
type judged struct {
	task
	outcome *outcome
}

// processBatch is what a pool's worker does with a batch's token.
func (e *Engine) processBatch(t *topic) {
	tasks := t.batches.take()
	if len(tasks) == 0 {
		return
	}
	defer t.batches.settled(len(tasks))
	batch, bad := inflated(tasks)
	for i := range bad {
		e.unhandled(&bad[i].task, bad[i].outcome)
	}
	e.settleBatch(bad)
	if len(batch) == 0 {
		return
	}
	messages := make([]rocketkit.Message, len(batch))
	for i := range batch {
		messages[i] = rocketkit.Received(batch[i].raw, t.name, batch[i].queue.public)
	}
	defer e.settleBatch(batch) // deferred, so that a handler's Goexit settles its messages too
	e.handleBatch(batch, messages)
}

// inflated separates the messages whose bodies can't be.
func inflated(tasks []task) (good, bad []judged) {
	good = make([]judged, 0, len(tasks))
	for _, t := range tasks {
		if err := t.raw.Inflate(maxInflated); err != nil {
			bad = append(bad, judged{t, &outcome{Action: DeadLetter, why: err.Error()}})
			continue
		}
		good = append(good, judged{task: t})
	}
	return good, bad
}

// handleBatch runs the handler under its time-out and notes what came of each message. The first, the oldest, stands for
// all where it is shown what runs.
func (e *Engine) handleBatch(batch []judged, messages []rocketkit.Message) {
	d := &handlerContext{}
	first := batch[0].task
	e.begin(first, d)
	defer d.returned()
	ctx, w := e.watch(d, nil, messages)
	verdicts := &Verdicts{said: make([]said, len(batch))}
	rest := endedItsGoroutine()
	defer func() {
		if p := recover(); p != nil {
			rest = panicked("handler", p)
		}
		for i, s := range verdicts.close() {
			if batch[i].outcome = rest; s.own {
				batch[i].outcome = safeOutcome(s.err)
			}
		}
		w.handled(d, func(i int) (past, *outcome) { return batch[i].past(), batch[i].outcome })
	}()
	if err := first.topic.cfg.HandleBatch(ctx, messages, verdicts); err != nil {
		rest = outcomeOf(err)
		return
	}
	rest = nil
}

// safeOutcome is outcomeOf for an error whose own methods may panic, as those of a nil pointer do.
func safeOutcome(err error) (o *outcome) {
	if err == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			o = panicked("verdict", p)
		}
	}()
	return outcomeOf(err)
}

// settleBatch is settle for several messages. Their send-backs go out some at a time, and once a broker turns out to be
// out of reach the rest goes to the settler untried: a batch costs its worker about what one message does.
func (e *Engine) settleBatch(batch []judged) {
	var backs []unsettled
	for _, j := range batch {
		done, level := j.outcome == nil, int32(0)
		if done {
			j.topic.handled.Add(1)
		} else {
			level, done = e.judge(j.task, j.outcome)
		}
		switch {
		case done:
			j.finish()
		case j.queue.released.Load() || j.window.isStale():
			j.abandon()
		default:
			backs = append(backs, unsettled{task: j.task, level: level})
		}
	}
	failed, _ := round(backs, func(u unsettled) error {
		err := e.sendBack(context.WithoutCancel(e.handlers), u.task, u.level)
		if err == nil {
			u.task.finish()
		}
		return err
	})
	for _, u := range failed {
		u.task.queue.broker.backs.add(u)
	}
}

// handleAlone makes a batch handler into one for single messages, for those that come alone.
func handleAlone(handle func(context.Context, []rocketkit.Message, *Verdicts) error) func(context.Context, *rocketkit.Message) error {
	return func(ctx context.Context, m *rocketkit.Message) error {
		verdicts := &Verdicts{said: make([]said, 1)}
		err := handle(ctx, []rocketkit.Message{*m}, verdicts)
		if s := verdicts.close()[0]; s.own {
			return s.err
		}
		return err
	}
}
