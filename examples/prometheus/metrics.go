package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"          //nolint:depguard // why this is a module of its own
	"github.com/prometheus/client_golang/prometheus/promhttp" //nolint:depguard // the same
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
)

// metrics is an OpenTelemetry SDK whose metrics are served for Prometheus.
type metrics struct {
	provider *metric.MeterProvider
	server   *http.Server
	served   chan error
}

// serveMetrics serves /metrics on listener.
func serveMetrics(listener net.Listener) (*metrics, error) {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	m := &metrics{
		provider: metric.NewMeterProvider(metric.WithReader(reader)),
		server:   &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second},
		served:   make(chan error, 1),
	}
	go func() { m.served <- m.server.Serve(listener) }()
	return m, nil
}

// close ends the server, and then the SDK.
func (m *metrics) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := m.server.Shutdown(ctx)
	if end := <-m.served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("metrics: %w", end))
	}
	return errors.Join(err, m.provider.Shutdown(ctx))
}
