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
// A topic has [Topic].Workers, and up to MaxWorkers while its messages wait. [Consumer.Stats] tells what they do, and what
// holds a queue back; RocketMQ's own tools are told the same.
//
// Delivery is at least once. Offsets are committed only up to the lowest message that is not finished, within
// milliseconds: a stop that drains repeats nothing; a kill -9 repeats what was being handled and what was finished above
// it.
//
// Groups may mix with members that run Apache's Java client or rocketmq-client-go: queues are shared out by the same
// rule (AllocateMessageQueueAveragely), and offsets, retries and dead letters are the same.
package consumer
