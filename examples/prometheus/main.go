// Command prometheus is a service whose metrics Prometheus can scrape: it sends an order each 100 ms, receives them as the
// group "billing", and serves what rocketkit measures of both.
//
//	eval "$(make -s up)"
//	go run ./examples/prometheus
//	curl http://127.0.0.1:9464/metrics
//
// METRICS_ADDRESS is where it listens; by default on this machine only. docs/dashboards/rocketkit.json shows the metrics in
// Grafana.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prometheus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	cfg, err := rocketkit.FromEnv(os.LookupEnv)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cmp.Or(os.Getenv("METRICS_ADDRESS"), "127.0.0.1:9464"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "metrics: http://%s/metrics\n", listener.Addr())
	return serve(ctx, cfg, listener, func(context.Context, *rocketkit.Message) error { return nil })
}

// serve sends and receives orders until ctx ends, and serves what is measured of it on listener, which it closes.
func serve(ctx context.Context, cfg rocketkit.Config, listener net.Listener, onOrder consumer.Handler) (err error) {
	m, err := serveMetrics(listener)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close(context.WithoutCancel(ctx))) }()

	cfg.MeterProvider = m.provider // otel.SetMeterProvider(m.provider) does it for the whole process
	client, err := rocketkit.Open(cfg)
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx))
	if err := admin.New(client).CreateTopic(ctx, admin.TopicConfig{Name: "orders"}); err != nil {
		return err
	}
	c, err := consumer.New(client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: onOrder, Workers: 4, MaxWorkers: 16, Timeout: time.Second}},
	})
	if err != nil {
		return err
	}
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		return err
	}
	defer p.Close(context.WithoutCancel(ctx))
	return rocketkit.Run(ctx, c, checkout{p})
}

// checkout sends orders, as a Runner beside the consumer.
type checkout struct{ *producer.Producer }

// Run sends until ctx ends.
func (c checkout) Run(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := c.Send(ctx, producer.Message{Topic: "orders", Body: fmt.Appendf(nil, "order %d", n)}); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
