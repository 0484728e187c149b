package consumer

import (
	"context"

	"github.com/rocketkit/rocketkit"
)

// Offsets keeps a group's positions where the caller wants them: in the database that handlers write to, or in the state
// of a streaming job. A position is the offset of the next message to handle. What Load says counts; brokers are told
// each position after Commit has taken it, so that RocketMQ's tools show the progress, but are not asked for it.
// All members of a group have to keep them in one place.
//
// # Load
//
// Load returns the positions of queues, in any order, without those it has none of. It is called
// before the member joins its group, for all queues of its topics, and again for each queue that the member gets, before
// the first message of it is asked for; for the queues of the group's retry topic, whose Topic is "%RETRY%" and the
// group's name, then alone. A member gets a queue after its last owner, when that was stopped or had time to give it up,
// has called Commit for it the last time. After a kill -9 of the last owner it is what was committed until then.
//
// A queue that Load has no position of begins at Config.Start when there was none of its whole topic either before the
// member joined, and at its oldest message otherwise: it is then newer than the group. That beginning is
// committed at once. What the group has on its brokers, from a time before it had an Offsets, doesn't count; put it
// into the store first (package admin reads it).
//
// # Commit
//
// Commit stores positions, of which each is the lowest offset that isn't finished. It is called soon after
// some have risen, at most every 10 ms for the queues of each broker, when a queue is given up, and at the end of a
// drain. Positions of a queue only rise, unless an operator has reset the group's offset or the broker has lost its newest
// messages: then the next one is where it goes on. The same position may come twice. Not each offset comes.
//
// Handlers may store positions themselves, in the transaction with their effects, when each queue's messages are handled
// one after the other: the message's offset plus 1, under m.Queue(). Then an effect is there exactly once, whatever is
// killed. Commit may then come late with a lower position than the handler has stored; it must not store that, unless
// it is a reset: lower than what the previous Commit had for the queue.
//
// # Calls and errors
//
// There is one call at a time for each Consumer, of Load or Commit; the maps belong to the callee. A call's context ends
// after 10 s, or with the Consumer. A call must end soon after its context, and must not store anything after it has
// returned, even with an error: what it stored late could undo what came after. Errors and panics are retried for as
// long as they last, logged once for each broker, and shown in Stats.OffsetsError. Meanwhile messages are handled, but nothing is
// committed, on brokers either; a queue that can't be loaded waits.
type Offsets interface {
	Load(ctx context.Context, queues []rocketkit.Queue) (map[rocketkit.Queue]int64, error)
	Commit(ctx context.Context, positions map[rocketkit.Queue]int64) error
}
