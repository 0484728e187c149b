package cluster

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry is what a Client's metrics and spans go to. Nil stands for the process's own, as OpenTelemetry keeps it.
type Telemetry struct {
	Meters     metric.MeterProvider
	Tracers    trace.TracerProvider
	Propagator propagation.TextMapPropagator
}

// Telemetry returns what the metrics and spans of everything on this Cluster go to.
func (c *Cluster) Telemetry() Telemetry { return c.cfg.Telemetry }
