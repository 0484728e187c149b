// Command send sends numbered messages to the topic "orders", one a line of progress, until it is stopped or has sent
// as many as asked for.
//
//	eval "$(make -s up)"
//	go run ./examples/send -n 100
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/producer"
)

func main() {
	n := flag.Int("n", 10, "messages to send")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *n, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "send:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n int, out io.Writer) error {
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
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		return err
	}
	defer p.Close(context.WithoutCancel(ctx))

	for i := range n {
		receipt, err := p.Send(ctx, producer.Message{
			Topic: "orders",
			Tag:   "created",
			Keys:  []string{fmt.Sprintf("order-%d", i)},
			Body:  fmt.Appendf(nil, `{"order": %d}`, i),
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, receipt.Queue, receipt.Offset, receipt.ID)
	}
	return nil
}
