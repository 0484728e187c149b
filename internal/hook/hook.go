// Package hook is where what watches messages (telemetry, RocketMQ's message trace) meets what sends and handles them.
// The sides know each other by the types here alone: the watched say what they do, before and after, and the watching may
// put values into the context and properties into what is sent.
//
// Names are logical. Slices and messages are the watched side's, and mustn't be kept or changed after the call's return
// unless it says so.
package hook

import (
	"context"
	"time"

	"github.com/rocketkit/rocketkit"
)

// Sender watches what producers send. Its methods are called by many goroutines at once, and must not block.
type Sender interface {
	// On tells whether it watches now; asked before each send, so it must be quick.
	On() bool

	// Sending is called before the messages are encoded, once for each call of a producer's method. The context that it
	// returns is the one that the send goes on with, and that Sent gets.
	Sending(ctx context.Context, s *Sending) context.Context

	// Sent is called when the send has ended.
	Sent(ctx context.Context, s *Sending, r *Sent)
}

// Kind is a way of sending.
type Kind int

// The ways of sending.
const (
	Send Kind = iota
	OneWay
	Half    // a transaction's message, before its outcome is known
	Request // of request and reply
	Reply
)

// Sending is a send that begins.
type Sending struct {
	Kind     Kind
	Group    string
	Topic    string
	Batch    bool // Messages are stored as one batch, of perhaps one
	Messages []Outgoing
	Began    time.Time
}

// Outgoing is one message of a send.
type Outgoing struct {
	ID         string
	Tag        string
	Keys       []string
	Size       int        // of the body in bytes, before compression
	Delayed    bool       // delivered later than at once
	Properties []Property // the message's own aren't here; what a Sender appends is sent with it, unless there is no room

	Own map[string]string // the message's own properties
}

// Property is one to be sent with a message.
type Property struct{ Name, Value string }

// Sent is how a send has ended.
type Sent struct {
	Took     time.Duration
	Attempts int // requests made
	Err      error

	// Where the first of the messages was stored; zero when Err is not nil. Of a one-way send only where it went is known.
	Queue    rocketkit.Queue
	Offset   int64
	OffsetID string // of a batch, one for each message joined by commas
	Address  string // the broker's, host:port
	Region   string // the broker's (MSG_REGION); may be empty
	Unsafe   bool   // it isn't flushed or replicated yet as the broker is set to: a status other than SEND_OK
	Untraced bool   // the broker is set to have no message traced (traceOn)
}

// Ender is a Sender that also watches what is decided later of a message that was stored.
type Ender interface {
	// Ended is called when the broker has been told, or couldn't be: then Err says so. What is undecided brokers aren't
	// told: they ask. It must not block.
	Ended(e *Ended)
}

// End is what is decided of a message.
type End int

// The ends of a transaction's message, and the recall of a delayed one.
const (
	Commit End = iota
	Rollback
	Undecided
	Recall
)

// Ended is what was decided. Of a recalled message ID, Group and Topic are known and no more.
type Ended struct {
	End           End
	Group         string
	Topic         string
	ID            string
	Tag           string
	Keys          []string
	TransactionID string
	Checked       bool   // in answer to a check-back
	Address       string // the broker's, host:port
	Region        string // the broker's; may be empty
	Err           error
}

// Handler watches the handlers of a consumer. Its methods are called by many goroutines at once, and must not block.
type Handler interface {
	// On tells whether it watches now; asked before each handler's call, so it must be quick.
	On() bool

	// Handling is called before a handler, but not when a tool has asked for it, since nothing follows then. The context
	// that it returns is the one the handler gets, and Handled.
	Handling(ctx context.Context, h *Handling) context.Context

	// Handled is called once the handler has returned or panicked, or ended its goroutine, on that goroutine. There is an
	// outcome for each message.
	Handled(ctx context.Context, h *Handling, outcomes []Outcome)
}

// Unhandler is a Handler that also watches messages that no handler could get.
type Unhandler interface {
	// Unhandled is called with what becomes of a message of a handler's topic that is unfit, as its body can't be
	// decompressed or Topic.Key panics. It must not block.
	Unhandled(topic string, o Outcome)
}

// Handling is a handler's call.
type Handling struct {
	Group    string
	Topic    string // that the handler is for, also when its messages come from the group's retry topic
	Batch    bool   // a batch handler's, of perhaps one message
	Messages []rocketkit.Message
	Began    time.Time
	Took     time.Duration // known to Handled
}

// Outcome is what becomes of a message. Where the limit of retries is the group's own on the brokers, it is taken to be
// RocketMQ's default, 16: brokers don't say when they make a dead letter of a message that is sent back.
type Outcome struct {
	Verdict  Verdict
	Why      string // empty for Done
	TimedOut bool   // the handler returned after its time-out
	Panicked bool
}

// Verdict is a kind of Outcome.
type Verdict int

// What becomes of messages.
const (
	Done       Verdict = iota // acknowledged
	Retry                     // is delivered again
	Drop                      // is not, by the handler's word, or since every member of the group receives it
	DeadLetter                // goes to the dead-letter topic
)
