package consumer

import "github.com/rocketkit/rocketkit/internal/engine"

// Order says which messages of a topic are handled one after the other, in the order in which their queue has them. The
// zero value is OrderNone.
//
// A failing message whose order is kept is retried where it stands: what must come after it waits, without taking a
// worker, for as long as [RetryIn] says, or for 1 s, and Message.Attempt counts up. After Config.Retries it goes to the
// dead-letter topic, and only once a broker has stored it there does the next come. [Drop] and [DeadLetter] end it at
// once. It is never skipped, and never sent to the group's retry topic; attempts are counted by this process, so after
// a stop, or when its queue goes to another member, they begin at 1 again.
//
// For the order to hold, all members of a group must have the same Order for a topic, and take the queues' locks, as
// rocketkit's and the Java client's orderly listeners do. A topic with a Batch has no Order. docs/ordering.md says what is
// promised, and what is not.
type Order int

// The orders.
const (
	// OrderNone keeps no order: as many messages at once as there are workers.
	OrderNone Order = iota

	// OrderKey keeps the order of the messages of one queue that have the same key; those of different keys are
	// handled at the same time, on the topic's workers. Messages without a key are one more such row in each queue. A
	// failing message holds back its own key alone, until the messages that wait behind it fill what the topic may hold:
	// about 1,024 messages of the topic, or 4 for each of MaxWorkers if that is more, or 64 MiB of bodies, over all of the
	// topic's queues that this member owns; or until 65,536 messages of its queue, from it on, have been received. From then on
	// the topic, or in the last case the queue, receives nothing more until the message is done or dead-lettered.
	OrderKey

	// OrderQueue keeps the order of each queue, as orderly listeners of Apache's Java client do (MessageListenerOrderly),
	// which may be in the same group. A failing message holds back its queue.
	OrderQueue
)

func (o Order) valid() bool { return o >= OrderNone && o <= OrderQueue }

func (o Order) engine() engine.Order {
	return [...]engine.Order{OrderNone: engine.OrderNone, OrderKey: engine.OrderKey, OrderQueue: engine.OrderQueue}[o]
}
