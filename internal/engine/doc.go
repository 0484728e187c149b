// Package engine is one member of one consumer group on one cluster: it joins the group, shares the queues out among
// the members as RocketMQ's own clients do, pulls, hands messages to the worker pool of their topic, settles what the
// handlers say, and commits.
//
// What a message meets, in order, is a file each: start.go (where a new group begins), rebalance.go with members.go and
// assign.go (which queues are ours), queue.go (an ownership), pull.go and handout.go (the pull loop), budget.go (what may be held), process.go and deadline.go
// (the handler and its context), settle.go and anew.go (retry and dead letter), window.go (the offset that may be
// committed) and commit.go. The state of one topic is in topic.go, and in broker.go what each broker is to be told: each
// has a committer and a settler of its own. serve.go answers what brokers ask, with direct.go (a message handled for a tool) and
// stack.go, drain.go is the end. What an operator sees comes from running.go (the handlers that run), times.go (how long
// they take), heldby.go (what a queue waits for) and stats.go.
package engine
