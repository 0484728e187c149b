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
// All of this changes while the consumer runs: by [Consumer.Tune], [Consumer.PauseTopic] and [Consumer.ResumeTopic] in code, and
// from outside by the group's settings document ([Settings], and package dynconf), which operators write to the name servers.
// A change is in force at once, interrupts no handler, and neither loses nor repeats a message.
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
// A new group begins where [Config].Start says. [Offsets] keeps its positions in a store of the caller's, such as the
// database that handlers write to.
//
// When members come or go, a queue changes hands under the broker's lock on it: who loses it finishes and commits what it
// has begun, and who gains it waits for that. So scaling and rolling restarts repeat nothing among members that run
// rocketkit. A member that was killed is not waited for. One that is frozen is, until its lock lapses after 60 s; when it
// goes on, what it had received may be handled twice.
//
// Groups may mix with members that run Apache's Java client or rocketmq-client-go: queues are shared out by the same
// rule (AllocateMessageQueueAveragely), and offsets, retries and dead letters are the same. Those clients don't take the
// lock, but for the Java client's orderly listeners: queues that they give up or get change hands as they always did, at
// once and with some messages twice. While a group has a rocketkit member, a plain send to its retry topic, to which
// those clients resort when sending back fails, is dead-lettered by brokers of 5.x.
package consumer
