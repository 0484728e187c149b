package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/hook"
)

// process is the one operation of a consumer that is measured and traced: handlers are called, they don't ask. Pulls run
// ahead of them, and the conventions want no span for what a client fetches in advance.
const process = "process"

// Handler measures and traces the handlers of one consumer. It is a [hook.Handler].
type Handler struct {
	tracing  *tracing
	clientID string
	all      instruments
	sets     sets
	origin   time.Time // samples count from it

	duration    metric.Float64Histogram
	delay       metric.Float64Histogram
	consumed    metric.Int64Counter
	retries     metric.Int64Counter
	deadLetters metric.Int64Counter
	dropped     metric.Int64Counter
	timeouts    metric.Int64Counter
}

// NewHandler makes one for a member of a group, by its logical name.
func NewHandler(view *cluster.View, group string) *Handler {
	all := newInstruments(view.Telemetry().Meters)
	h := &Handler{
		tracing:     newTracing(view.Telemetry()),
		clientID:    view.ClientID(),
		all:         all,
		origin:      time.Now(),
		duration:    all.histogram(processDuration),
		delay:       all.histogram(consumerDelay),
		consumed:    all.counter(consumedMessages),
		retries:     all.counter(consumerRetries),
		deadLetters: all.counter(consumerDeadLetters),
		dropped:     all.counter(consumerDropped),
		timeouts:    all.counter(consumerTimeouts),
	}
	tenant := view.Names.Tenant()
	h.sets.kind = trace.SpanKindConsumer
	h.sets.attributes = func(l labels) []attribute.KeyValue {
		attributes := with([]attribute.KeyValue{attribute.String(keyConsumerGroup, group)}, keyDestination, l.topic)
		if l.operation != "" {
			attributes = append(attributes, attribute.String(keySystem, system), attribute.String(keyOperation, l.operation))
		}
		return with(attributes, keyNamespace, tenant)
	}
	return h
}

// On tells whether somebody measures or traces. A view of the SDK's may drop any of the metrics and keep others.
func (h *Handler) On() bool {
	ctx := context.Background()
	return h.duration.Enabled(ctx) || h.delay.Enabled(ctx) || h.consumed.Enabled(ctx) || h.tracing.on() ||
		h.retries.Enabled(ctx) || h.deadLetters.Enabled(ctx) || h.dropped.Enabled(ctx) || h.timeouts.Enabled(ctx)
}

// Handling begins a span. That of a single message is its sender's child, and linked to it, too; that of a batch, whose
// messages may come from many senders, is linked to each.
func (h *Handler) Handling(ctx context.Context, call *hook.Handling) context.Context {
	tracer, carrier := h.tracing.tracer(), h.tracing.carrier()
	var from trace.SpanContext // of a single message
	if carrier != nil && !call.Batch {
		around := trace.SpanContextFromContext(ctx)
		ctx = carrier.Extract(ctx, (*received)(&call.Messages[0]))
		if there := trace.SpanContextFromContext(ctx); !there.Equal(around) {
			from = there
		}
	}
	if tracer == nil {
		return ctx
	}
	set := h.sets.of(labels{operation: process, topic: call.Topic})
	options := set.root // what Run was called under would have no end of children
	switch {
	case from.IsValid():
		options = append(set.start[:len(set.start):len(set.start)], trace.WithLinks(trace.Link{SpanContext: from}))
	case call.Batch && carrier != nil:
		options = append(set.root[:len(set.root):len(set.root)], trace.WithLinks(links(call, carrier)...))
	}
	ctx, span := tracer.Start(ctx, set.span, options...)
	if span.IsRecording() {
		h.describe(span, call)
	}
	return h.tracing.begun(ctx, span)
}

// links are to what a batch's messages were sent under.
func links(call *hook.Handling, carrier propagation.TextMapPropagator) (all []trace.Link) {
	for i := range call.Messages {
		m := &call.Messages[i]
		from := trace.SpanContextFromContext(carrier.Extract(context.Background(), (*received)(m)))
		if from.IsValid() {
			all = append(all, trace.Link{SpanContext: from, Attributes: []attribute.KeyValue{
				attribute.String("messaging.message.id", m.ID()), attribute.Int("rocketkit.message.attempt", m.Attempt()),
			}})
		}
	}
	return all
}

