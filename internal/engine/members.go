package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// groupMembers asks every broker of the topics who is in the group and returns all that any of them names: a broker that
// was just started knows only those members that have reported since. Lists without ourselves are an error: the brokers
// have forgotten us, or never let us in, and to give up all queues for it would stop the group.
func (e *Engine) groupMembers(ctx context.Context, routes map[*topic]*route.Route) ([]string, error) {
	addresses := map[string]bool{}
	for _, r := range routes {
		for _, broker := range r.Brokers() {
			if address, ok := r.Address(broker, protocol.MasterID); ok {
				addresses[address] = true
			}
		}
	}
	var mu sync.Mutex
	var all []string
	failures := []error{errors.New("no broker lists this client in its group; when brokers don't create groups by themselves " +
		"(autoCreateSubscriptionGroup=false), create the group first")}
	var asking sync.WaitGroup
	for address := range addresses {
		asking.Go(func() {
			ids, err := e.membersAt(ctx, address)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, ids...)
			if err != nil {
				failures = append(failures, err)
			}
		})
	}
	asking.Wait()
	if slices.Contains(all, e.view.ClientID()) {
		return all, nil
	}
	for _, err := range failures {
		if errors.Is(err, rocketkit.ErrClosed) {
			return nil, err
		}
	}
	e.view.Beat(ctx)
	return nil, errors.Join(failures...)
}

func (e *Engine) membersAt(ctx context.Context, address string) ([]string, error) {
	answer, err := e.view.Invoke(ctx, address, protocol.ConsumerList{Group: e.group}.Frame())
	if err != nil {
		return nil, err
	}
	ids, err := protocol.ParseConsumerList(answer)
	if err != nil {
		return nil, fmt.Errorf("broker %s: %w", address, err)
	}
	return ids, nil
}
