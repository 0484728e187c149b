package telemetry

import (
	"context"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/rocketkit/rocketkit/internal/cluster"
)

// tracing is where spans go, and how their contexts travel.
type tracing struct {
	provider   trace.TracerProvider          // nil: the global one
	propagator propagation.TextMapPropagator // nil: the global one, or Trace Context where that isn't set
	known      atomic.Pointer[tracer]        // what was found out of the provider of the last look
	carrying   atomic.Pointer[carrying]      // and of the global propagator
	open       atomic.Int64                  // spans that begun has noted and end hasn't found yet
}

// tracer is what there is to know of a provider.
type tracer struct {
	of         trace.TracerProvider
	comparable bool // two of its kind may be compared without a panic
	tracer     trace.Tracer
	real       bool // an SDK's
}

type carrying struct {
	of         propagation.TextMapPropagator
	comparable bool
	real       bool
}

// newTracing begins with what the Client was given. OpenTelemetry's own placeholder, which a program may have asked for
// before it installed its SDK, stands for whatever is global.
func newTracing(c cluster.Telemetry) *tracing {
	t := &tracing{provider: c.Tracers, propagator: c.Propagator}
	if placeholder(t.provider) {
		t.provider = nil
	}
	if placeholder(t.propagator) {
		t.propagator = nil
	}
	return t
}

// placeholder tells whether OpenTelemetry made it to stand in for an SDK that may be installed later.
func placeholder(p any) bool {
	if p == nil {
		return false
	}
	t := reflect.TypeOf(p)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// tracer is the one to use now; nil when there is no SDK.
func (t *tracing) tracer() trace.Tracer {
	provider := t.provider
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	known := t.known.Load()
	if known == nil || known.comparable && known.of != provider {
		known = newTracer(provider)
		t.known.Store(known)
	}
	if !known.real {
		return nil
	}
	return known.tracer
}

func newTracer(p trace.TracerProvider) *tracer {
	_, none := p.(noop.TracerProvider)
	t := &tracer{of: p, comparable: reflect.TypeOf(p).Comparable(), real: !none && !placeholder(p)}
	if t.real {
		t.tracer = p.Tracer(scope, trace.WithSchemaURL(schema))
	}
	return t
}

// carrier is the propagator to use now; nil when contexts don't travel.
func (t *tracing) carrier() propagation.TextMapPropagator {
	if t.propagator != nil {
		return t.propagator
	}
	if p := otel.GetTextMapPropagator(); t.set(p) {
		return p
	}
	if t.tracer() == nil {
		return nil
	}
	return propagation.TraceContext{}
}

// set tells whether the process has set its global propagator.
func (t *tracing) set(p propagation.TextMapPropagator) bool {
	known := t.carrying.Load()
	if known == nil || known.comparable && known.of != p {
		known = &carrying{of: p, comparable: reflect.TypeOf(p).Comparable(), real: !placeholder(p)}
		t.carrying.Store(known)
	}
	return known.real
}

// on tells whether there is anything to do.
func (t *tracing) on() bool {
	return t.tracer() != nil || t.propagator != nil || t.set(otel.GetTextMapPropagator())
}

// spanKey finds the span that a hook has started in the context that it returned. The span that is there may be the
// caller's own, or one of another hook's, in whose handler this one sends.
type spanKey struct{ by *tracing }

// begun notes a span for the hook's second call, unless there is nothing to do for it then.
func (t *tracing) begun(ctx context.Context, span trace.Span) context.Context {
	if !span.IsRecording() {
		return ctx
	}
	t.open.Add(1)
	return context.WithValue(ctx, spanKey{t}, span)
}

// begunIn is the span that was noted; nil when there is none. It looks into the context only where there is one somewhere,
// as that takes longer than all the rest of a measurement.
func (t *tracing) begunIn(ctx context.Context) trace.Span {
	if t.open.Load() == 0 {
		return nil
	}
	span, _ := ctx.Value(spanKey{t}).(trace.Span)
	return span
}

// end is begunIn for who ends the span, which must be done once.
func (t *tracing) end(ctx context.Context) trace.Span {
	span := t.begunIn(ctx)
	if span != nil {
		t.open.Add(-1)
	}
	return span
}
