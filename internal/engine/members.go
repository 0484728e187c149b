package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// memberList learns who is in the group, from a broker of each topic and from each broker once.
type memberList struct {
	engine *Engine
	known  map[string][]string // by the broker's address
}

// of returns the client ids of the group's members as one of the topic's brokers knows them. A list without ourselves is
// an error: the broker has forgotten us, or never let us in, and to give up all queues for it would stop the group.
func (l *memberList) of(ctx context.Context, r *route.Route) ([]string, error) {
	failures := []error{errors.New("no broker lists this client in its group")}
	for _, broker := range r.Brokers() {
		address, ok := r.Address(broker, protocol.MasterID)
		if !ok {
			continue
		}
		if ids := l.known[address]; ids != nil {
			return ids, nil
		}
		ids, err := l.ask(ctx, address)
		if err == nil {
			l.known[address] = ids
			return ids, nil
		}
		failures = append(failures, err)
		l.engine.view.Beat(ctx)
	}
	return nil, errors.Join(failures...)
}

func (l *memberList) ask(ctx context.Context, address string) ([]string, error) {
	answer, err := l.engine.view.Invoke(ctx, address, protocol.ConsumerList{Group: l.engine.group}.Frame())
	if err != nil {
		return nil, err
	}
	ids, err := protocol.ParseConsumerList(answer)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ids, l.engine.view.ClientID()) {
		return nil, fmt.Errorf("broker %s doesn't; when it doesn't create groups by itself (autoCreateSubscriptionGroup=false), create the group first", address)
	}
	return ids, nil
}
