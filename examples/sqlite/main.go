// Command sqlite books payments exactly once. It receives the topic "payments" as the group "ledger" and adds each to a
// balance in an SQLite database. The queue's position is stored in the same transaction, and read from there when the
// program starts: so each payment is in the balances once, also after a kill -9 at any moment.
//
//	eval "$(make -s up)"
//	go run ./examples/sqlite /tmp/ledger.db
//
// It is a module of its own, so that who uses rocketkit doesn't get SQLite with it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	file := "ledger.db"
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	if err := run(ctx, file, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sqlite:", err)
		os.Exit(1)
	}
}

// payment is the body of a message.
type payment struct {
	Account string `json:"account"`
	Cents   int64  `json:"cents"`
}

func run(ctx context.Context, file string, out io.Writer) error {
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
	if err := admin.New(client).CreateTopic(ctx, admin.TopicConfig{Name: "payments"}); err != nil && !errors.Is(err, admin.ErrExists) {
		return err
	}
	l, err := openLedger(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	c, err := newConsumer(client, l, out)
	if err != nil {
		return err
	}
	return rocketkit.Run(ctx, c)
}

// newConsumer makes the service. Each queue's messages are handled one after the other, as a position in the
// handler's transaction needs it: were a later message's transaction first, the position would pass over an earlier one.
func newConsumer(client *rocketkit.Client, l *ledger, out io.Writer) (*consumer.Consumer, error) {
	book := func(ctx context.Context, m *rocketkit.Message) error {
		var p payment
		if err := json.Unmarshal(m.Body(), &p); err != nil {
			return consumer.DeadLetter(err) // Commit moves the position behind it
		}
		if err := l.Book(ctx, p, m.Queue(), m.Offset()); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s: %d cents\n", p.Account, p.Cents)
		return err
	}
	return consumer.New(client, consumer.Config{
		Group:   "ledger",
		Start:   consumer.Earliest(),
		Offsets: l,
		Topics:  map[string]consumer.Topic{"payments": {Handler: book, Order: consumer.OrderQueue}},
	})
}
