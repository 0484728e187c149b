package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// rig is a cluster in a bubble, and an SDK that is read by the test.
type rig struct {
	*testing.T
	cluster *mqtest.Cluster
	reader  *metric.ManualReader
	meters  *metric.MeterProvider
	spans   *tracetest.SpanRecorder
	tracers *trace.TracerProvider
}

func bubble(t *testing.T, cfg mqtest.Config, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg.Logger = slog.New(slog.DiscardHandler)
		r := &rig{T: t, cluster: mqtest.New(t, cfg), reader: metric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
		r.meters = metric.NewMeterProvider(metric.WithReader(r.reader))
		r.tracers = trace.NewTracerProvider(trace.WithSpanProcessor(r.spans))
		test(r)
	})
}

// measured is a Config whose metrics and spans the rig reads.
func (r *rig) measured(tenant string) rocketkit.Config {
	cfg := r.cluster.Config()
	cfg.Tenant = tenant
	cfg.MeterProvider, cfg.TracerProvider = r.meters, r.tracers
	return cfg
}

func (r *rig) open(cfg rocketkit.Config) *rocketkit.Client {
	r.Helper()
	client, err := rocketkit.Open(cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			r.Error(err)
		}
	})
	return client
}

func (r *rig) producer(client *rocketkit.Client) *producer.Producer {
	r.Helper()
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			r.Error(err)
		}
	})
	return p
}

func (r *rig) send(p *producer.Producer, m producer.Message) producer.Receipt {
	r.Helper()
	receipt, err := p.Send(r.Context(), m)
	if err != nil {
		r.Fatal(err)
	}
	return receipt
}

// consume runs a consumer under ctx until stop is called.
func (r *rig) consume(ctx context.Context, client *rocketkit.Client, cfg consumer.Config) (stop func()) {
	r.Helper()
	cfg.Start = consumer.Earliest()
	c, err := consumer.New(client, cfg)
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			r.Error(err)
		}
	}
	r.Cleanup(stop)
	select {
	case <-c.Ready():
	case err := <-done:
		done <- err
		r.Fatalf("Run returned %v", err)
	}
	return stop
}

// read collects all metrics, by name.
func (r *rig) read() map[string]metricdata.Metrics {
	r.Helper()
	var all metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &all); err != nil {
		r.Fatal(err)
	}
	found := map[string]metricdata.Metrics{}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			found[m.Name] = m
		}
	}
	return found
}

// point is one series: its attributes, and its sum, value or count.
type point struct {
	attributes attribute.Set
	value      float64
}

func points(m metricdata.Metrics) (all []point) {
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			all = append(all, point{p.Attributes, float64(p.Value)})
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			all = append(all, point{p.Attributes, p.Value})
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			all = append(all, point{p.Attributes, float64(p.Count)})
		}
	}
	return all
}

// sum adds up the series that have all of the attributes given, as name and value by turns.
func sum(m metricdata.Metrics, want ...string) (total float64) {
	for _, p := range points(m) {
		all := true
		for i := 0; i < len(want); i += 2 {
			v, _ := p.attributes.Value(attribute.Key(want[i]))
			all = all && v.AsString() == want[i+1]
		}
		if all {
			total += p.value
		}
	}
	return total
}

var errLedgerBusy = errors.New("the ledger is busy")
