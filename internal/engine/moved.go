package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// What a queue does when its position, its replica or its topic turns out to be no good any more.

// avoidReplica is how long a broker's suggestions to pull from a replica aren't followed after a pull there that was no
// good. A name server goes on listing a replica that was killed for up to two minutes, and its master suggests it as long.
const avoidReplica = 30 * time.Second

// suggest notes where the broker wants the next pull to go.
func (q *queue) suggest(node int64) {
	if time.Now().Before(q.avoiding) {
		node = protocol.MasterID
	}
	q.node = node
}

// avoid has the master asked for a while, when it was a replica that was asked. Callers hold q.mu.
func (q *queue) avoid() {
	if q.node != protocol.MasterID {
		q.node, q.avoiding = protocol.MasterID, time.Now().Add(avoidReplica)
	}
}

// doubted tells whether an answer is a replica's that doesn't have what its master has: only masters are believed about
// where a queue begins and ends. Where there is a master, it is asked next.
func (q *queue) doubted(r *route.Route, address string, result *protocol.PullResult, asked int64) (doubted, again bool) {
	master, up := r.Master(q.id.Broker)
	if address == master || result.IsReset() {
		return false, false
	}
	switch result.Status {
	case protocol.PullOffsetMoved:
		doubted = up || result.NextOffset < asked // with no master, what has expired there has expired
	case protocol.PullRetryImmediately:
		doubted = result.NextOffset == asked // how a replica of 5.x says that it lags
	}
	if doubted {
		q.mu.Lock()
		q.avoid()
		q.mu.Unlock()
	}
	return doubted, up
}

// correct makes an answer say where to go on when the topic isn't what it was.
func (q *queue) correct(ctx context.Context, address string, result *protocol.PullResult, asked int64, held time.Duration) (err error) {
	switch {
	case result.IsReset():
	case result.Status == protocol.PullOffsetMoved && result.NextOffset < asked:
		result.NextOffset, err = q.behindEnd(ctx, address, result)
	case result.Status == protocol.PullFound && held > heldLong:
		var anew bool
		if anew, err = q.createdAnew(ctx, address, result, asked); anew {
			result.Status, result.NextOffset, result.Body = protocol.PullOffsetMoved, result.MinOffset, nil
		}
	}
	return err
}

// behindEnd finds where to go on in a queue that ends before our position. It was cut, as by a broker that has crashed
// before its last messages were on disk: then what is left has been received, and its end is the place, or the oldest
// message that isn't finished, since what was received counts no more once the position is moved. Or the topic was deleted
// and created anew: then all of it is new to us. Without a message received since the queue is ours nothing tells, and the
// end it is, as in RocketMQ's own clients.
func (q *queue) behindEnd(ctx context.Context, address string, result *protocol.PullResult) (int64, error) {
	anew, err := q.isNew(ctx, address, result.MinOffset, result.NextOffset)
	if anew {
		return result.MinOffset, err
	}
	return min(result.NextOffset, q.current().floor()), err
}

// heldLong is how long a pull was held after which its topic may have become another one.
const heldLong = time.Second

// createdAnew finds out, when a pull was held for long, whether the topic was deleted and created anew meanwhile and has
// grown beyond our position, so that the answer looks like any other. Brokers of 5.x delete a topic's offsets with it.
func (q *queue) createdAnew(ctx context.Context, address string, result *protocol.PullResult, asked int64) (bool, error) {
	if asked <= result.MinOffset || q.newest < 0 {
		return false, nil
	}
	_, found, err := q.engine.storedOffset(ctx, q.id)
	if err != nil || found {
		return false, err
	}
	return q.isNew(ctx, address, result.MinOffset, asked)
}

// isNew tells whether the messages between two offsets were all stored after anything that we have received. Commit-log
// offsets tell, since a broker's log goes on over the deletion of a topic.
func (q *queue) isNew(ctx context.Context, address string, from, to int64) (bool, error) {
	for at := from; q.newest >= 0 && at < to; {
		first, err := q.ask(ctx, address, at, 1)
		if err != nil {
			return false, err
		}
		switch {
		case first.Status == protocol.PullFound:
			messages, err := protocol.DecodeMessages(first.Body, q.id.Topic)
			if err != nil {
				return false, fmt.Errorf("block at offset %d: %w", at, err)
			}
			return len(messages) > 0 && messages[0].CommitLogOffset > q.newest, nil
		case first.NextOffset <= at:
			return false, nil
		}
		at = first.NextOffset // a filter left nothing so far
	}
	return false, nil
}

// topicGone notes that the broker doesn't know the topic: whether our position still counts is found out when it does
// again. Until then nothing is committed, lest an old floor be stored for a new topic.
func (q *queue) topicGone() {
	if !q.unsure.Swap(true) {
		wake(q.room)
	}
}

// locateAgain finds out whether a topic that was missing is the one we knew. Brokers of 5.x delete a topic's offsets with
// it: when the group's are there, the topic was only away.
func (q *queue) locateAgain(ctx context.Context) error {
	_, found, err := q.engine.storedOffset(ctx, q.id)
	if err != nil {
		return err
	}
	if !found {
		offset, err := q.oldest(ctx)
		if err != nil {
			return err
		}
		q.engine.log.Warn("the topic was deleted and created anew, beginning at its oldest message", "queue", q.public, "offset", offset)
		q.restart(offset)
		q.newest = -1
	}
	q.unsure.Store(false)
	q.moved()
	return nil
}

// oldest has the queue begin at its oldest message, whatever is kept of the topic that it belonged to before, and whatever
// the group's start was.
func (q *queue) oldest(ctx context.Context) (int64, error) {
	offset, err := q.engine.firstOffset(ctx, q.id, false)
	if err != nil {
		return 0, err
	}
	if q.engine.keep != nil {
		return offset, q.engine.keepStart(ctx, q, offset)
	}
	_, err = q.engine.storeOffset(ctx, q.id, offset)
	return offset, err
}

// follow goes where the broker moved the position to, and says why. It is false when what was received before still
// counts, and the answer is to be handled like any other.
func (q *queue) follow(result *protocol.PullResult, asked int64) (restarted bool) {
	log := q.engine.log.With("queue", q.public, "from", asked, "to", result.NextOffset)
	switch {
	case result.IsReset():
		log.Warn("offset reset")
	case result.NextOffset < asked:
		log.Warn("the position is none of the queue's any more: its broker has lost messages, the topic was created anew, or the offset was never good")
	case result.NextOffset > asked:
		// What was to come has expired; what was received before has not, and is still to be handled.
		q.mu.Lock()
		q.skipped += result.NextOffset - asked
		q.mu.Unlock()
		log.Warn("messages have expired before they were received", "skipped", result.NextOffset-asked)
		return false
	default:
		return false
	}
	q.restart(result.NextOffset)
	return true
}
