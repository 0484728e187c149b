package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// seedAgain is how long after finding a topic half seeded it is looked at again: another member may be seeding it.
const seedAgain = time.Second

// groupAfter is how often a broker may say that the group doesn't exist before that is taken for true.
const groupAfter = 5

// seed stores the start position of every topic that the group has no offsets of, before the first pull. Left to
// themselves, brokers start such a group at 0 on a young topic, whatever the client asked for, and Apache's clients find
// the position at the first pull, so that what was sent between start and pull is lost. It waits while no broker answers.
func (e *Engine) seed(ctx context.Context) error {
	if e.cfg.Broadcast {
		return nil // brokers keep no position of such a group
	}
	for _, t := range e.topics {
		if t == e.retry {
			continue // retries start at their beginning
		}
		groupless := 0
		for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
			err := e.seedTopic(ctx, t)
			if err == nil {
				break
			}
			switch {
			case errors.Is(err, rocketkit.ErrClosed), refused(err):
				return fmt.Errorf("topic %s: start position: %w", t.name, err)
			case protocol.HasCode(err, protocol.CodeGroupNotExist):
				// The first heartbeat creates the group, where brokers may create groups; one may not have had it yet.
				if groupless++; groupless > groupAfter {
					return fmt.Errorf("topic %s: start position: %w: create the group first", t.name, err)
				}
				e.view.Beat(ctx)
			}
			e.waitFor("brokers", err)
			if err := sleep(ctx, wait); err != nil {
				return err
			}
			_, _ = e.view.Routes().Refresh(ctx, t.physical)
		}
	}
	return nil
}

// refused tells whether waiting won't help: the broker knows the request and says no.
func refused(err error) bool {
	return protocol.HasCode(err, protocol.CodeNoPermission)
}

func (e *Engine) seedTopic(ctx context.Context, t *topic) error {
	r, err := e.view.Routes().Get(ctx, t.physical)
	if err != nil {
		return err
	}
	missing, found, err := e.unseeded(ctx, t, r.Read)
	if err == nil && found > 0 && len(missing) > 0 {
		if err := sleep(ctx, seedAgain); err != nil {
			return err
		}
		missing, found, err = e.unseeded(ctx, t, r.Read)
	}
	if err != nil {
		return err
	}
	t.fresh = found == 0
	for _, q := range missing {
		offset, err := e.seedOffset(ctx, t, q)
		if err != nil {
			return err
		}
		if _, err := e.storeOffset(ctx, q, offset); err != nil {
			return err
		}
	}
	return nil
}

// unseeded asks for the group's offset of every queue: which have none, and how many have one. Queues of a broker that
// can't be reached are left to when they are; an error means that no broker could.
func (e *Engine) unseeded(ctx context.Context, t *topic, queues []protocol.Queue) (missing []protocol.Queue, found int, err error) {
	t.unasked = map[protocol.Queue]bool{}
	down := map[string]error{}
	for _, q := range queues {
		if down[q.Broker] != nil {
			t.unasked[q] = true
			continue
		}
		_, some, err := e.storedOffset(ctx, q)
		switch {
		case refused(err):
			return nil, 0, err
		case err != nil:
			down[q.Broker] = err
			t.unasked[q] = true
		case some:
			found++
		default:
			missing = append(missing, q)
		}
	}
	if len(queues) > 0 && len(t.unasked) == len(queues) {
		failures := make([]error, 0, len(down))
		for _, err := range down {
			failures = append(failures, err)
		}
		return nil, 0, errors.Join(failures...)
	}
	return missing, found, nil
}

// startOffset is where to pull a queue from: what the group has committed, else its beginning when the queue is newer
// than the group, so that a topic or cluster that grows loses nothing. What it chooses it stores, or the next process
// would choose anew.
func (e *Engine) startOffset(ctx context.Context, q *queue) (int64, error) {
	if e.keep != nil {
		return e.keptOffset(ctx, q)
	}
	offset, found, err := e.storedOffset(ctx, q.id)
	if err != nil || found {
		return offset, err
	}
	if offset, err = e.firstOffset(ctx, q.id, q.topic.fresh && q.topic.unasked[q.id]); err != nil {
		return 0, err
	}
	_, err = e.storeOffset(ctx, q.id, offset)
	return offset, err
}

// firstOffset is the configured start for a fresh group, and the oldest message otherwise.
func (e *Engine) firstOffset(ctx context.Context, q protocol.Queue, fresh bool) (int64, error) {
	var req *frame.Frame
	parse := protocol.ParseMinOffset
	switch {
	case fresh && e.cfg.Start.Where == StartLatest:
		req, parse = protocol.MaxOffset{Topic: q.Topic, QueueID: q.ID, BrokerName: q.Broker}.Frame(), protocol.ParseMaxOffset
	case fresh && e.cfg.Start.Where == StartTime:
		req, parse = protocol.SearchOffset{
			Topic: q.Topic, QueueID: q.ID, Time: e.cfg.Start.Time.UnixMilli(), BrokerName: q.Broker,
		}.Frame(), protocol.ParseSearchOffset
	default:
		req = protocol.MinOffset{Topic: q.Topic, QueueID: q.ID, BrokerName: q.Broker}.Frame()
	}
	answer, err := e.invoke(ctx, q.Broker, q.Topic, req)
	if err != nil {
		return 0, err
	}
	offset, err := parse(answer)
	return max(offset, 0), err // a queue that isn't there yet begins at -1, which is no offset to commit
}

// storedOffset asks what the group has committed. A negative offset, which brokers accept and client-go commits, is none.
func (e *Engine) storedOffset(ctx context.Context, q protocol.Queue) (offset int64, found bool, err error) {
	answer, err := e.call(ctx, q.Broker, q.Topic, protocol.QueryOffset{
		Group: e.group, Topic: q.Topic, QueueID: q.ID, BrokerName: q.Broker,
	}.Frame())
	if err != nil {
		return 0, false, err
	}
	offset, found, err = protocol.ParseQueryOffset(answer)
	if err != nil || !found || offset < 0 {
		return 0, false, err
	}
	found, err = e.reallyStored(ctx, q, answer, offset)
	return offset, found, err
}
