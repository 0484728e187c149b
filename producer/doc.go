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
// Messages with the same ShardingKey go to the same queue, and keep their order there when each is sent after Send has
// returned for the one before. While a Send is trying, its message stays with that queue. Which queue a key has follows
// from the topic's queues, as in the Java client: when those change, and a master that the name servers have dropped
// takes its queues along, later messages of the key may go to another one.
//
// Callers of one topic share requests where [Config].Linger says so, each with its own context, receipt and error.
// [Producer.SendAsync] doesn't wait for the answer; it keeps the order of a ShardingKey all the same.
package producer
