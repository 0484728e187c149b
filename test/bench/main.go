// Command bench measures rocketkit beside Apache's clients and beside bare loops, on one real broker in one run: consuming,
// with handlers that do nothing and with handlers that take time, sending, idling on many topics, and how settings travel. make bench runs it.
//
// Everyone measured is a process of its own that stays warm over all rounds, and they take turns. The text that -help prints says more.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rocketkit/rocketkit/test/bench/child"
)

const usage = `bench measures rocketkit beside Apache's clients and bare loops, on a real broker that it starts and ends.

  go run ./test/bench                      everything: some ten minutes (make bench)
  go run ./test/bench -run consume         one section: %s
  go run ./test/bench -run 'consume|send' -rounds 11
  go run ./test/bench -run consume -who rocketkit -cpuprofile cpu.out && go tool pprof -top cpu.out
  go run ./test/bench -o json > figures.json

It needs a JDK (17, say) and Maven, and 4 GB of memory and of disk below TMPDIR with the default number of messages.
Progress goes to standard error. Ctrl-C ends everything that was started.

`

// options are the flags.
type options struct {
	run        *regexp.Regexp // of sections
	who        *regexp.Regexp // of arms
	rounds     int
	messages   int
	topics     int
	stretch    time.Duration
	instances  int
	changes    int
	pollers    int
	timeout    time.Duration
	output     string
	cpuProfile string
	memProfile string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		if err := child.Main(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench child:", err)
			os.Exit(1)
		}
		return
	}
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, o, os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// parse reads the flags and checks them.
func parse(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		_, _ = fmt.Fprintf(out, usage, sectionNames())
		flags.PrintDefaults()
	}
	run := flags.String("run", ".", "the sections to run, as a `regexp`: "+sectionNames())
	who := flags.String("who", ".", "who is measured, as a `regexp`: "+strings.Join(names(), ", "))
	flags.IntVar(&o.rounds, "rounds", 5, "how often everyone has its turn, after one turn that only warms up")
	flags.IntVar(&o.messages, "messages", 1_000_000, "messages to be consumed in each turn; half as many where handlers take time")
	flags.IntVar(&o.topics, "topics", 500, "topics of the idle consumer, of four queues each")
	flags.IntVar(&o.instances, "instances", 20, "instances whose settings change")
	flags.IntVar(&o.changes, "changes", 100, "changes of settings, in each of three states of the name servers")
	flags.IntVar(&o.pollers, "pollers", 1000, "clients that ask one name server for settings")
	seconds := flags.Float64("seconds", 2, "how long each turn of sending is measured; idling and asking for settings ten times as long")
	flags.DurationVar(&o.timeout, "timeout", 20*time.Minute, "give up after so long")
	flags.StringVar(&o.output, "o", "text", "what to print: text or json")
	flags.StringVar(&o.cpuProfile, "cpuprofile", "", "write a processor profile of rocketkit's process, or of the first one of its kind that -who leaves, to `file`")
	flags.StringVar(&o.memProfile, "memprofile", "", "write a profile of its allocations to `file`; it costs time")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.stretch = time.Duration(*seconds * float64(time.Second))
	if o.run, err = regexp.Compile(*run); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	if o.who, err = regexp.Compile(*who); err != nil {
		return o, fmt.Errorf("-who: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag: see -help", flags.Arg(0))
	case o.rounds < 1 || o.messages < 1000 || o.topics < 1 || o.stretch <= 0:
		return o, errors.New("-rounds and -topics are at least 1, -messages at least 1000, -seconds above 0")
	case o.instances < 1 || o.changes < 1 || o.pollers < 1:
		return o, errors.New("-instances, -changes and -pollers are at least 1")
	case o.output != "text" && o.output != "json":
		return o, fmt.Errorf("-o %s: want text or json", o.output)
	case !slices.ContainsFunc(names(), o.who.MatchString):
		return o, fmt.Errorf("-who %s: nobody is called so: there are %s", *who, strings.Join(names(), ", "))
	case len(chosen(o)) == 0:
		return o, fmt.Errorf("-run %s: no section is called so: there are %s", *run, sectionNames())
	}
	return o, nil
}

// bench runs the chosen sections and prints what they found. A section that fails, as a neighbor's client may, costs its own
// figures and not the others'.
func bench(ctx context.Context, o options, out, progress io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done within %v: see -timeout", o.timeout))
	defer cancel()
	began := time.Now()
	r, err := newRig(ctx, o, progress)
	if err != nil {
		return err
	}
	var found report
	var failed []error
	for _, s := range chosen(o) {
		t, err := s.run(ctx, r)
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("%s: %w", s.name, context.Cause(ctx)), r.close())
		}
		if err != nil {
			r.say("%s failed: %v", s.name, err)
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			continue
		}
		for _, t := range t {
			found.Tables = append(found.Tables, t.filled())
		}
	}
	found.Machine = machine(r.version)
	found.Took = time.Since(began).Round(time.Second).String()
	failed = append(failed, r.close())
	if o.output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return errors.Join(append(failed, enc.Encode(found))...)
	}
	return errors.Join(append(failed, found.print(out))...)
}

// profiled is whose process is profiled: rocketkit's, or where it isn't measured the first of its other ones.
func (o options) profiled() string {
	i := slices.IndexFunc(names(), func(name string) bool { return strings.HasPrefix(name, rocketkitName) && o.who.MatchString(name) })
	if i < 0 {
		return ""
	}
	return names()[i]
}
