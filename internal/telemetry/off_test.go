package telemetry_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/telemetry"
)

func hooks(tb testing.TB, cfg rocketkit.Config) (hook.Sender, hook.Handler) {
	tb.Helper()
	cfg.NameServers = []string{"127.0.0.1:9"}
	client, err := rocketkit.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return telemetry.NewSender(client.Cluster(), "checkout"), telemetry.NewHandler(client.Cluster(), "billing")
}

// Without an SDK all is off and free. Whatever a program installs later switches it on, part by part, also for producers
// and consumers that there are. It is one test, in a process of its own, since OpenTelemetry's globals can't be taken back.
func TestAnSDKInstalledLater(t *testing.T) {
	const variable = "ROCKETKIT_TEST_GLOBALS"
	if os.Getenv(variable) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), variable+"=1")
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	early := rocketkit.Config{ // as who asks before he installs
		MeterProvider: otel.GetMeterProvider(), TracerProvider: otel.GetTracerProvider(), Propagator: otel.GetTextMapPropagator(),
	}
	type pair struct {
		send   hook.Sender
		handle hook.Handler
	}
	pairs := map[string]*pair{"global": {}, "asked for early": {}}
	pairs["global"].send, pairs["global"].handle = hooks(t, rocketkit.Config{})
	pairs["asked for early"].send, pairs["asked for early"].handle = hooks(t, early)
	check := func(when string, want bool) {
		t.Helper()
		for name, p := range pairs {
			if p.send.On() != want || p.handle.On() != want {
				t.Errorf("%s, %s: on is %t and %t", when, name, p.send.On(), p.handle.On())
			}
			if n := testing.AllocsPerRun(100, func() { p.send.On(); p.handle.On() }); n != 0 {
				t.Errorf("%s, %s: %v allocations", when, name, n)
			}
		}
	}
	send := func(p *pair) *hook.Sending {
		s := &hook.Sending{Topic: "orders", Messages: make([]hook.Outgoing, 1)}
		p.send.Sent(p.send.Sending(context.Background(), s), s, &hook.Sent{Attempts: 1})
		return s
	}
	check("without an SDK", false)

	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	check("with a tracer", true)
	for name, p := range pairs {
		if s := send(p); len(s.Messages[0].Properties) != 1 || s.Messages[0].Properties[0].Name != "traceparent" {
			t.Errorf("%s: sent with %v, want Trace Context, the default", name, s.Messages[0].Properties)
		}
	}
	if n := len(spans.Ended()); n != len(pairs) {
		t.Errorf("%d spans", n)
	}
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator()) // one that a program may set, to carry nothing
	for name, p := range pairs {
		if s := send(p); len(s.Messages[0].Properties) != 0 {
			t.Errorf("%s: sent with %v, in spite of the propagator", name, s.Messages[0].Properties)
		}
	}
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())))
	check("with all", true)
}

// What is measured of a message allocates nothing.
func TestMeasuringAllocatesNothing(t *testing.T) {
	send, handle := hooks(t, rocketkit.Config{
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())),
		TracerProvider: noop.NewTracerProvider(),
	})
	s := &hook.Sending{Topic: "orders", Messages: make([]hook.Outgoing, 1)}
	sent := &hook.Sent{Attempts: 1}
	if n := testing.AllocsPerRun(100, func() { send.Sent(send.Sending(context.Background(), s), s, sent) }); n != 0 {
		t.Errorf("%v allocations a send", n)
	}
	h, outcomes := handling(), []hook.Outcome{{}}
	if n := testing.AllocsPerRun(100, func() { handle.Handled(handle.Handling(context.Background(), h), h, outcomes) }); n != 0 {
		t.Errorf("%v allocations a message handled", n)
	}
}

// A program that drops a metric, as histograms cost more than counters, keeps the others, whichever it is.
func TestAMetricThatIsDroppedSwitchesNothingElseOff(t *testing.T) {
	sending := []string{"messaging.client.operation.duration", "messaging.client.sent.messages", "rocketkit.producer.retries"}
	handling := []string{
		"messaging.process.duration", "messaging.client.consumed.messages", "rocketkit.consumer.delay", "rocketkit.consumer.retries",
		"rocketkit.consumer.dead_letters", "rocketkit.consumer.dropped", "rocketkit.consumer.timeouts",
	}
	for _, kept := range slices.Concat(sending, handling) {
		drop := func(i metric.Instrument) (metric.Stream, bool) {
			return metric.Stream{Aggregation: metric.AggregationDrop{}}, i.Name != kept
		}
		send, handle := hooks(t, rocketkit.Config{
			MeterProvider:  metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()), metric.WithView(drop)),
			TracerProvider: noop.NewTracerProvider(),
		})
		if send.On() != slices.Contains(sending, kept) || handle.On() != slices.Contains(handling, kept) {
			t.Errorf("with %s alone, on is %t and %t", kept, send.On(), handle.On())
		}
	}
}

// A message that no handler could get is counted as the dead letter that it becomes, and not as handled.
func TestUnfitMessagesAreCounted(t *testing.T) {
	reader := metric.NewManualReader()
	_, handle := hooks(t, rocketkit.Config{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	unhandler, ok := handle.(hook.Unhandler)
	if !ok {
		t.Fatal("telemetry isn't told of them")
	}
	unhandler.Unhandled("orders", hook.Outcome{Verdict: hook.DeadLetter})
	all := (&rig{T: t, reader: reader}).read()
	if got := sum(all["rocketkit.consumer.dead_letters"], "messaging.destination.name", "orders"); got != 1 {
		t.Errorf("%v dead letters", got)
	}
	if got := sum(all["messaging.process.duration"]) + sum(all["messaging.client.consumed.messages"]); got != 0 {
		t.Error("it is counted as handled")
	}
}
