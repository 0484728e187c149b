package telemetry_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" // the example of W3C's Trace Context

// named are the spans that have ended, of that name, in the order of their ends.
func (r *rig) named(name string) (found []sdk.ReadOnlySpan) {
	for _, s := range r.spans.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	return found
}

func has(s sdk.ReadOnlySpan, want ...attribute.KeyValue) bool {
	set := attribute.NewSet(s.Attributes()...)
	for _, a := range want {
		if v, ok := set.Value(a.Key); !ok || v != a.Value {
			return false
		}
	}
	return true
}

// A message is one trace from its sender to each of its handlers: of the first delivery, of retries, and of the group that
// receives it as a dead letter.
func TestATraceGoesWithTheMessage(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"red%orders": 4}}, func(r *rig) {
		client := r.open(r.measured("red"))
		handle := func(ctx context.Context, m *rocketkit.Message) error {
			if !trace.SpanContextFromContext(ctx).IsValid() {
				r.Error("the handler's context has no span")
			}
			if strings.HasPrefix(m.Topic(), "%DLQ%") {
				return nil
			}
			return errLedgerBusy
		}
		r.consume(context.Background(), client, consumer.Config{
			Group: "billing", Retries: 1, Topics: map[string]consumer.Topic{"orders": {Handler: handle}},
		})
		ctx, checkout := r.tracers.Tracer("shop").Start(context.Background(), "checkout")
		p := r.producer(client)
		receipt, err := p.Send(ctx, producer.Message{Topic: "orders", Body: []byte("two books"), Tag: "paid", Keys: []string{"o-1"}})
		if err != nil {
			r.Fatal(err)
		}
		checkout.End()
		red, err := r.cluster.Tenant("red")
		if err != nil {
			r.Fatal(err)
		}
		if err := red.WaitDeadLetters(r.Context(), "billing", 1); err != nil {
			r.Fatal(err)
		}
		r.consume(context.Background(), client, consumer.Config{
			Group: "undertaker", Topics: map[string]consumer.Topic{"%DLQ%billing": {Handler: handle}},
		})
		if err := red.WaitConsumed(r.Context(), "undertaker", "%DLQ%billing"); err != nil {
			r.Fatal(err)
		}
		synctest.Wait()

		sends := r.named("send orders")
		if len(sends) != 1 {
			r.Fatalf("%d spans of sends", len(sends))
		}
		send := sends[0]
		if send.SpanKind() != trace.SpanKindProducer || send.Parent().SpanID() != checkout.SpanContext().SpanID() || !has(send,
			attribute.String("messaging.system", "rocketmq"), attribute.String("messaging.operation.type", "send"),
			attribute.String("messaging.destination.name", "orders"), attribute.String("messaging.rocketmq.namespace", "red"),
			attribute.String("messaging.message.id", receipt.ID), attribute.String("messaging.rocketmq.message.tag", "paid"),
			attribute.Int("messaging.message.body.size", 9)) {
			r.Errorf("the send: %v, parent %v: %v", send.SpanKind(), send.Parent().SpanID(), send.Attributes())
		}
		handled := append(r.named("process orders"), r.named("process %DLQ%billing")...)
		if len(handled) != 3 {
			r.Fatalf("%d spans of handlers, want two of the topic's and one of the dead letter's", len(handled))
		}
		for i, s := range handled {
			if s.SpanKind() != trace.SpanKindConsumer || s.SpanContext().TraceID() != send.SpanContext().TraceID() ||
				s.Parent().SpanID() != send.SpanContext().SpanID() || !s.Parent().IsRemote() {
				r.Errorf("handler %d: %v of trace %v, parent %v", i, s.SpanKind(), s.SpanContext().TraceID(), s.Parent().SpanID())
			}
			if len(s.Links()) != 1 || s.Links()[0].SpanContext.SpanID() != send.SpanContext().SpanID() {
				r.Errorf("handler %d: links %v", i, s.Links())
			}
		}
		if !has(handled[0], attribute.Int("rocketkit.message.attempt", 1), attribute.String("error.type", "retry")) ||
			!has(handled[1], attribute.Int("rocketkit.message.attempt", 2), attribute.String("error.type", "dead_letter")) ||
			handled[0].Status().Code != codes.Error || handled[2].Status().Code == codes.Error {
			r.Errorf("attempts: %v; %v", handled[0].Attributes(), handled[1].Attributes())
		}
	})
}

