package producer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

const (
	minEndPause = 50 * time.Millisecond // between two attempts to tell a broker an outcome, doubling
	maxEndPause = time.Second
)

// settle tells the broker what the local step said, and gives what Transact returns.
func (p *Producer) settle(ctx context.Context, h *half, said error) error {
	is := outcomeOf(said)
	if is == open {
		p.checks.leave(h)
		p.endedHalf(h, is, nil)
		return fmt.Errorf("%w: local step: %w", ErrLeftToCheck, said)
	}
	var err error
	if ctx.Err() != nil {
		err = fmt.Errorf("the context ended before the broker was told: %w", context.Cause(ctx))
		defer p.endInBackground(ctx, h, is) // once it is noted as left to the check
	} else {
		err = p.end(ctx, p.masterOf(h), p.checks.endOf(h, is))
	}
	p.endedHalf(h, is, err)
	lost := halfLost(err)
	switch {
	case err == nil || lost && is == rollsBack: // what is lost isn't delivered either
		p.checks.settled(h, is)
		if is == rollsBack {
			return askedFor(said, ErrRolledBack)
		}
		return nil
	case lost:
		p.checks.lost()
		return fmt.Errorf("%w; the local step succeeded: %w", ErrHalfLost, err)
	}
	p.checks.leave(h)
	if is == rollsBack {
		return fmt.Errorf("%w: local step: %w; the broker couldn't be told: %w", ErrLeftToCheck, askedFor(said, nil), err)
	}
	return fmt.Errorf("%w: the local step succeeded; the broker couldn't be told: %w", ErrLeftToCheck, err)
}

// endedHalf tells the hooks what the local step said of a message.
func (p *Producer) endedHalf(h *half, is outcome, err error) {
	p.ended(&hook.Ended{
		End: is.shown(), Group: p.cfg.Group, Topic: h.logical, ID: h.id, Tag: h.tag, Keys: h.keys,
		TransactionID: h.id, Address: h.address, Err: err,
	})
}

// endInBackground makes one attempt to tell a broker an outcome when the caller's context is over: the check would, but
// that takes the broker half a minute. Close waits for it.
func (p *Producer) endInBackground(ctx context.Context, h *half, is outcome) {
	p.sends.enterWith()
	go func() {
		defer p.sends.leave()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.view.RequestTimeout())
		defer cancel()
		if p.endOnce(ctx, p.masterOf(h), p.checks.endOf(h, is)) == nil {
			p.checks.forget(h)
		}
	}()
}

// master finds the address of the broker that has a message.
type master func(ctx context.Context) (address string, err error)

// masterOf finds the broker of a half message anew for each attempt: one that was restarted may have another address.
func (p *Producer) masterOf(h *half) master {
	return func(ctx context.Context) (string, error) { return p.view.Master(ctx, h.topic, h.broker) }
}

// end tells a broker an outcome, and again until it has answered or ctx ends. request gives the request anew for each
// attempt, as a check meanwhile moves the message.
func (p *Producer) end(ctx context.Context, master master, request func() protocol.EndTransaction) error {
	for pause := minEndPause; ; pause = min(2*pause, maxEndPause) {
		err := p.endOnce(ctx, master, request)
		if err == nil || !endAgain(err) {
			return err
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

func (p *Producer) endOnce(ctx context.Context, master master, request func() protocol.EndTransaction) error {
	address, err := master(ctx)
	if err != nil {
		return err
	}
	_, err = p.view.Invoke(ctx, address, request().Frame())
	return err
}

// endAgain tells whether another attempt may succeed.
func endAgain(err error) bool {
	refused := (*protocol.Error)(nil)
	if !errors.As(err, &refused) {
		return !errors.Is(err, remoting.ErrClosed) && !errors.Is(err, rocketkit.ErrNoRoute)
	}
	switch refused.Code {
	case protocol.CodeSystemError:
		return !halfLost(err)
	case protocol.CodeSystemBusy, protocol.CodeFlowControl, protocol.CodeSlaveNotAvailable,
		protocol.CodeServiceNotAvailable, protocol.CodeNotLeaderForQueue, protocol.CodeGoAway:
		return true
	}
	return false
}

// halfLost tells whether a broker answered that it has no such message: nothing where it was, or something else. They say
// so by remark alone (EndTransactionProcessor, TransactionalMessageServiceImpl).
func halfLost(err error) bool {
	refused := (*protocol.Error)(nil)
	if !errors.As(err, &refused) || refused.Code != protocol.CodeSystemError {
		return false
	}
	for _, remark := range []string{
		"Find prepared transaction message failed", "The producer group wrong",
		"The transaction state table offset wrong", "The commit log offset wrong",
	} {
		if strings.Contains(refused.Remark, remark) {
			return true
		}
	}
	return false
}
