// Package producer sends messages to RocketMQ.
//
//	p, err := producer.New(client, producer.Config{Group: "checkout"})
//	receipt, err := p.Send(ctx, producer.Message{Topic: "orders", Keys: []string{id}, Body: body})
//
// [Producer.Send] returns once a broker has stored the message. Until then it tries again, on another broker where it
// can, and the context is its only clock: give it one that ends. What no repetition can cure (a topic that doesn't
// exist, a message that is too large) is an error at once; [Retryable] tells the two apart.
//
// A message may be stored twice when a broker stored it and the answer got lost, by a retry inside Send or by the
// caller's own. A retry inside Send keeps the message's id ([Receipt].ID, the property UNIQ_KEY), so that consumers can
// tell. Consumers of RocketMQ have to expect duplicates in any case.
//
// [Producer.SendBatch] stores messages together, [Producer.SendOneWay] waits for no answer, Message.Delay and DeliverAt have
// a message delivered later and [Producer.Recall] takes it back, Message.Queue names a queue, Config.Compression compresses,
// and [Producer.Stats] tells how it goes. docs/sending.md shows each.
// [Producer.Request] sends a message and waits for the reply that a consumer of it gives with [Producer.Reply].
//
// Messages with the same ShardingKey go to the same queue, and keep their order there when each is sent after Send has
// returned for the one before. While a Send is trying, its message stays with that queue. Which queue a key has follows
// from the topic's queues, as in the Java client: when those change, and a master that the name servers have dropped
// takes its queues along, later messages of the key may go to another one.
//
// Callers of one topic share requests where [Config].Linger says so, each with its own context, receipt and error.
// [Producer.SendAsync] doesn't wait for the answer; it keeps the order of a ShardingKey all the same.
//
// # Transactions
//
// [Producer.Transact] has a message delivered if, and only if, a local step such as a database's transaction took effect,
// also when the process is killed in between: docs/transactions.md.
package producer
