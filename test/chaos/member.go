//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
	"github.com/rocketkit/rocketkit/test/peer/line"
)

// memberCommand as the first argument makes the program one rocketkit consumer, driven as the programs of package peer
// are. The order and then the arguments that package peer gives follow.
const memberCommand = "member"

// child is that consumer. Every message is told before its handler returns: what was acknowledged without having been
// told can't exist.
type child struct {
	nameServers, group, topic string
	workers                   int
	work                      time.Duration
	failEvery, panicEvery     int64
	order                     ledger.Order

	first atomic.Int64 // messages that came for the first time
	mu    sync.Mutex   // held while a line is written
	out   io.Writer
}

// serve runs the consumer until its standard input says stop, or ends.
func serve(args []string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c := &child{out: os.Stdout}
	if err := c.parse(args); err != nil {
		return err
	}
	client, err := rocketkit.Open(rocketkit.Config{NameServers: strings.Split(c.nameServers, ";"), Logger: log})
	if err != nil {
		return err
	}
	topic := consumer.Topic{Handler: c.handle, Workers: c.workers}
	if err := keep(&topic, c.order); err != nil {
		return err
	}
	member, err := consumer.New(client, consumer.Config{
		Group: c.group, Start: consumer.Earliest(), Topics: map[string]consumer.Topic{c.topic: topic},
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go c.report(ctx, client.ID(), member)
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if lines.Text() == line.Stop {
				return
			}
		}
		time.AfterFunc(5*time.Second, func() { os.Exit(1) }) // the driver is gone: don't outlive it
	}()
	if err := rocketkit.Run(ctx, member); err != nil {
		return err
	}
	if err := client.Close(context.Background()); err != nil {
		return err
	}
	c.say(line.New(line.Stopped))
	return nil
}

// parse reads the flags that package peer gives; those of no use here are ignored.
func (c *child) parse(args []string) error {
	if len(args) < 2 {
		return errors.New("member: give an order, a command and its flags")
	}
	c.order = ledger.Order(args[0])
	flags := flag.NewFlagSet(memberCommand, flag.ContinueOnError)
	flags.StringVar(&c.nameServers, "namesrv", "", "name servers, host:port, joined by ;")
	flags.StringVar(&c.group, "group", "", "group")
	flags.StringVar(&c.topic, "topic", "", "topic")
	flags.IntVar(&c.workers, "workers", 0, "messages at once")
	flags.DurationVar(&c.work, "work", 0, "how long a message takes")
	flags.Int64Var(&c.failEvery, "fail-every", 0, "fail the first attempt of every k-th message")
	flags.Int64Var(&c.panicEvery, "panic-every", 0, "panic at the first attempt of every k-th message")
	for _, other := range []string{
		"namespace", "tags", "earliest", "orderly", "dead-every", "retry-level", "max-attempts", "quiet", "brief", "timeout-ms",
	} {
		flags.String(other, "", "")
	}
	return flags.Parse(args[2:])
}

func (c *child) handle(_ context.Context, m *rocketkit.Message) error {
	began := time.Now()
	time.Sleep(c.work)
	verdict := "ok"
	if m.Attempt() == 1 {
		switch n := c.first.Add(1); {
		case c.panicEvery > 0 && n%c.panicEvery == 0:
			verdict = "panic"
		case c.failEvery > 0 && n%c.failEvery == 0:
			verdict = "retry"
		}
	}
	body, _, _ := strings.Cut(string(m.Body()), " ")
	c.say(line.New(line.Got, "topic", m.Topic(), "body", body, "broker", m.Queue().Broker, "queue", strconv.Itoa(m.Queue().ID),
		"offset", strconv.FormatInt(m.Offset(), 10), "attempt", strconv.Itoa(m.Attempt()), "verdict", verdict,
		"began", strconv.FormatInt(began.UnixMicro(), 10), "ended", strconv.FormatInt(time.Now().UnixMicro(), 10)))
	switch verdict {
	case "panic":
		panic("on purpose")
	case "retry":
		return consumer.RetryIn(c.retryIn(), errors.New("on purpose"))
	}
	return nil
}

// retryIn is what the peers do.
func (c *child) retryIn() time.Duration {
	if c.order != ledger.Unordered {
		return 100 * time.Millisecond
	}
	return time.Second
}

// report tells when the consumer is ready, and then which queues it has.
func (c *child) report(ctx context.Context, id string, member *consumer.Consumer) {
	select {
	case <-member.Ready():
		c.say(line.New(line.Ready, "client", id))
	case <-ctx.Done():
		return
	}
	last := ""
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		l := line.New(line.Queues, "client", id)
		for _, q := range member.Stats().Topics[c.topic].Queues {
			l.Values.Add("q", fmt.Sprintf("%s/%s/%d", c.topic, q.Queue.Broker, q.Queue.ID))
		}
		slices.Sort(l.Values["q"])
		if text := l.String(); text != last {
			last = text
			c.say(l)
		}
	}
}

// say writes a line by one call, so that a kill never tears it.
func (c *child) say(l line.Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.out, l.String()+"\n") // whoever read it is gone
}
