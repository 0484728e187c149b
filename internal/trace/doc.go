// Package trace writes RocketMQ's message trace: messages of a topic of its own that tell when a message was sent, stored
// and handled, by whom and how it ended, as org.apache.rocketmq.client.trace writes them, so that `mqadmin
// queryMsgTraceById` and dashboards show what went through rocketkit.
//
// A [Recorder] is a hook of a producer or a consumer. What it sees becomes a record in a bounded buffer, from which one
// goroutine sends; nothing waits for that, and what doesn't fit or can't be sent is counted, said once in the log, and
// dropped. It sends with internal/send, past the producer's hooks, so it never traces itself.
//
// Where records differ from Java's: each message of a batch has a record of its own, so that it is found by its id, and
// each message of a handler's call its own outcome. As Java does, failed and one-way sends leave no record.
package trace
