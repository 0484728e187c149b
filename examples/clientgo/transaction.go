package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// transaction has delivered what was committed, and what a check finds committed; not what was rolled back.
func transaction(ctx context.Context, on transport, topic, group string) (err error) {
	got := make(chan string, 100)
	stop, err := consume(on, topic, consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			got <- string(m.Body)
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithGroupName(group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	l := &ledger{executed: map[string]string{}}
	p, err := on.TransactionProducer(l, producer.WithGroupName(group+"-sender"))
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Shutdown()) }()
	for _, step := range []struct {
		body string
		want primitive.LocalTransactionState
	}{
		{"rolled back", primitive.RollbackMessageState}, {"unknown", primitive.UnkonwnState}, {"committed", primitive.CommitMessageState},
	} {
		result, err := p.SendMessageInTransaction(ctx, primitive.NewMessage(topic, []byte(step.body)))
		if err != nil {
			return err
		}
		if result.State != step.want || result.Status != primitive.SendOK {
			return fmt.Errorf("%s: state %d, %v", step.body, result.State, result)
		}
	}
	for _, want := range []string{"committed", "unknown"} { // the check comes later
		body, err := next(ctx, got)
		if err != nil {
			return fmt.Errorf("%s: %w", want, err)
		}
		if body != want {
			return fmt.Errorf("received %q in place of %q", body, want)
		}
	}
	return nil
}

// ledger is a listener that knows what it has executed, by transaction.
type ledger struct {
	mu       sync.Mutex
	executed map[string]string // bodies, by transaction id
}

// ExecuteLocalTransaction does what the message says.
func (l *ledger) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.executed[m.TransactionId] = string(m.Body)
	switch string(m.Body) {
	case "committed":
		return primitive.CommitMessageState
	case "rolled back":
		return primitive.RollbackMessageState
	}
	return primitive.UnkonwnState
}

// CheckLocalTransaction finds the transaction committed that it was unknown of, and knows it by its id.
func (l *ledger) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.executed[m.TransactionId] == "unknown" && string(m.Body) == "unknown" {
		return primitive.CommitMessageState
	}
	return primitive.RollbackMessageState
}