// A batch that is sent has one span, whose context all of its messages have; one that is handled is linked to each sender.
func TestBatchesAreLinked(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		client := r.open(r.measured(""))
		p := r.producer(client)
		if _, err := p.SendBatch(r.Context(), []producer.Message{{Topic: "orders", Body: []byte("a")}, {Topic: "orders", Body: []byte("b")}}); err != nil {
			r.Fatal(err)
		}
		r.send(p, producer.Message{Topic: "orders", Body: []byte("c")})
		r.send(r.producer(r.open(r.cluster.Config())), producer.Message{Topic: "orders", Body: []byte("untraced")})
		ctx, service := r.tracers.Tracer("shop").Start(context.Background(), "service")
		stop := r.consume(ctx, client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Batch: consumer.Batching{
			Size: 4, Wait: time.Second, Handler: func(context.Context, *consumer.Batch) error { return nil },
		}}}})
		if err := r.cluster.WaitConsumed(r.Context(), "billing", "orders"); err != nil {
			r.Fatal(err)
		}
		stop()
		service.End()
		sends, handled := r.named("send orders"), r.named("process orders")
		if len(sends) != 2 || len(handled) != 1 {
			r.Fatalf("%d sends, %d handlers", len(sends), len(handled))
		}
		if !has(sends[0], attribute.Int("messaging.batch.message_count", 2)) || !has(handled[0], attribute.Int("messaging.batch.message_count", 4)) {
			r.Errorf("%v; %v", sends[0].Attributes(), handled[0].Attributes())
		}
		if handled[0].Parent().IsValid() {
			r.Error("the handler of a batch is a child: of what Run was called under, or of one of its senders")
		}
		want := []trace.SpanID{sends[0].SpanContext().SpanID(), sends[0].SpanContext().SpanID(), sends[1].SpanContext().SpanID()}
		if len(handled[0].Links()) != len(want) {
			r.Fatalf("links %v", handled[0].Links())
		}
		for i, l := range handled[0].Links() {
			if l.SpanContext.SpanID() != want[i] {
				r.Errorf("link %d is to %v, want %v", i, l.SpanContext.SpanID(), want[i])
			}
		}
	})
}

// A message without a context begins a trace, whatever Run was called under.
func TestNoTraceIsMadeUp(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		r.send(r.producer(r.open(r.cluster.Config())), producer.Message{Topic: "orders", Body: []byte("untraced")})
		ctx, service := r.tracers.Tracer("shop").Start(context.Background(), "service")
		defer service.End()
		r.consume(ctx, r.open(r.measured("")), consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {
			Handler: func(context.Context, *rocketkit.Message) error { return nil },
		}}})
		if err := r.cluster.WaitConsumed(r.Context(), "billing", "orders"); err != nil {
			r.Fatal(err)
		}
		synctest.Wait()
		handled := r.named("process orders")
		if len(handled) != 1 || handled[0].Parent().IsValid() || len(handled[0].Links()) != 0 {
			r.Errorf("%v", handled)
		}
	})
}

// A context that the caller gave a message himself stays, and the send's span is linked to it.
func TestACallersContextStays(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		r.send(r.producer(r.open(r.measured(""))), producer.Message{
			Topic: "orders", Body: []byte("mine"), Properties: map[string]string{"traceparent": traceparent, "city": "Berlin"},
		})
		var all []string
		stored := r.cluster.Messages("orders")[0]
		for name, value := range stored.Properties() {
			if name == "traceparent" || name == "tracestate" {
				all = append(all, value)
			}
		}
		if len(all) != 1 || all[0] != traceparent {
			r.Errorf("stored %q", all)
		}
		send := r.named("send orders")[0]
		if len(send.Links()) != 1 || send.Links()[0].SpanContext.SpanID().String() != "b7ad6b7169203331" {
			r.Errorf("links %v", send.Links())
		}
	})
}

// Messages have no property more when only metrics are on.
func TestMetricsAddNoProperties(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		cfg := r.measured("")
		cfg.TracerProvider = noop.NewTracerProvider()
		r.send(r.producer(r.open(cfg)), producer.Message{Topic: "orders", Body: []byte("x"), Properties: map[string]string{"city": "Berlin"}})
		stored := r.cluster.Messages("orders")[0]
		onlyOwn(r.T, &stored)
	})
}