// describe says what is handled.
func (h *Handler) describe(span trace.Span, call *hook.Handling) {
	span.SetAttributes(attribute.String("messaging.client.id", h.clientID), attribute.String(keyOperationType, process))
	if call.Batch {
		span.SetAttributes(attribute.Int("messaging.batch.message_count", len(call.Messages)))
		return
	}
	m := &call.Messages[0]
	span.SetAttributes(
		attribute.String("messaging.message.id", m.ID()),
		attribute.Int("messaging.message.body.size", len(m.Body())),
		attribute.Int("rocketkit.message.attempt", m.Attempt()),
		attribute.String("messaging.destination.partition.id", partition(m.Queue())),
	)
	if tag := m.Tag(); tag != "" {
		span.SetAttributes(attribute.String("messaging.rocketmq.message.tag", tag))
	}
	if keys := m.Keys(); len(keys) > 0 {
		span.SetAttributes(attribute.StringSlice("messaging.rocketmq.message.keys", keys))
	}
}

// partition names a queue of a topic.
func partition(q rocketkit.Queue) string { return fmt.Sprintf("%s:%d", q.Broker, q.ID) }

// Handled measures the call and ends its span.
func (h *Handler) Handled(ctx context.Context, call *hook.Handling, outcomes []hook.Outcome) {
	failure := ""
	for i := range outcomes {
		if failure = failed(&outcomes[i]); failure != "" {
			break
		}
	}
	set := h.sets.of(labels{operation: process, topic: call.Topic, failure: failure})
	at := call.Began.Sub(h.origin)
	if set.sample.pick(at) {
		h.duration.Record(ctx, call.Took.Seconds(), set.record...)
	}
	for i := range call.Messages {
		if set.own.sample.pick(at) {
			// Two clocks are compared here: a broker's that is ahead makes a delay of 0.
			h.delay.Record(ctx, max(call.Began.Sub(call.Messages[i].StoreTime()), 0).Seconds(), set.own.record...)
		}
		h.count(ctx, set, failure, &outcomes[i])
	}
	h.end(ctx, outcomes, failure)
}

// count counts a message and what becomes of it. Messages handled are added up here and go to their counter when it is
// read, see flush: what is done for each message is to be little.
func (h *Handler) count(ctx context.Context, set *set, failure string, o *hook.Outcome) {
	if own := failed(o); own != failure { // of another message of its batch
		set = h.sets.of(labels{operation: process, topic: set.labels.topic, failure: own})
	}
	set.consumed.Add(1)
	h.becomes(ctx, set, o)
}

// Unhandled counts what becomes of a message that no handler could get.
func (h *Handler) Unhandled(topic string, o hook.Outcome) {
	h.becomes(context.Background(), h.sets.of(labels{operation: process, topic: topic, failure: failed(&o)}), &o)
}

// becomes counts what becomes of a message.
func (h *Handler) becomes(ctx context.Context, set *set, o *hook.Outcome) {
	if o.TimedOut {
		h.timeouts.Add(ctx, 1, set.own.add...)
	}
	switch o.Verdict {
	case hook.Retry:
		h.retries.Add(ctx, 1, set.own.add...)
	case hook.DeadLetter:
		h.deadLetters.Add(ctx, 1, set.own.add...)
	case hook.Drop:
		h.dropped.Add(ctx, 1, set.own.add...)
	}
}

// flush adds the messages handled to their counter.
func (h *Handler) flush() {
	h.sets.all(func(s *set) {
		if n := s.consumed.Swap(0); n > 0 {
			h.consumed.Add(context.Background(), n, s.add...)
		}
	})
}

// end ends the call's span, if it has one.
func (h *Handler) end(ctx context.Context, outcomes []hook.Outcome, failure string) {
	span := h.tracing.end(ctx)
	if span == nil {
		return
	}
	if failure != "" && span.IsRecording() {
		span.SetAttributes(attribute.String(keyErrorType, failure))
		for i := range outcomes {
			if outcomes[i].Verdict != hook.Done {
				span.SetStatus(codes.Error, outcomes[i].Why)
				break
			}
		}
	}
	span.End()
}
