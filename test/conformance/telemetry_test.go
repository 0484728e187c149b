package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

// The context of a trace goes with a message through its retry to the dead letter, and the labels of metrics tell tenants
// apart without ever showing the names that brokers know.
func TestTelemetry(t *testing.T) { onEach(t, testTelemetry) }

func testTelemetry(t *testing.T, on target) {
	tenants := map[string]string{"red": tenantOf(t, "-r"), "blue": tenantOf(t, "-b")}
	reader, spans := metric.NewManualReader(), tracetest.NewSpanRecorder()
	cfg := on.config(t, tenants["red"])
	cfg.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
	cfg.TracerProvider = sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	red := on.opened(t, cfg)
	blue, err := red.For(tenants["blue"], nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]*rocketkit.Client{"red": red, "blue": blue} {
		topic(t, client, "orders")
		failOnceThenForEver(t, client)
		send(t, client, "orders", name, 1)
		eventually(t, "the dead-letter topic", func() bool { return exists(t, client, "%DLQ%billing") })
		letters := bury(t, client)
		letters.awaitDistinct(t, 1)
		if got := letters.all(); got[name+"-0"] != 1 {
			t.Errorf("%s's dead letters: %v", name, got)
		}
	}
	eventually(t, "a span for each send and each of three handlers", func() bool { return len(spans.Ended()) == 8 })
	oneTraceForEach(t, spans.Ended())
	labelsDontCross(t, reader, tenants)
}

// opened is open for a Config of the test's own.
func (on target) opened(t *testing.T, cfg rocketkit.Config) *rocketkit.Client {
	t.Helper()
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

// failOnceThenForEver runs a consumer whose messages are retried and then given up.
func failOnceThenForEver(t *testing.T, client *rocketkit.Client) {
	t.Helper()
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {
		Handler: func(_ context.Context, m *rocketkit.Message) error {
			if m.Attempt() == 1 {
				return consumer.RetryIn(time.Second, nil)
			}
			return consumer.DeadLetter(nil)
		},
	}}})
}

// bury runs a consumer of what was given up.
func bury(t *testing.T, client *rocketkit.Client) *tally {
	t.Helper()
	letters := newTally()
	run(t, client, consumer.Config{Group: "undertaker", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"%DLQ%billing": {
		Handler: func(_ context.Context, m *rocketkit.Message) error {
			letters.add(string(m.Body()))
			return nil
		},
	}}})
	return letters
}

// oneTraceForEach fails the test unless each send's trace has its three handlers, two of the topic's and the dead letter's.
func oneTraceForEach(t *testing.T, all []sdk.ReadOnlySpan) {
	t.Helper()
	for _, root := range all {
		if root.Name() != "send orders" {
			continue
		}
		children := map[string]int{}
		for _, s := range all {
			if s.Parent().SpanID() == root.SpanContext().SpanID() && s.SpanContext().TraceID() == root.SpanContext().TraceID() {
				children[s.Name()]++
			}
		}
		if len(children) != 2 || children["process orders"] != 2 || children["process %DLQ%billing"] != 1 {
			t.Errorf("a send's children are %v", children)
		}
	}
}

// labelsDontCross fails the test when a label has a name that only brokers know, or a metric isn't each tenant's own.
func labelsDontCross(t *testing.T, reader *metric.ManualReader, tenants map[string]string) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	sent := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			data, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				continue
			}
			for _, p := range data.DataPoints {
				for _, a := range p.Attributes.ToSlice() {
					for _, tenant := range tenants {
						if strings.Contains(a.Value.AsString(), tenant+"%") {
							t.Errorf("%s has %s=%q", m.Name, a.Key, a.Value.AsString())
						}
					}
				}
				tenant, _ := p.Attributes.Value("messaging.rocketmq.namespace")
				if m.Name == "messaging.client.sent.messages" {
					sent[tenant.AsString()] += p.Value
				}
			}
		}
	}
	for name, tenant := range tenants {
		if sent[tenant] != 1 {
			t.Errorf("%s has sent %d messages, want 1: %v", name, sent[tenant], sent)
		}
	}
}

// What a caller has put into a message is stored as it is while nothing is traced, and so is a context of his own while
// something is.
func TestPropertiesStayTheCallers(t *testing.T) { onEach(t, testPropertiesStayTheCallers) }

func testPropertiesStayTheCallers(t *testing.T, on target) {
	const own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	tenant := tenantOf(t, "")
	plain := on.open(t, tenant)
	cfg := on.config(t, tenant)
	cfg.TracerProvider = sdk.NewTracerProvider()
	traced := on.opened(t, cfg)
	topic(t, plain, "orders")
	for _, c := range []struct {
		client     *rocketkit.Client
		body       string
		properties map[string]string
	}{
		{plain, "plain", map[string]string{"city": "Berlin"}},
		{plain, "plain, own", map[string]string{"traceparent": own}},
		{traced, "traced, own", map[string]string{"traceparent": own, "city": "Berlin"}},
	} {
		p, err := producer.New(c.client, producer.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte(c.body), Properties: c.properties}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := newTally()
	run(t, plain, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {
		Handler: func(_ context.Context, m *rocketkit.Message) error {
			text := string(m.Body())
			for name, value := range m.Properties() {
				if name == "city" || strings.HasPrefix(name, "trace") {
					text += "|" + name + "=" + value
				}
			}
			got.add(text)
			return nil
		},
	}}})
	got.awaitDistinct(t, 3)
	all := got.all()
	for _, want := range []string{"plain|city=Berlin", "plain, own|traceparent=" + own} {
		if all[want] != 1 {
			t.Errorf("no %q in %v", want, all)
		}
	}
	if all["traced, own|traceparent="+own+"|city=Berlin"]+all["traced, own|city=Berlin|traceparent="+own] != 1 {
		t.Errorf("the caller's own context didn't stay: %v", all)
	}
}
