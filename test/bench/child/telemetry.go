package child

import (
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/rocketkit/rocketkit"
)

// sampled is the share of traces that are kept, as a service with much traffic has it.
const sampled = 0.01

// measure gives the Client the SDK that the options ask for. Nobody reads what it gathers: that is the exporter's cost.
func (o Options) measure(cfg *rocketkit.Config) {
	if o.Telemetry == "metrics" || o.Telemetry == "traces" {
		cfg.MeterProvider = metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	}
	if o.Telemetry == "traces" {
		cfg.TracerProvider = trace.NewTracerProvider(trace.WithSampler(trace.ParentBased(trace.TraceIDRatioBased(sampled))))
	}
}
