// Command shop takes orders into an SQLite database and tells others of each, by the topic "orders": of every order that is
// in the database, and of none that isn't, also after a kill -9 at any moment. Each line that it reads is an order; it
// asks the database when a broker asks it what became of one.
//
//	eval "$(make -s up)"
//	seq 1000 | go run ./examples/sqlite/shop /tmp/shop.db
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/producer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	file := "shop.db"
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	if err := run(ctx, file, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string, in io.Reader, out io.Writer) error {
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
	if err := admin.New(client).CreateTopic(ctx, admin.TopicConfig{Name: "orders"}); err != nil && !errors.Is(err, admin.ErrExists) {
		return err
	}
	b, err := openBook(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	p, err := producer.New(client, producer.Config{Group: "shop", Check: b.Check})
	if err != nil {
		return err
	}
	defer p.Close(context.WithoutCancel(ctx))
	if err := takeOrders(ctx, p, b, in, out); err != nil {
		return err
	}
	<-ctx.Done() // others' orders may be asked about
	return nil
}

func takeOrders(ctx context.Context, p *producer.Producer, b *book, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() && ctx.Err() == nil {
		id := strings.TrimSpace(lines.Text())
		said, err := take(ctx, p, b, id)
		if err != nil {
			return fmt.Errorf("order %s: %w", id, err)
		}
		if _, err := fmt.Fprintln(out, id, said); err != nil {
			return err
		}
	}
	return lines.Err()
}

// take takes one order.
func take(ctx context.Context, p *producer.Producer, b *book, id string) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = p.Transact(ctx, producer.Message{Topic: "orders", Keys: []string{id}, Body: []byte(id)},
		func(ctx context.Context) error { return b.Take(ctx, id) })
	switch {
	case errors.Is(err, producer.ErrRolledBack):
		return "refused", nil
	case errors.Is(err, producer.ErrLeftToCheck): // the order is in the database or isn't, and the message follows it
		return "to be seen", nil
	case err != nil:
		return "", err
	}
	return "taken", nil
}
