// Package protocol holds RocketMQ's requests, answers, bodies and message encoding. It knows no sockets:
// a request is a struct whose Frame method gives the frame to send, and an answer is read from the frame
// that came back by the Parse function named after it.
//
// Field names on the wire are those of RocketMQ's header and body classes, read in 5.5.0 and checked against 4.9.7.
// Every Parse function of an answer checks the answer's code first and returns an *[Error] for a refusal,
// so a caller needs no check of its own; [Check] serves answers that carry nothing but their code.
//
// What comes from a peer is never trusted: lengths are checked against the bytes at hand before anything is
// allocated, and malformed input is an error wrapping [ErrMalformed].
//
// What brokers that stand in for RocketMQ (package mqtest) read and write is in served.go and answers.go. Such brokers
// serve more than rocketkit's clients send or answer so far; what only they and their tests need says so.
//
// Nothing here is shared or locked. Requests and answers are plain values; the one type made for concurrent
// use is [IDs].
package protocol
