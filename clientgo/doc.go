// Package clientgo runs code that was written for Apache's rocketmq-client-go on rocketkit. [NewProducer],
// [NewTransactionProducer] and [NewPushConsumer] take the place of the functions of package rocketmq: handlers, messages,
// results, contexts, selectors, listeners and interceptors are client-go's own, and so are the options. What says where the
// cluster is and who we are is the [rocketkit.Client]'s instead.
//
// An option that can't be carried over is refused by its name when the producer or consumer is made, and a method by an
// error; nothing is ignored. docs/migrating.md tells of every option what becomes of it, how results map, and how a live
// group is rolled instance by instance: members of client-go and of this package may be in one group.
//
// What is carried over keeps rocketkit's promises where client-go has faults: a handler that panics has its message retried,
// an ordered message that is to be retried isn't skipped, a shutdown waits for handlers and commits, queues change hands
// without duplicates among members of rocketkit.
//
// New code is better written for packages producer and consumer. Importing this package links client-go, which starts a
// goroutine of its own and logs by its own package rlog.
package clientgo
