package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// How a transaction ended, other than with its message delivered; test with errors.Is.
var (
	// ErrRolledBack means that the message will never be delivered, as the local step asked for by [Rollback].
	ErrRolledBack = errors.New("rolled back")

	// ErrLeftToCheck means that the message is stored and its outcome not settled: the broker will ask Config.Check.
	// Either the local step returned an error that isn't a Rollback, which the error then wraps, or the local step is
	// done and the broker couldn't be told.
	ErrLeftToCheck = errors.New("the outcome is left to Config.Check")

	// ErrHalfLost means that the local step has succeeded, and the broker no longer has the message: it neither delivers
	// it nor asks. A broker loses what a crash of its machine took, unless it flushes or replicates before it answers.
	ErrHalfLost = errors.New("the broker has lost the message")
)

// Rollback is what a local step or a Check returns, alone or wrapped, to say that what the message tells of didn't happen
// and won't: it is never delivered. why may be nil. Any other error only says that nobody knows yet.
func Rollback(why error) error { return &rollback{why} }

type rollback struct{ why error }

func (r *rollback) Error() string {
	if r.why == nil {
		return ErrRolledBack.Error()
	}
	return fmt.Sprintf("%v: %v", ErrRolledBack, r.why)
}

func (r *rollback) Unwrap() error { return r.why }

// asked is a local step's error that asked for a rollback, as Transact returns it: with the text and the reason, but not
// the request, lest a step that calls Transact and passes its error on roll back its own message too.
type asked struct{ said, is, why error }

func askedFor(said, is error) error {
	request := (*rollback)(nil)
	errors.As(said, &request)
	return &asked{said, is, request.why}
}

func (a *asked) Error() string { return a.said.Error() }

func (a *asked) Unwrap() []error {
	return slices.DeleteFunc([]error{a.is, a.why}, func(err error) bool { return err == nil })
}

// outcome is what a local step or a Check says of a message.
type outcome int32

const (
	open      outcome = 0
	commits           = outcome(protocol.SysCommitted)
	rollsBack         = outcome(protocol.SysRolledBack)
)

// shown is the outcome as hooks see it.
func (o outcome) shown() hook.End {
	switch o {
	case commits:
		return hook.Commit
	case rollsBack:
		return hook.Rollback
	}
	return hook.Undecided
}

func outcomeOf(err error) outcome {
	if err == nil {
		return commits
	}
	if asked := (*rollback)(nil); errors.As(err, &asked) {
		return rollsBack
	}
	return open
}

// Transact stores a message that nobody receives yet, runs local on the caller's goroutine, and has the message delivered
// when local returns nil: so that a change to a database and the message that tells of it happen both or neither. It
// needs Config.Check, which settles what Transact can't: read there what it must do. What is known on return:
//
//   - nil: local succeeded and the broker delivers the message.
//   - [ErrRolledBack]: local returned a [Rollback], whose reason the error wraps, and the message is never delivered.
//   - [ErrLeftToCheck]: local returned another error, which is wrapped, and so didn't say what became of its change (a
//     database whose answer got lost may have committed); or it succeeded or rolled back, and the broker couldn't be told
//     before ctx ended. The message is delivered, or not, by what Check says. When local panics or ends its goroutine it
//     is the same, and the panic goes on.
//   - [ErrHalfLost]: local succeeded, but there is no message any more: send it anew.
//   - any other error: local was never called. The errors are those of [Producer.Send].
//
// ctx is the clock of all of it but of local's own doing: local gets ctx and should heed it. When ctx ends while local
// runs, the broker is told its outcome all the same, once and in the background. A message may be delivered twice, as one
// sent by Send may.
//
// A message with a delay is refused: brokers don't delay transactions, and there are none of batches. In the Receipt,
// OffsetID and Offset are those of the message while nobody receives it; Queue is where it is delivered.
func (p *Producer) Transact(ctx context.Context, m Message, local func(ctx context.Context) error) (Receipt, error) {
	if !p.sends.enter() {
		return Receipt{}, fmt.Errorf("producer: transact: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	topic, err := p.topic(m.Topic)
	if err != nil {
		return Receipt{}, fmt.Errorf("producer: transact: Topic: %w", err)
	}
	if err := p.checkTransaction(&m, local); err != nil {
		return Receipt{}, fmt.Errorf("producer: transact %s: %w", m.Topic, err)
	}
	physical, err := p.view.Names.Topic(m.Topic)
	if err != nil {
		return Receipt{}, fmt.Errorf("producer: transact: Topic: %w", err)
	}
	h := p.checks.begin(&m, physical, p.idOf(&m))
	defer p.checks.finish(h)
	watched, w := p.watch(ctx, hook.Half, false, []Message{m}, h.id)
	result, err := p.sendHalf(watched, topic, &m, h.id, w)
	w.sent(result, err)
	if err != nil {
		return Receipt{}, err
	}
	p.checks.stored(h, &result)
	err = p.settle(ctx, h, p.runLocal(ctx, h, local))
	if err != nil {
		return receipt(m.Topic, h.id, result), fmt.Errorf("producer: transact %s: message %s: %w", m.Topic, h.id, err)
	}
	return receipt(m.Topic, h.id, result), nil
}

// checkTransaction tells what is wrong with a call of Transact, other than its topic.
func (p *Producer) checkTransaction(m *Message, local func(ctx context.Context) error) error {
	switch {
	case p.checks == nil:
		return errors.New("Config.Check: nil, and without it nobody can say what became of a local step that was cut short: set it")
	case local == nil:
		return errors.New("local: nil; give the local step")
	case m.delayField() != "":
		return fmt.Errorf("%s: brokers don't delay transactions: leave it out, or delay the work in the consumer", m.delayField())
	}
	return m.check(p.cfg.MaxMessageSize)
}

// sendHalf stores the message where nobody receives it.
func (p *Producer) sendHalf(ctx context.Context, topic *send.Topic, m *Message, id string, w *watched) (send.Result, error) {
	needed := []hook.Property{
		{Name: protocol.PropertyPrepared, Value: "true"},
		{Name: protocol.PropertyProducerGroup, Value: p.group},
	}
	if after := p.cfg.CheckAfter; after > 0 {
		needed = append(needed, hook.Property{Name: protocol.PropertyCheckImmunity, Value: strconv.Itoa(int(after / time.Second))})
	}
	return p.sendOne(ctx, topic, m, id, w, send.Request{SysFlag: protocol.SysPrepared}, needed...)
}

// runLocal runs the local step. When that panics or ends the goroutine, the outcome is left open.
func (p *Producer) runLocal(ctx context.Context, h *half, local func(ctx context.Context) error) (err error) {
	returned := false
	defer func() {
		if !returned {
			p.checks.leave(h)
			p.endedHalf(h, open, nil)
		}
	}()
	err = local(ctx)
	returned = true
	return err
}
