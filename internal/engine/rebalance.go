package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// rebalanceUntil shares the queues out at once, then again whenever the group or a route changes, and each 20 s in case
// a notice was lost, until ctx ends. What fails keeps the queues it has and is tried again soon.
func (e *Engine) rebalanceUntil(ctx context.Context) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for first := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-e.again:
		case <-tick.C:
		}
		err := e.rebalance(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			e.log.Warn("queues not shared out, keeping the present ones", "error", err)
			tick.Reset(maxBackoff)
		case !e.retryRouted(ctx):
			tick.Reset(maxBackoff) // the brokers are about to announce the retry topic
		default:
			tick.Reset(rebalanceEvery)
		}
		if err == nil && first {
			first = false
			e.setState(Running, "")
			close(e.ready)
		}
	}
}

// routeChanged asks for a rebalance when one of our topics has other queues than before.
func (e *Engine) routeChanged(topic string) {
	if e.topics[topic] != nil {
		wake(e.again)
	}
}

// rebalance takes and gives up queues so that this member has its share of every topic.
func (e *Engine) rebalance(ctx context.Context) error {
	var failures []error
	for _, t := range e.topics {
		r, err := e.view.Routes().Get(ctx, t.physical)
		if err != nil {
			if t != e.retry {
				failures = append(failures, fmt.Errorf("topic %s: %w", t.name, err))
			}
			continue
		}
		members, err := e.groupMembers(ctx, r)
		if err != nil {
			failures = append(failures, fmt.Errorf("topic %s: %w", t.name, err))
			continue
		}
		e.own(ctx, t, assign(r.Read, members, e.view.ClientID()))
	}
	return errors.Join(failures...)
}

// groupMembers asks a broker of the topic who is in the group. An answer without ourselves is an error: the broker has
// forgotten us, or never let us in, and giving up all queues for it would stop the group.
func (e *Engine) groupMembers(ctx context.Context, r *route.Route) ([]string, error) {
	var failures []error
	for _, broker := range r.Brokers() {
		address, ok := r.Address(broker, 0)
		if !ok {
			continue
		}
		answer, err := e.view.Invoke(ctx, address, protocol.ConsumerList{Group: e.group}.Frame())
		if err == nil {
			var members []string
			if members, err = protocol.ParseConsumerList(answer); err == nil {
				if slices.Contains(members, e.view.ClientID()) {
					return members, nil
				}
				err = fmt.Errorf("broker %s doesn't list this client in the group", broker)
			}
		}
		failures = append(failures, err)
		e.view.Beat(ctx)
	}
	return nil, errors.Join(append(failures, errors.New("no broker lists this client in the group; when the group doesn't exist and "+
		"the broker doesn't create groups (autoCreateSubscriptionGroup=false), create it first"))...)
}

// retryRouted tells whether the retry topic is known on every broker that our topics are on. Brokers make it at the first
// heartbeat and announce it a moment later; until then it is asked for often, so that the first retries don't wait.
func (e *Engine) retryRouted(ctx context.Context) bool {
	have, err := e.view.Routes().Get(ctx, e.retry.physical)
	if err != nil {
		return false
	}
	for _, t := range e.topics {
		r, err := e.view.Routes().Get(ctx, t.physical)
		if err != nil {
			continue
		}
		for _, broker := range r.Brokers() {
			if have.Nodes(broker) == nil {
				_, _ = e.view.Routes().Refresh(ctx, e.retry.physical)
				return false
			}
		}
	}
	return true
}

// own makes the topic's queues exactly those wanted.
func (e *Engine) own(ctx context.Context, t *topic, wanted []protocol.Queue) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, q := range e.queues {
		if q.topic == t && !slices.Contains(wanted, id) {
			delete(e.queues, id)
			e.going[id] = q
			e.letting.Go(func() { e.letGo(q) })
		}
	}
	for _, id := range wanted {
		if e.queues[id] == nil {
			q := newQueue(e, t, id)
			q.start(context.WithoutCancel(ctx), e.going[id])
			e.queues[id] = q
		}
	}
}

func (e *Engine) letGo(q *queue) {
	q.letGo()
	e.mu.Lock()
	if e.going[q.id] == q {
		delete(e.going, q.id)
	}
	e.mu.Unlock()
	close(q.gone)
}
