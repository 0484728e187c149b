// Package engine is one member of one consumer group on one cluster: it joins the group, shares the queues out among
// the members as RocketMQ's own clients do, pulls, hands messages to the worker pool of their topic, settles what the
// handlers say, and commits.
//
// What a message meets, in order, is a file each: rebalance.go (which queues are ours), queue.go (the pull loop and its
// budget), process.go (handler and verdict), settle.go (retry and dead letter), window.go (the offset that may be
// committed) and commit.go. The state of one topic is in topic.go.
package engine
