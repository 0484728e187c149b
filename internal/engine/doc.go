// Package engine is one member of one consumer group on one cluster: it joins the group, shares the queues out among
// the members as RocketMQ's own clients do, pulls, hands messages to the worker pool of their topic, settles what the
// handlers say, and commits.
//
// What a message meets, in order, is a file each: start.go (where a new group begins), rebalance.go with members.go and
// assign.go (which queues are ours), lock.go with locker.go and holders.go (the lock under which a queue changes hands),
// handover.go (how one is let go), queue.go (an ownership), pull.go and
// handout.go (the pull loop), budget.go (what may be held), process.go and deadline.go (the handler and its context), settle.go and anew.go (retry and dead letter), window.go (the offset that may be
// committed) and commit.go. The state of one topic is in topic.go, and in broker.go what each broker is to be told: each
// has a committer, a settler and a locker of its own. serve.go answers what brokers ask, drain.go is the end.
package engine
