//go:build unix

// Command chaos tries what becomes of messages while things go wrong. It starts a real RocketMQ, sends numbered messages
// at a steady rate, has processes consume them with rocketkit, with rocketmq-client-go and with Apache's Java client, and
// restarts, kills, stops and starves these processes and the broker. For each scenario and library it prints what was lost,
// repeated, out of order and late.
//
//	go run ./test/chaos [-run regexp] [-lib rocketkit,client-go,java] [-short] [-o text|json]
//
// It exits with 1 when rocketkit breaks a promise: a message is lost, a first delivery out of order, or a message repeated
// though nothing crashed. It needs java, and mvn the first time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == memberCommand {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := drive(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

var errBroken = errors.New("rocketkit has broken a promise")

// options are the flags.
type options struct {
	matrix
	json    bool
	timeout time.Duration
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{matrix: matrix{settings: defaults()}}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("run", "", "run only rows whose name matches this regular expression: "+strings.Join(names(), " "))
	list := flags.String("lib", "rocketkit,client-go,java", "libraries to try")
	format := flags.String("o", "text", "print the table as text or json")
	short := flags.Bool("short", false, "a third of it, about 25 minutes: -scale 0.34 -pause 20s")
	scale := flags.Float64("scale", 1, "multiply how often and how long things go wrong")
	pause := flags.Duration("pause", o.settings.Pause, "how long a process is stopped in the scenario paused")
	flags.IntVar(&o.settings.Rate, "rate", o.settings.Rate, "messages a second")
	flags.IntVar(&o.settings.Size, "size", o.settings.Size, "bytes of a message's body")
	flags.DurationVar(&o.settings.Work, "work", o.settings.Work, "what a handler takes, in whole milliseconds")
	flags.DurationVar(&o.settings.Deadline, "deadline", o.settings.Deadline, "how long after the last send messages may be handled")
	flags.StringVar(&o.logs, "logs", "", "directory for what the consumers log; none: it is dropped")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Hour, "end everything after this time")
	if err := flags.Parse(args); err != nil {
		return o, flag.ErrHelp // it has been said
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *short {
		o.settings = o.settings.short()
	}
	flags.Visit(func(f *flag.Flag) { // what is given wins over -short
		switch f.Name {
		case "scale":
			o.settings.Scale = *scale
		case "pause":
			o.settings.Pause = *pause
		}
	})
	if o.settings.Scale <= 0 || o.settings.Rate < 1 || o.settings.Rate/4 < 1 || o.settings.Size < 1 {
		return o, errors.New("-scale, -rate and -size have to be above 0, the rate at least 4")
	}
	if *format != "text" && *format != "json" {
		return o, fmt.Errorf("-o: %q is neither text nor json", *format)
	}
	o.json = *format == "json"
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	if o.libraries, err = chosen(*list); err != nil {
		return o, err
	}
	return o, nil
}

func names() []string {
	var all []string
	for _, s := range scenarios() {
		for _, order := range s.orders {
			all = append(all, rowName(s.name, order))
		}
	}
	return all
}

// drive runs the matrix and prints its table, also of what was done when it is interrupted.
func drive(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.logs != "" {
		if err := os.MkdirAll(o.logs, 0o755); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("it took more than %v (-timeout)", o.timeout))
	defer cancel()
	var mu sync.Mutex
	o.report = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(stderr, "%s %s\n", time.Now().Format(time.TimeOnly), text)
	}
	o.cluster = func(ctx context.Context) (cluster, error) { return startRocketMQ(ctx, stderr) }
	began := time.Now()
	rows, failed := o.run(ctx)
	o.report(fmt.Sprintf("%d rows in %v", len(rows), time.Since(began).Round(time.Second)))
	if len(rows) > 0 {
		write := writeText
		if o.json {
			write = writeJSON
		}
		failed = errors.Join(failed, write(stdout, o.settings, version(), rows))
	}
	return errors.Join(failed, verdict(rows))
}

// verdict is an error when the matrix isn't what it should be.
func verdict(rows []row) error {
	var all error
	for _, r := range rows {
		switch {
		case r.Error != "":
			all = errors.Join(all, fmt.Errorf("%s: %s", r.name(), r.Error))
		case len(r.Broken) > 0:
			all = errors.Join(all, fmt.Errorf("%s: %w: %s", r.name(), errBroken, strings.Join(r.Broken, ", ")))
		}
	}
	return all
}

func version() string {
	if v := os.Getenv(testcluster.VersionVariable); v != "" {
		return v
	}
	return testcluster.DefaultVersion
}
