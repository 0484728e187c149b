package clientgo

import (
	"context"
	"errors"
	"fmt"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit"
	rocketkitproducer "github.com/rocketkit/rocketkit/producer"
)

// NewTransactionProducer makes a rocketmq.TransactionProducer that works on rocketkit. Options are as for [NewProducer];
// only WithQueueSelector is refused but for those that choose any queue.
//
// Brokers ask CheckLocalTransaction about messages of all instances of the group, dead ones too. It must answer for each:
// CommitMessageState and RollbackMessageState end the transaction, and any other state leaves it open, to be asked again
// up to 15 times. A panic of the listener leaves it open, too.
func NewTransactionProducer(client *rocketkit.Client, listener primitive.TransactionListener, options ...producer.Option) (rocketmq.TransactionProducer, error) {
	if listener == nil {
		return nil, configError("listener is nil: a transaction needs one")
	}
	t := &transactions{listener: listener}
	s, err := newSender(client, options, rocketkitproducer.Config{Check: t.check})
	if err != nil {
		return nil, err
	}
	t.sender = s
	if s.settings.selector != nil {
		_ = s.Shutdown()
		return nil, configError("producer.WithQueueSelector: can't be carried over to transactions; leave it out")
	}
	return t, nil
}

// transactions is a TransactionProducer.
type transactions struct {
	sender   *sender
	listener primitive.TransactionListener
}

// Start has the producer send. It answers brokers' checks from its making on.
func (t *transactions) Start() error { return t.sender.Start() }

// Shutdown is that of a Producer.
func (t *transactions) Shutdown() error { return t.sender.Shutdown() }

// SendMessageInTransaction stores a message that nobody receives yet, calls ExecuteLocalTransaction, and has the message
// delivered or not by what that says. State is what has become of it: UnkonwnState when a check is to settle it, also
// when the broker couldn't be told within the time that sending may take; executing the transaction may take longer. An error means that the local transaction
// wasn't executed, or, after CommitMessageState, that the broker has lost the message.
//
// The listener gets a copy of the message with its id in TransactionId and UNIQ_KEY.
func (t *transactions) SendMessageInTransaction(ctx context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
	s := t.sender
	if err := s.check([]*primitive.Message{m}); err != nil {
		return nil, err
	}
	result := &primitive.TransactionSendResult{SendResult: primitive.NewSendResult(), State: primitive.UnkonwnState}
	err := s.intercept(ctx, primitive.SendSync, []*primitive.Message{m}, result.SendResult,
		func(ctx context.Context, messages []*primitive.Message, stored *primitive.SendResult) (err error) {
			result.State, err = t.transact(ctx, messages[0], stored)
			return err
		})
	if err != nil {
		return nil, err
	}
	return result, nil
}

func (t *transactions) transact(ctx context.Context, m *primitive.Message, stored *primitive.SendResult) (primitive.LocalTransactionState, error) {
	out, err := outgoing(m)
	if err != nil {
		return primitive.UnkonwnState, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := time.AfterFunc(t.sender.within(), func() { cancel(context.DeadlineExceeded) })
	defer clock.Stop()
	id := orDefault(m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex), primitive.CreateUniqID())
	out.Carry(id, 0)
	state := primitive.UnkonwnState
	executed := false
	receipt, err := t.sender.producer.Transact(ctx, out, func(context.Context) error {
		var local primitive.Message
		copyOf(&local, m)
		local.TransactionId = id
		local.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, id)
		executed = true
		clock.Stop() // it is the sending's: the local transaction takes as long as it takes
		defer clock.Reset(t.sender.within())
		state = t.listener.ExecuteLocalTransaction(&local)
		return verdictOf(state)
	})
	if !executed {
		return state, err
	}
	fill(stored, &receipt)
	stored.TransactionID = receipt.ID
	switch {
	case err == nil, errors.Is(err, rocketkitproducer.ErrRolledBack):
		return state, nil
	case errors.Is(err, rocketkitproducer.ErrLeftToCheck):
		return primitive.UnkonwnState, nil
	}
	return state, err
}

func (t *transactions) check(_ context.Context, m *rocketkit.Message) error {
	ext := messageOf(m)
	ext.TransactionId = ext.MsgId
	return verdictOf(t.listener.CheckLocalTransaction(ext))
}

// verdictOf says a state in rocketkit's way.
func verdictOf(state primitive.LocalTransactionState) error {
	switch state {
	case primitive.CommitMessageState:
		return nil
	case primitive.RollbackMessageState:
		return rocketkitproducer.Rollback(errors.New("RollbackMessageState"))
	case primitive.UnkonwnState:
		return errors.New("UnkonwnState")
	}
	return fmt.Errorf("LocalTransactionState %d", state)
}
