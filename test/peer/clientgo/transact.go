package main

import (
	"context"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// undecided leaves each transaction open, and commits what it is asked about.
type undecided struct{}

func (undecided) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	return primitive.UnkonwnState
}

func (undecided) CheckLocalTransaction(*primitive.MessageExt) primitive.LocalTransactionState {
	return primitive.CommitMessageState
}

// transact sends what it is told to in transactions.
func transact(o options, set []producer.Option) error {
	p, err := producer.NewTransactionProducer(undecided{}, set...)
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	say(line.New(line.Ready))
	s := sender{options: o, stop: make(chan struct{}), send: func(ctx context.Context, batch ...*primitive.Message) (*primitive.SendResult, error) {
		r, err := p.SendMessageInTransaction(ctx, batch[0])
		if err != nil {
			return nil, err
		}
		return r.SendResult, nil
	}}
	commands(s.do)
	close(s.stop)
	s.floods.Wait()
	return p.Shutdown()
}
