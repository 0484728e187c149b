package engine

import (
	"context"
	"testing"
	"time"
)

// BenchmarkHandlerContext is what the context of one message costs a handler that never asks for it, beside what the
// standard library makes.
func BenchmarkHandlerContext(b *testing.B) {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("rocketkit", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ctx := &handlerContext{Context: parent, deadline: time.Now().Add(time.Minute)}
				keep(ctx)
				ctx.end()
			}
		})
	})
	b.Run("WithTimeout", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ctx, cancel := context.WithTimeout(parent, time.Minute)
				keep(ctx)
				cancel()
			}
		})
	})
}

//go:noinline
func keep(context.Context) {}
