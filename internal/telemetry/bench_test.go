package telemetry_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func handling() *hook.Handling {
	raw := &protocol.Message{Body: []byte("x"), StoreMillis: 1}
	return &hook.Handling{
		Topic: "orders", Messages: []rocketkit.Message{rocketkit.Received(raw, "orders", rocketkit.Queue{})}, Began: time.Now(),
	}
}

// BenchmarkHandler is what a handled message costs: without an SDK, with one that measures, and with one that also traces
// a hundredth of the messages, or all.
func BenchmarkHandler(b *testing.B) {
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	for _, c := range []struct {
		name string
		cfg  rocketkit.Config
	}{
		{"off", rocketkit.Config{}},
		{"metrics", rocketkit.Config{MeterProvider: meters}},
		{"sampled", rocketkit.Config{MeterProvider: meters, TracerProvider: trace.NewTracerProvider(trace.WithSampler(trace.TraceIDRatioBased(0.01)))}},
		{"traced", rocketkit.Config{MeterProvider: meters, TracerProvider: trace.NewTracerProvider()}},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, handle := hooks(b, c.cfg)
			h, outcomes := handling(), []hook.Outcome{{}}
			b.ReportAllocs()
			for b.Loop() {
				if handle.On() {
					handle.Handled(handle.Handling(context.Background(), h), h, outcomes)
				}
			}
		})
	}
}
