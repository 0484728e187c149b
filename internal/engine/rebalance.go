package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// rebalanceUntil shares the queues out at once, then again whenever the group or a route changes, and each 20 s in case
// a notice was lost, until ctx ends or the Client is closed. What fails keeps the queues it has and is tried again soon.
func (e *Engine) rebalanceUntil(ctx context.Context) error {
	tick := time.NewTimer(0)
	defer tick.Stop()
	ready, failing := false, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.again:
		case <-tick.C:
		}
		err := e.rebalance(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, rocketkit.ErrClosed):
			return err
		case err != nil && !ready:
			e.waitFor("brokers", err)
		case err != nil && !failing:
			e.log.Warn("queues not shared out, keeping the present ones", "error", err)
		case err == nil && !ready:
			ready = true
			e.setState(Running, "")
			close(e.ready)
		}
		failing = err != nil
		tick.Reset(e.untilNext(ctx, failing))
	}
}

// untilNext is how long after a rebalance there is another one, whatever happens.
func (e *Engine) untilNext(ctx context.Context, failing bool) time.Duration {
	if failing || time.Since(e.started) < announceWithin && !e.retryRouted(ctx) {
		return maxBackoff
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.graceEnds.IsZero() {
		return rebalanceEvery
	}
	return min(max(time.Until(e.graceEnds), minBackoff), rebalanceEvery)
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
	away := e.view.AllAway() // first: an outage ends when the routes name the broker again
	routes := map[*topic]*route.Route{}
	for _, t := range e.topics {
		r, err := e.view.Routes().Get(ctx, t.physical)
		switch {
		case err == nil:
			routes[t] = r
		case t != e.retry:
			failures = append(failures, fmt.Errorf("topic %s: %w", t.name, err))
		}
	}
	if e.cfg.Broadcast {
		for t, r := range routes {
			e.own(ctx, t, r, away, r.Read)
		}
		return errors.Join(failures...)
	}
	members, err := e.groupMembers(ctx, routes)
	if err != nil {
		return errors.Join(append(failures, err)...)
	}
	e.saw(members)
	for t, r := range routes {
		e.own(ctx, t, r, away, assign(r.Read, members, e.view.ClientID()))
	}
	return errors.Join(failures...)
}

// retryRouted tells whether the retry topic is known on every broker that our topics are on. Brokers make it at the first
// heartbeat and announce it a moment later; until then it is asked for often, so that the first retries don't wait.
func (e *Engine) retryRouted(ctx context.Context) bool {
	if e.cfg.Broadcast {
		return true // there are no retries
	}
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

// own makes the topic's queues exactly those wanted, but for those whose broker is away. A queue whose lock another member
// has taken is let go, and begun anew when it is still wanted.
func (e *Engine) own(ctx context.Context, t *topic, r *route.Route, away map[string]bool, wanted []protocol.Queue) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, q := range e.queues {
		if q.topic != t {
			continue
		}
		if !q.lock.lost.Load() && (slices.Contains(wanted, id) || e.keeps(q, r, away)) {
			continue
		}
		delete(e.queues, id)
		e.going[id] = q
		e.letting.Go(func() { e.letGo(q) })
	}
	for _, id := range wanted {
		if e.queues[id] == nil {
			q := newQueue(e, t, id)
			e.work(q.broker)
			q.start(context.WithoutCancel(ctx))
			e.queues[id] = q
		}
	}
}