// A propagator that the program has chosen carries what it is for, also without a tracer.
func TestThePropagatorIsTheProgramsChoice(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		cfg := r.cluster.Config()
		cfg.Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
		client := r.open(cfg)
		member, err := baggage.NewMember("customer", "42")
		if err != nil {
			r.Fatal(err)
		}
		bag, err := baggage.New(member)
		if err != nil {
			r.Fatal(err)
		}
		ctx := cfg.Propagator.Extract(baggage.ContextWithBaggage(r.Context(), bag), propagation.MapCarrier{"traceparent": traceparent})
		if _, err := r.producer(client).Send(ctx, producer.Message{Topic: "orders", Body: []byte("x")}); err != nil {
			r.Fatal(err)
		}
		got := make(chan context.Context, 1)
		r.consume(context.Background(), client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {
			Handler: func(ctx context.Context, _ *rocketkit.Message) error { got <- ctx; return nil },
		}}})
		there := <-got
		if baggage.FromContext(there).Member("customer").Value() != "42" {
			r.Errorf("baggage %q", baggage.FromContext(there))
		}
		if id := trace.SpanContextFromContext(there).SpanID().String(); id != "b7ad6b7169203331" {
			r.Errorf("span %s", id)
		}
	})
}

// hostile is a propagator that writes what no property can hold, and more than fits.
type hostile struct{ propagation.TraceContext }

func (hostile) Inject(_ context.Context, c propagation.TextMapCarrier) {
	c.Set("", "x")
	c.Set("empty", "")
	c.Set("separators", "a\x01b\x02c")
	c.Set("bytes", "\xff")
	c.Set("large", strings.Repeat("x", 40_000))
}

// No propagator makes a send fail.
func TestPropagationFailsNoSend(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		cfg := r.cluster.Config()
		cfg.Propagator = hostile{}
		p := r.producer(r.open(cfg))
		r.send(p, producer.Message{Topic: "orders", Body: []byte("x"), Properties: map[string]string{"city": "Berlin"}})
		if _, err := p.SendBatch(r.Context(), []producer.Message{{Topic: "orders", Body: []byte("x"), Properties: map[string]string{"city": "Berlin"}}}); err != nil {
			r.Fatal(err)
		}
		for _, m := range r.cluster.Messages("orders") {
			onlyOwn(r.T, &m)
		}
	})
}

// onlyOwn fails the test when a message has properties that neither its sender, RocketMQ nor its broker gave it.
func onlyOwn(t *testing.T, m *rocketkit.Message) {
	t.Helper()
	for name := range m.Properties() {
		switch name {
		case "city", "UNIQ_KEY", "MSG_REGION", "TRACE_ON", "CLUSTER", "WAIT", "INNER_NUM":
		default:
			t.Errorf("stored with %s", name)
		}
	}
	if city, _ := m.Property("city"); city != "Berlin" {
		t.Errorf("stored with the city %q", city)
	}
}

// A handler's span ends once, also when the handler sends through a Client that traces nothing.
func TestASpanIsEndedByWhoBeganIt(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1, "refunds": 1}}, func(r *rig) {
		quiet := r.cluster.Config()
		quiet.MeterProvider, quiet.TracerProvider = r.meters, noop.NewTracerProvider()
		p := r.producer(r.open(quiet))
		client := r.open(r.measured(""))
		r.send(r.producer(client), producer.Message{Topic: "orders", Body: []byte("x")})
		var once sync.Once
		r.consume(context.Background(), client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {
			Handler: func(ctx context.Context, _ *rocketkit.Message) error {
				_, err := p.Send(ctx, producer.Message{Topic: "refunds", Body: []byte("x")})
				if !trace.SpanFromContext(ctx).IsRecording() {
					once.Do(func() { r.Error("the handler's span has ended before the handler") })
				}
				return err
			},
		}}})
		if err := r.cluster.WaitConsumed(r.Context(), "billing", "orders"); err != nil {
			r.Fatal(err)
		}
	})
}

// The span of a send that failed says so.
func TestFailedSendsAreShown(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		p := r.producer(r.open(r.measured("")))
		r.cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Code: 13, Times: 1}) // MESSAGE_ILLEGAL
		if _, err := p.Send(r.Context(), producer.Message{Topic: "orders", Body: []byte("x")}); err == nil {
			r.Fatal("no error")
		}
		r.cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Code: 2}) // SYSTEM_BUSY
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if _, err := p.Send(ctx, producer.Message{Topic: "orders", Body: []byte("x")}); !errors.Is(err, context.DeadlineExceeded) {
			r.Fatal(err)
		}
		sends := r.named("send orders")
		if len(sends) != 2 || !has(sends[0], attribute.String("error.type", "MESSAGE_ILLEGAL")) || sends[0].Status().Code != codes.Error {
			r.Fatalf("%v", sends)
		}
		all := r.read()
		if got := sum(all["rocketkit.producer.retries"], "messaging.destination.name", "orders"); got < 1 {
			r.Errorf("%v retries", got)
		}
	})
}
