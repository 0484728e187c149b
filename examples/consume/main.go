// Command consume is a whole service: it receives the topic "orders" as the group "billing" until it is interrupted, and
// prints what it gets. Every tenth order, 9, 19 and so on, fails once and is retried a second later.
//
//	eval "$(make -s up)"
//	go run ./examples/consume
//
// Run it for another tenant by one variable: ROCKETKIT_TENANT=red go run ./examples/consume
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "consume:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	cfg, err := rocketkit.FromEnv(os.LookupEnv)
	if err != nil {
		return err
	}
	client, err := rocketkit.Open(cfg)
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx))

	// Topics are made once, by who runs the cluster. Here it's us, so that the example runs on any; what exists stays.
	if err := admin.New(client).CreateTopic(ctx, admin.TopicConfig{Name: "orders"}); err != nil {
		return err
	}
	c, err := consumer.New(client, consumer.Config{
		Group:  "billing",
		Start:  consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: onOrder(out), Workers: 32}},
	})
	if err != nil {
		return err
	}
	return rocketkit.Run(ctx, c)
}

// onOrder is called on as many goroutines at once as the topic has workers.
func onOrder(out io.Writer) consumer.Handler {
	return func(_ context.Context, m *rocketkit.Message) error {
		if bytes.HasSuffix(m.Body(), []byte("9}")) && m.Attempt() == 1 {
			return consumer.RetryIn(time.Second, errors.New("the ledger is busy"))
		}
		fmt.Fprintf(out, "%s attempt %d: %s\n", m.Queue(), m.Attempt(), m.Body())
		return nil
	}
}
