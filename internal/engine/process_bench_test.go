package engine

import (
	"context"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// BenchmarkProcess is what a message costs between its pool and its window, with a handler that does nothing, a batch of
// messages at a time, on one worker and on as many as there are processors.
func BenchmarkProcess(b *testing.B) {
	r := rigOn(b, newScripted("b"), "one")
	e := r.engine(config(func(context.Context, *rocketkit.Message) error { return nil }))
	e.handlers = context.Background()
	t := e.topics[topicT]
	t.cfg.Timeout = time.Minute
	raw := &protocol.Message{Topic: topicT, Body: make([]byte, 1024)}
	work := func(next func() bool) {
		q := newQueue(e, t, protocol.Queue{Topic: topicT, Broker: "b"})
		w := newWindow(0)
		offsets := make([]int64, pullBatch)
		for {
			first := w.extend(offsets, 0)
			t.budget.take(pullBatch, pullBatch*1024)
			for i := range uint64(pullBatch) {
				if !next() {
					return
				}
				e.process(task{queue: q, window: w, ticket: first + i, topic: t, raw: raw, size: 1024})
			}
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		left := b.N
		work(func() bool { left--; return left >= 0 })
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
	})
}
