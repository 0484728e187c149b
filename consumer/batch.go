package consumer

import (
	"context"
	"iter"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/engine"
)

// Batching has a topic's messages handled several at once. It is in use when Handler is set.
type Batching struct {
	// Handler is called for each batch.
	Handler BatchHandler

	// Size is the most messages of a batch. 0 means 100; at most 10,000. Up to (MaxWorkers + 1) * Size messages are held
	// in memory, or 1,024 if that is more, within 262,144 and 64 MiB of bodies for the topic: when no more may be held, a
	// batch goes out as it is.
	Size int

	// Wait is how long the first message of a batch waits for more, counted from its arrival at the consumer. A batch is
	// handed out when Size messages are there or Wait has passed, and a worker is free. 0 hands out what is there as soon
	// as a worker is free, so that batches are small when there is little to do and large when there is much.
	Wait time.Duration
}

// DefaultBatchSize is what a Batching.Size of 0 means.
const DefaultBatchSize = 100

const maxBatchSize = 10_000

// BatchHandler handles one batch. It is called on as many goroutines at once as its topic has workers. ctx ends after the
// topic's Timeout, which counts for the batch, and when a drain is over.
//
// By [Batch.Set] it says what becomes of a message, as a Handler does by its error. The error it returns holds for all
// messages without a verdict of their own; nil acknowledges those. A panic, or the end of its goroutine, is a failure of
// those.
type BatchHandler func(ctx context.Context, b *Batch) error

// BatchMiddleware wraps a batch handler with what several share.
type BatchMiddleware func(BatchHandler) BatchHandler

// Batch is some messages of one topic, at least one. They may come from several of its queues and from the group's retries;
// those of one queue are in the order they were stored. Its methods are safe for concurrent use.
type Batch struct {
	messages []rocketkit.Message
	verdicts *engine.Verdicts
}

// Len returns how many messages there are.
func (b *Batch) Len() int { return len(b.messages) }

// At returns message i, from 0. It panics when there is none.
func (b *Batch) At(i int) *rocketkit.Message { return &b.messages[i] }

// Messages iterates over the messages and their indices.
func (b *Batch) Messages() iter.Seq2[int, *rocketkit.Message] {
	return func(yield func(int, *rocketkit.Message) bool) {
		for i := range b.messages {
			if !yield(i, &b.messages[i]) {
				return
			}
		}
	}
}

// Set says what becomes of message i, whatever the handler returns: nil acknowledges it, [RetryIn], [Drop] and
// [DeadLetter] say what they are called, and any other error has it delivered again. The last verdict counts; one that
// comes after the handler has returned does nothing. Like an index out of range, a message that doesn't exist panics.
func (b *Batch) Set(i int, verdict error) { b.verdicts.Set(i, verdict) }

// setBatch gives the engine's topic its batch handler.
func (c Config) setBatch(e *engine.Topic, b Batching, name, field string) error {
	switch {
	case b.Size < 0 || b.Size > maxBatchSize:
		return configError(field+".Batch.Size", "%d is not between 1 and %d; 0 means %d", b.Size, maxBatchSize, DefaultBatchSize)
	case b.Wait < 0:
		return configError(field+".Batch.Wait", "%v is negative; 0 hands out what is there", b.Wait)
	case len(c.Middleware) > 0 && c.BatchMiddleware == nil:
		return configError("BatchMiddleware", "is nil, and Middleware doesn't wrap the batch handler of topic %s: "+
			"give its counterpart for batches, or an empty slice when there is none to be", name)
	}
	handler, err := wrap(b.Handler, c.BatchMiddleware, "BatchMiddleware", name)
	if err != nil {
		return err
	}
	if e.BatchSize, e.BatchWait = b.Size, b.Wait; b.Size == 0 {
		e.BatchSize = DefaultBatchSize
	}
	e.HandleBatch = func(ctx context.Context, messages []rocketkit.Message, verdicts *engine.Verdicts) error {
		return handler(ctx, &Batch{messages: messages, verdicts: verdicts})
	}
	return nil
}
