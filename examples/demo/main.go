// Command demo shows two tenants run the same service on the same topic names of one RocketMQ cluster, and what each
// of them sent, received, retried and gave up on. Meanwhile the pool of one is resized from outside.
//
// It runs on an in-process cluster, which needs nothing but Go. With REAL=1 it starts a real RocketMQ, which needs Java
// and Maven; with NAMESRV=host:port it uses that one, where it creates and afterwards deletes what belongs to the tenants
// demo-red and demo-blue.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	n := flag.Int("n", 2000, "orders that each tenant sends")
	limit := flag.Duration("limit", 2*time.Minute, "give up after this long")
	verbose := flag.Bool("v", false, "show the SDK's log, where each failure and retry is a line")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if !*verbose {
		slog.SetDefault(slog.New(slog.DiscardHandler))
	}
	if err := demo(ctx, *n, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, n int, out io.Writer) (err error) {
	nameServers, stop, err := cluster(ctx, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	// The same code runs for each tenant; only ROCKETKIT_TENANT differs.
	var tenants []*tenant
	for _, name := range []string{"demo-red", "demo-blue"} {
		tenants = append(tenants, newTenant(n, map[string]string{
			"ROCKETKIT_NAMESRV": nameServers,
			"ROCKETKIT_TENANT":  name,

			// Whatever is set here: the settings that one of them gets are followed, and don't outlive the demo.
			"ROCKETKIT_SETTINGS":       "on",
			"ROCKETKIT_SETTINGS_KEYS":  "",
			"ROCKETKIT_SETTINGS_CACHE": "off",
		}))
	}
	tenants[0].more = 48 // while it works
	err = watch(ctx, tenants, out)
	printTable(out, tenants)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if err := t.check(); err != nil {
			return err
		}
	}
	return nil
}
