package telemetry

import (
	"context"
	"net"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/hook"
)

// Sender measures and traces the sends of one producer. It is a [hook.Sender].
type Sender struct {
	tracing  *tracing
	clientID string
	sets     sets

	duration metric.Float64Histogram
	sent     metric.Int64Counter
	retries  metric.Int64Counter
}

// NewSender makes one for the producers of a group, by its logical name.
func NewSender(view *cluster.View, group string) *Sender {
	all := newInstruments(view.Telemetry().Meters)
	s := &Sender{
		tracing:  newTracing(view.Telemetry()),
		clientID: view.ClientID(),
		duration: all.histogram(operationDuration),
		sent:     all.counter(sentMessages),
		retries:  all.counter(producerRetries),
	}
	tenant := view.Names.Tenant()
	s.sets.kind = trace.SpanKindProducer
	s.sets.attributes = func(l labels) []attribute.KeyValue {
		attributes := []attribute.KeyValue{attribute.String(keyProducerGroup, group), attribute.String(keyDestination, l.topic)}
		if l.operation != "" {
			attributes = append(attributes, attribute.String(keySystem, system),
				attribute.String(keyOperation, l.operation), attribute.String(keyOperationType, "send"))
		}
		return with(attributes, keyNamespace, tenant)
	}
	return s
}

// On tells whether somebody measures or traces. A view of the SDK's may drop any of the metrics and keep others.
func (s *Sender) On() bool {
	ctx := context.Background()
	return s.duration.Enabled(ctx) || s.sent.Enabled(ctx) || s.retries.Enabled(ctx) || s.tracing.on()
}

// operation names a way of sending.
func operation(k hook.Kind) string {
	switch k {
	case hook.OneWay:
		return "send_oneway"
	case hook.Half:
		return "send_transaction"
	case hook.Request:
		return "request"
	case hook.Reply:
		return "reply"
	}
	return "send"
}

// Sending begins a span and gives its context to the messages.
func (s *Sender) Sending(ctx context.Context, send *hook.Sending) context.Context {
	tracer, carrier := s.tracing.tracer(), s.tracing.carrier()
	if tracer != nil {
		set := s.sets.of(labels{operation: operation(send.Kind), topic: send.Topic})
		var span trace.Span
		ctx, span = tracer.Start(ctx, set.span, set.start...)
		ctx = s.tracing.begun(ctx, span)
		if span.IsRecording() {
			s.describe(span, send)
		}
	}
	if carrier != nil {
		inject(ctx, send, carrier, spanOrNone(s.tracing.begunIn(ctx)))
	}
	return ctx
}

// describe says what is sent.
func (s *Sender) describe(span trace.Span, send *hook.Sending) {
	span.SetAttributes(attribute.String("messaging.client.id", s.clientID))
	if send.Batch {
		span.SetAttributes(attribute.Int("messaging.batch.message_count", len(send.Messages)))
		return
	}
	m := &send.Messages[0]
	span.SetAttributes(
		attribute.String("messaging.message.id", m.ID),
		attribute.Int("messaging.message.body.size", m.Size),
	)
	if m.Tag != "" {
		span.SetAttributes(attribute.String("messaging.rocketmq.message.tag", m.Tag))
	}
	if len(m.Keys) > 0 {
		span.SetAttributes(attribute.StringSlice("messaging.rocketmq.message.keys", m.Keys))
	}
}

// inject gives the context to the messages, but for those that have one of the caller's, which stays and is linked to.
func inject(ctx context.Context, send *hook.Sending, carrier propagation.TextMapPropagator, span trace.Span) {
	var add added
	carrier.Inject(ctx, &add)
	for i := range send.Messages {
		m := &send.Messages[i]
		if !owns(m, carrier) {
			m.Properties = append(m.Properties, add...)
			continue
		}
		own := trace.SpanContextFromContext(carrier.Extract(context.Background(), propagation.MapCarrier(m.Own)))
		if own.IsValid() && span.IsRecording() {
			span.AddLink(trace.Link{SpanContext: own})
		}
	}
}

// spanOrNone is a span that does nothing in place of nil.
func spanOrNone(span trace.Span) trace.Span {
	if span == nil {
		return trace.SpanFromContext(context.Background())
	}
	return span
}

// Sent measures the send and ends its span.
func (s *Sender) Sent(ctx context.Context, send *hook.Sending, r *hook.Sent) {
	failure := failureOf(r.Err)
	set := s.sets.of(labels{operation: operation(send.Kind), topic: send.Topic, failure: failure})
	s.duration.Record(ctx, r.Took.Seconds(), set.record...)
	if r.Attempts > 0 {
		s.sent.Add(ctx, int64(len(send.Messages)), set.add...)
	}
	if r.Attempts > 1 {
		s.retries.Add(ctx, int64(r.Attempts-1), set.own.add...)
	}
	span := s.tracing.end(ctx)
	if span == nil {
		return
	}
	if span.IsRecording() {
		describeEnd(span, r, failure)
	}
	span.End()
}

// describeEnd says where a send went, or why it didn't.
func describeEnd(span trace.Span, r *hook.Sent, failure string) {
	if r.Attempts > 1 {
		span.SetAttributes(attribute.Int("rocketkit.send.attempts", r.Attempts))
	}
	if r.Err != nil {
		span.SetAttributes(attribute.String(keyErrorType, failure))
		span.SetStatus(codes.Error, r.Err.Error())
		return
	}
	if r.Queue.Broker != "" {
		span.SetAttributes(attribute.String("messaging.destination.partition.id", partition(r.Queue)))
	}
	host, port, err := net.SplitHostPort(r.Address)
	if err != nil {
		return
	}
	span.SetAttributes(attribute.String("server.address", host))
	if n, err := strconv.Atoi(port); err == nil {
		span.SetAttributes(attribute.Int("server.port", n))
	}
}
