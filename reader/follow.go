package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// meet waits for the topic's route, for as long as ctx allows when no name server answers, and begins to read its queues.
// A topic that name servers say doesn't exist is an error at once: waiting would hide a wrong name.
func (r *Reader) meet(ctx context.Context, l *loop) error {
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		now, err := r.view.Routes().Get(ctx, r.topic)
		if err == nil {
			if err = r.checkNamed(now); err != nil {
				return err
			}
			r.readQueues(ctx, l, now)
			return nil
		}
		if err := r.waitFor(ctx, err); err != nil {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// waitFor shows, and logs once, that the loop waits for name servers; what isn't worth waiting for it returns.
func (r *Reader) waitFor(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, route.ErrNoRoute), errors.Is(err, rocketkit.ErrClosed):
		return err
	}
	r.mu.Lock()
	first := r.waits == ""
	r.waits = "name servers: " + err.Error()
	r.mu.Unlock()
	if first {
		r.log.Warn("waiting", "for", "name servers", "error", err)
	}
	return nil
}

// checkNamed finds a queue that was asked for and that its broker, which is there, doesn't have. A broker that isn't there
// may come back with its queues.
func (r *Reader) checkNamed(now *route.Route) error {
	for _, q := range r.cfg.Queues {
		if now.Nodes(q.Broker) != nil && !slices.Contains(now.Read, r.physical(q)) {
			return fmt.Errorf("queue %s: its broker has no such queue to read: %w", q, route.ErrNoRoute)
		}
	}
	return nil
}

func (r *Reader) physical(q rocketkit.Queue) protocol.Queue {
	return protocol.Queue{Topic: r.topic, Broker: q.Broker, ID: int32(q.ID)}
}

// follow adds the queues that the topic gains, until ctx ends. One that the route has lost is still asked for: its broker
// may be back, and its position is kept.
func (r *Reader) follow(ctx context.Context, l *loop, again <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
		}
		if now, err := r.view.Routes().Get(ctx, r.topic); err == nil {
			r.readQueues(ctx, l, now)
		}
	}
}

// readQueues begins to read the queues that l doesn't read yet.
func (r *Reader) readQueues(ctx context.Context, l *loop, now *route.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits = ""
	wanted := r.cfg.Queues
	if len(wanted) == 0 {
		for _, q := range now.Read {
			wanted = append(wanted, rocketkit.Queue{Topic: r.cfg.Topic, Broker: q.Broker, ID: int(q.ID)})
		}
		for q := range r.queues { // met before, and gone from the route
			if !slices.Contains(wanted, q) {
				wanted = append(wanted, q)
			}
		}
	} else {
		r.reportUnread(now)
	}
	for _, name := range wanted {
		q := r.queues[name]
		if q == nil {
			q = r.newQueue(name)
			r.queues[name] = q
		}
		if q.loop != l {
			q.loop = l
			l.starting++
			l.working.Go(func() { q.run(ctx, l) })
		}
	}
	r.routed = true
	r.checkReady()
}

// newQueue makes a queue that is met for the first time. Callers hold r.mu.
func (r *Reader) newQueue(name rocketkit.Queue) *queue {
	q := &queue{r: r, id: r.physical(name), public: name, gained: r.routed, room: make(chan struct{}, 1), position: -1, next: -1}
	if offset, ok := r.positions[name]; ok {
		q.position, q.next = offset, offset
		delete(r.positions, name)
	}
	return q
}

// reportUnread notes the queues that the topic has gained and that weren't asked for. Callers hold r.mu.
func (r *Reader) reportUnread(now *route.Route) {
	for _, id := range now.Read {
		q := rocketkit.Queue{Topic: r.cfg.Topic, Broker: id.Broker, ID: int(id.ID)}
		if slices.Contains(r.cfg.Queues, q) || r.seen[q] {
			continue
		}
		r.seen[q] = true
		if r.routed {
			r.unread = append(r.unread, q)
			r.log.Warn("the topic has a new queue, which isn't read: Config.Queues names others", "queue", q)
		}
	}
}
