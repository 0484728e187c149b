// Package send puts messages on brokers: it chooses the queue, sends the request, and goes on until a broker has stored
// the message, a broker has refused it for good, or the caller's context has ended. Whoever sends does it through here:
// the producer, and what moves messages between topics and clusters.
//
// A message without a sharding key may go to any queue. Its queues are taken in turn; after a failure another broker is
// tried at once, and only when every broker has failed is there a pause (10 ms, doubling to 1 s) and a look at the
// route. A message with a sharding key has one queue, chosen from the route when its send begins, and every attempt goes
// there, unless the broker answers that the topic has lost that queue.
//
// A broker that failed is left alone by the other sends of the same [Sender] for a moment; then a single send tries it
// before the rest return to it.
//
// Which answers are worth another attempt departs from the Java client's list (DefaultMQProducer.retryResponseCodes),
// because here the context is the only clock:
//
//   - SYSTEM_BUSY, FLOW_CONTROL and SYSTEM_ERROR (flow control, a failed write, too few replicas in sync): again.
//   - SERVICE_NOT_AVAILABLE, NOT_LEADER_FOR_QUEUE, GO_AWAY (disk full, a replica, shutting down): again.
//   - TOPIC_NOT_EXIST: again, unless the name servers don't know the topic any more either.
//   - INVALID_PARAMETER: again. A topic that has lost queues answers so until the name servers know, which takes up to
//     30 s; a topic's name, the other parameter that brokers check, is the caller's to check before.
//   - NO_PERMISSION: on each broker once; when all say so it is an access rule, and no wait will change it.
//   - NO_BUYER_ID and NOT_IN_CURRENT_UNIT: never; no open-source broker sends them.
//   - SYSTEM_ERROR for a reply that the broker couldn't hand on: again, as the client it is for may be connected to another
//     broker, or come back. That broker isn't left alone for it.
//   - MESSAGE_ILLEGAL and all others: never.
//
// An attempt whose answer got lost may have stored the message, so a message can be stored twice. Both have the id that
// the caller put into its properties.
package send
