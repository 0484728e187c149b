// Command clientgo runs small programs that were written for rocketmq-client-go, one for each of its features, on
// Apache's transport or on rocketkit's. Each checks what it receives. They differ in the constructors of transport.go,
// and in nothing else.
//
//	eval "$(make -s up)"
//	go run ./examples/clientgo -on bridge            # all of them
//	go run ./examples/clientgo -on apache push retry # some
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
)

// feature is a program on its own topic and group. It returns what isn't as it should be.
type feature func(ctx context.Context, on transport, topic, group string) error

func features() map[string]feature {
	return map[string]feature{
		"push": push, "ordered": ordered, "batch": batch, "retry": retry, "delay": delay,
		"transaction": transaction, "broadcast": broadcast, "request": request,
	}
}

func main() {
	on := flag.String("on", "bridge", "apache or bridge")
	run := flag.String("run", fmt.Sprint(time.Now().UnixMilli()), "part of topics' and groups' names")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := runAll(ctx, *on, *run, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runAll runs the named features, or all, at once: some wait for seconds.
func runAll(ctx context.Context, on, run string, names []string, out io.Writer) error {
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(features()))
	}
	cfg, err := rocketkit.FromEnv(os.LookupEnv)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	client, err := rocketkit.Open(cfg)
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var failures []error
	var running sync.WaitGroup
	for _, name := range names {
		running.Go(func() {
			began := time.Now()
			err := runOne(ctx, client, cfg, on, run, name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, fmt.Errorf("%s on %s: %w", name, on, err))
				return
			}
			fmt.Fprintln(out, "ok", name, "on", on, time.Since(began).Round(time.Millisecond))
		})
	}
	running.Wait()
	return errors.Join(failures...)
}

// runOne makes the feature's topic and runs it.
func runOne(ctx context.Context, client *rocketkit.Client, cfg rocketkit.Config, on, run, name string) error {
	do := features()[name]
	if do == nil {
		return fmt.Errorf("there is no such feature; there are %s", strings.Join(slices.Sorted(maps.Keys(features())), ", "))
	}
	topic, group := strings.Join([]string{"clientgo", name, on, run}, "-"), strings.Join([]string{name, on, run}, "-")
	if err := admin.New(client).CreateTopic(ctx, admin.TopicConfig{Name: topic}); err != nil {
		return err
	}
	t := transport(&bridge{cfg: cfg})
	if on == "apache" {
		rlog.SetLogLevel("fatal")
		t = apache{cfg.NameServers}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	err := do(ctx, t, topic, group)
	return errors.Join(err, t.close())
}
