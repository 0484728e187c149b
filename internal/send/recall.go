package send

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// errOtherTopic names no topic: the handle's may be another tenant's.
var errOtherTopic = errors.New("the handle is of a message of another topic")

// Recall has a timed message that waits on its broker not be delivered, and returns its id. It is tried again as Send is,
// on that one broker; a message recalled twice is recalled. Its errors are of type [*Error].
func (t *Topic) Recall(ctx context.Context, group, handle string) (id string, err error) {
	s := sending{topic: t, request: &Request{}, begun: time.Now()}
	what, err := protocol.ParseRecallHandle(handle)
	if err == nil && what.Topic != t.physical {
		err = errOtherTopic
	}
	if err != nil {
		return "", s.notRecalled(err)
	}
	req := protocol.Recall{ProducerGroup: group, Topic: t.physical, Handle: handle, BrokerName: what.Broker}
	for {
		if ctx.Err() != nil {
			return "", s.asRecall(s.ended(ctx))
		}
		s.attempts++
		if id, s.last = t.recall(ctx, &req); s.last == nil {
			return id, nil
		}
		if why := verdictOf(s.last); why != busy && why != down {
			return "", s.notRecalled(s.last)
		}
		pause(ctx, backoff(s.rounds))
		s.rounds++
		if ctx.Err() == nil {
			_ = t.refresh(ctx) // the broker may be back at another address
		}
	}
}

// recall makes one request of it.
func (t *Topic) recall(ctx context.Context, r *protocol.Recall) (id string, err error) {
	view := t.sender.view
	route, err := view.Routes().Get(ctx, t.physical)
	if err != nil {
		return "", err
	}
	address, ok := route.Master(r.BrokerName)
	if !ok {
		return "", errNoMaster
	}
	ctx, cancel := context.WithTimeout(ctx, view.RequestTimeout())
	defer cancel()
	req := r.Frame()
	answer, err := view.Call(ctx, address, req)
	if err != nil {
		return "", err
	}
	id, err = protocol.ParseRecall(answer)
	if refusal := (*protocol.Error)(nil); errors.As(err, &refusal) {
		refusal.Address = address
		return "", explainRecall(refusal, answer.Version)
	}
	return id, err
}

// explainRecall adds what a broker's refusal of a recall doesn't say.
func explainRecall(refusal *protocol.Error, version int32) error {
	switch {
	case refusal.Code == protocol.CodeRequestNotSupported:
		return fmt.Errorf("the broker runs %s, and brokers recall messages since RocketMQ 5.3.2: %w", protocol.VersionName(version), refusal)
	case refusal.Code == protocol.CodeNoPermission && refusal.Remark == "recall failed, operation is forbidden":
		return fmt.Errorf("the broker's setting recallMessageEnable is off, as it is by default: %w", refusal)
	case refusal.Code == protocol.CodeIllegalOperation && refusal.Remark == "recall failed, timestamp invalid":
		return fmt.Errorf("the message is due, and delivered or about to be: %w", refusal)
	}
	return refusal
}

func (s *sending) notRecalled(err error) *Error { return s.asRecall(s.failed(err)) }

func (s *sending) asRecall(err *Error) *Error {
	err.Op = "recall"
	return err
}
