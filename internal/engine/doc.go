// Package engine is one member of one consumer group on one cluster: it joins the group, shares the queues out among
// the members as RocketMQ's own clients do, pulls, hands messages to the worker pool of their topic, settles what the
// handlers say, and commits.
//
// What a message meets, in order, is a file each: start.go (where a new group begins), rebalance.go with members.go and
// assign.go (which queues are ours), queue.go (an ownership), lock.go with locker.go, holders.go and handover.go (whose
// turn it is), pull.go and handout.go (the pull loop), moved.go (positions, replicas and topics that are no good any
// more), budget.go (what may be held), process.go and deadline.go (the handler and its context), batch.go and batchrun.go
// (the same for batches), settle.go and anew.go (retry and dead letter), window.go (the offset that may be committed) and
// commit.go. Where a topic keeps an order (order.go), its messages stand in lanes.go before the pool, and walk.go and
// wait.go are in place of process.go and settle.go. The state of one topic is in topic.go, and in broker.go what each
// broker is to be told: each has a committer, a settler and a locker of its own. keep.go and keeper.go have positions kept
// elsewhere, too. filter.go and differ.go look after the subscriptions: whether brokers can filter by them, and whether
// other members have the same. serve.go answers what brokers ask, with direct.go (a message handled for a tool) and
// stack.go, drain.go is the end. traffic.go spares a process that receives much the garbage collector's attention. What an operator sees comes from running.go (the handlers that run), times.go (how long
// they take), heldby.go (what a queue waits for) and stats.go.
package engine
