// Package consumer receives messages as a member of a RocketMQ consumer group, through a worker pool per topic.
//
//	c, err := consumer.New(client, consumer.Config{
//		Group: "billing",
//		Topics: map[string]consumer.Topic{
//			"orders":  {Handler: onOrder, Workers: 32},
//			"refunds": {Handler: onRefund, Tags: []string{"full", "partial"}},
//		},
//	})
//	err = rocketkit.Run(ctx, c)
//
// A [Handler] says by its error what becomes of a message: nil acknowledges it, [RetryIn], [Drop] and [DeadLetter] say
// what they are called, and any other error, like a panic, has it delivered again after RocketMQ's own backoff, until
// the group's retries are used up and it goes to the dead-letter topic.
//
// A topic's [Batching] has its messages handled several at once, each with a verdict of its own; [JSON] gives a handler
// the body as a value. Tags or an SQL92 expression say which messages of a topic are wanted, the same in all members of the
// group: those that differ are named in [Stats].
//
// Delivery is at least once. Offsets are committed only up to the lowest message that is not finished, within
// milliseconds: a stop that drains repeats nothing; a kill -9 repeats what was being handled and what was finished above
// it.
//
// A topic's [Order] keeps messages in order: [OrderKey] those of one key, [OrderQueue] those of one queue. A failing
// message is then retried in its place.
//
// Groups may mix with members that run Apache's Java client or rocketmq-client-go: queues are shared out by the same
// rule (AllocateMessageQueueAveragely), and offsets, retries and dead letters are the same.
package consumer
