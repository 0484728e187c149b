// Command clientgo is Apache's Go client as a peer: a producer or a consumer that is driven over standard input and tells
// what happens on standard output, in the words of package line. Package peer builds and starts it.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// options are the flags. Peers in all languages have the same.
type options struct {
	nameServers []string
	namespace   string
	group       string
	timeout     time.Duration // of a send; the library can't be told of others
	quiet       bool

	transact    bool
	topic       string
	tags        string
	earliest    bool
	orderly     bool
	workers     int
	work        time.Duration
	brief       bool
	failEvery   int64
	panicEvery  int64
	deadEvery   int64
	retryLevel  int
	maxAttempts int
	reply       int
}

func main() {
	var o options
	nameServers := flag.String("namesrv", "", "name servers, host:port, joined by ;")
	flag.StringVar(&o.namespace, "namespace", "", "the library's namespace; none: names are physical")
	flag.StringVar(&o.group, "group", "", "group")
	millis := flag.Int("timeout-ms", 0, "how long requests may take; 0: the library's own")
	flag.BoolVar(&o.quiet, "quiet", false, "count messages rather than print them")
	flag.BoolVar(&o.transact, "transact", false, "produce: leave messages in transactions, and commit them when asked")
	flag.StringVar(&o.topic, "topic", "", "consume: topic")
	flag.StringVar(&o.tags, "tags", "*", "consume: tags, joined by ||")
	flag.BoolVar(&o.earliest, "earliest", false, "consume: begin with the oldest message rather than the next")
	flag.BoolVar(&o.orderly, "orderly", false, "consume: queue by queue in order")
	flag.IntVar(&o.workers, "workers", 20, "consume: messages at once; produce: goroutines of a flood")
	flag.DurationVar(&o.work, "work", 0, "consume: how long a message takes")
	flag.Int64Var(&o.failEvery, "fail-every", 0, "consume: fail the first attempt of every k-th message")
	flag.Int64Var(&o.panicEvery, "panic-every", 0, "consume: panic at the first attempt of every k-th message")
	flag.BoolVar(&o.brief, "brief", false, "consume: tell no properties, and bodies up to their first space")
	flag.Int64Var(&o.deadEvery, "dead-every", 0, "consume: dead-letter every k-th message")
	flag.IntVar(&o.retryLevel, "retry-level", 1, "consume: delay level of failed messages; 0: the broker's")
	flag.IntVar(&o.maxAttempts, "max-attempts", 0, "consume: attempts before a message is dead; 0: the library's")
	flag.IntVar(&o.reply, "reply", 0, "consume: size of the replies to requests; 0: none")
	if len(os.Args) < 2 {
		fail("what to do: produce, consume or bench")
	}
	_ = flag.CommandLine.Parse(os.Args[2:]) // it exits
	o.timeout = time.Duration(*millis) * time.Millisecond
	o.nameServers = strings.Split(*nameServers, ";")
	rlog.SetLogLevel("error")
	run := map[string]func(options) error{"produce": produce, "consume": consume, "bench": bench}[os.Args[1]]
	if run == nil {
		fail(os.Args[1] + " is none of produce, consume and bench")
	}
	if err := run(o); err != nil {
		fail(err.Error())
	}
	say(line.New(line.Stopped))
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "clientgo: "+why)
	os.Exit(1)
}

var out sync.Mutex //nolint:gochecknoglobals // there is one standard output

// say prints an event. One write, so that a kill never tears a line.
func say(l line.Line) {
	out.Lock()
	defer out.Unlock()
	_, _ = io.WriteString(os.Stdout, l.String()+"\n") // whoever read it is gone
}

// commands hands each command to do, until one is Stop or there are no more.
func commands(do func(line.Line)) {
	lines := bufio.NewReaderSize(os.Stdin, 1<<16)
	for {
		text, err := lines.ReadString('\n')
		if err != nil {
			// The driver is gone. Shut down in order, but don't outlive it.
			time.AfterFunc(5*time.Second, func() { os.Exit(1) })
			return
		}
		l, err := line.Parse(strings.TrimSuffix(text, "\n"))
		if err != nil {
			fail(err.Error())
		}
		if l.Verb == line.Stop {
			return
		}
		do(l)
	}
}
