package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

// watch runs the tenants at once and draws how far each is.
func watch(ctx context.Context, tenants []*tenant, out io.Writer) error {
	running, ctx := errgroup.WithContext(ctx)
	for _, t := range tenants {
		running.Go(func() error { return t.run(ctx) })
	}
	ended := make(chan error, 1)
	go func() { ended <- running.Wait() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	screen := canvas{to: out, live: isTerminal(out)}
	for {
		select {
		case <-tick.C:
			screen.draw(tenants, false)
		case err := <-ended:
			screen.draw(tenants, true)
			return err
		}
	}
}

// canvas draws one line a tenant, in place on a terminal, and only the last state elsewhere.
type canvas struct {
	to    io.Writer
	live  bool
	drawn int
}

func (c *canvas) draw(tenants []*tenant, last bool) {
	if !c.live && !last {
		return
	}
	if c.drawn > 0 {
		fmt.Fprintf(c.to, "\x1b[%dA", c.drawn)
	}
	for _, t := range tenants {
		const width = 40
		done := t.orders - t.open()
		full := width * done / max(t.orders, 1)
		fmt.Fprintf(c.to, "%-9s [%s%s] %d of %d orders settled\n", t.name, strings.Repeat("=", full), strings.Repeat(" ", width-full), done, t.orders)
	}
	c.drawn = len(tenants)
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func printTable(to io.Writer, tenants []*tenant) {
	fmt.Fprintf(to, "\ntopic %q, group %q, for two tenants at once:\n\n", topic, group)
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "tenant\tsent\thandled\tretried once\tdead letters\tof another tenant\tworkers\t")
	for _, t := range tenants {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			t.name, t.sent.Load(), t.handled.Load(), t.retried.Load(), t.letters.Load(), t.foreign.Load(), t.workers)
	}
	table.Flush()
	for _, t := range tenants {
		if t.effect > 0 {
			fmt.Fprintf(to, "\n%s was given %d workers in place of %d while it worked: they were there %v after they were written\n",
				t.name, t.more, workers, t.effect.Round(time.Millisecond))
		}
	}
}
