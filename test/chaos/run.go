//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
	"github.com/rocketkit/rocketkit/test/peer"
)

// sharePatience bounds the wait until the members have shared out the queues. It is no promise: client-go never unlocks a
// queue that it gives up, so that the next owner of an ordered one waits until the lock has run out.
const sharePatience = 2 * time.Minute

// run is a scenario with one library and one order, on a cluster.
type run struct {
	scenario scenario
	library  library
	order    ledger.Order
	settings settings
	cluster  cluster
	logs     io.Writer // of the members
	report   func(text string)

	client       *rocketkit.Client
	ledger       *ledger.Ledger
	topic, group string
	members      []member // nil: not running
	course       ledger.Course

	mu    sync.Mutex
	notes []string
}

func (r *run) name() string { return rowName(r.scenario.name, r.order) }

func (r *run) progress(format string, args ...any) {
	r.report(fmt.Sprintf("%s %s: %s", r.name(), r.library.name, fmt.Sprintf(format, args...)))
}

// note keeps what a reader of the table should know.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// over marks that the last fault is over.
func (r *run) over() { r.course.Over = time.Now() }

// hold lets time pass.
func (r *run) hold(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// do runs the scenario from its first to its last message. Whatever happens, no member runs when it returns.
func (r *run) do(ctx context.Context) (row, error) {
	began := time.Now()
	client, err := rocketkit.Open(rocketkit.Config{NameServers: r.cluster.nameServers, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return row{}, err
	}
	defer func() { _ = client.Close(context.Background()) }() // its own errors are of no interest here
	r.client, r.ledger = client, ledger.New(r.settings.Keys)
	r.course.Order = r.order
	name := strings.Join([]string{"chaos", r.scenario.name, r.library.name, string(r.order)}, "-")
	r.topic, r.group = strings.TrimSuffix(name, "-"), strings.TrimSuffix(name, "-")+"-group"
	topic := admin.TopicConfig{Name: r.topic, ReadQueues: r.settings.Queues, WriteQueues: r.settings.Queues}
	if err := admin.New(client).CreateTopic(ctx, topic); err != nil {
		return row{}, err
	}
	defer r.killAll()
	r.members = make([]member, r.scenario.members)
	if err := r.start(ctx, indexes(r.members)...); err != nil {
		return row{}, err
	}
	if err := r.awaitShares(ctx); err != nil {
		return row{}, err
	}
	if err := r.underTraffic(ctx); err != nil {
		return row{}, err
	}
	if err := r.awaitHandled(ctx); err != nil {
		return row{}, err
	}
	if err := r.stop(ctx, indexes(r.members)...); err != nil {
		return row{}, err
	}
	return r.row(time.Since(began)), nil
}

func indexes(members []member) []int {
	var all []int
	for i := range members {
		all = append(all, i)
	}
	return all
}

// underTraffic sends messages before, while and after the faults happen.
func (r *run) underTraffic(ctx context.Context) error {
	p, err := producer.New(r.client, producer.Config{Group: "chaos-sender"})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close(context.Background()) }() // likewise
	t := &traffic{producer: p, ledger: r.ledger, topic: r.topic, settings: r.settings, rate: r.settings.Rate}
	if r.scenario.together {
		t.rate /= 4
	}
	t.begin(ctx)
	defer t.end()
	if err := r.hold(ctx, r.settings.Around); err != nil {
		return err
	}
	r.course.Over = time.Time{}
	if err := r.scenario.faults(ctx, r); err != nil {
		return err
	}
	if r.course.Over.IsZero() {
		r.over()
	}
	if err := r.hold(ctx, r.settings.Around); err != nil {
		return err
	}
	t.end()
	if r.scenario.failing {
		r.over() // handlers failed until now
	}
	if n := t.failed.Load(); n > 0 {
		r.note("%d sends failed and were tried again by the driver", n)
	}
	return nil
}

// awaitShares waits until each queue has one owner among the members.
func (r *run) awaitShares(ctx context.Context) error {
	return r.poll(ctx, sharePatience, "share out the queues", func() bool {
		owners := map[peer.Queue]int{}
		for _, m := range r.members {
			owned := m.Queues(r.topic)
			if len(owned) == 0 {
				return false
			}
			for _, q := range owned {
				owners[q]++
			}
		}
		for _, n := range owners {
			if n > 1 {
				return false
			}
		}
		return len(owners) == r.settings.Queues
	})
}

// awaitHandled waits until all was handled or the deadline, and then for repetitions.
func (r *run) awaitHandled(ctx context.Context) error {
	r.progress("waiting for the last of the messages")
	err := r.poll(ctx, r.settings.Deadline, "", func() bool { return r.ledger.Missing() == 0 })
	if err != nil && ctx.Err() != nil {
		return err
	}
	return r.hold(ctx, r.settings.Quiet) // what is missing now is lost
}

func (r *run) poll(ctx context.Context, patience time.Duration, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !done() {
		if err := r.hold(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// row works out the row of the table.
func (r *run) row(took time.Duration) row {
	figures := r.ledger.Figures(r.course)
	result := row{
		Scenario: r.scenario.name, Order: r.order, Library: r.library.name, Figures: figures, Took: took,
		Away: r.course.Away, Notes: slices.Clone(r.notes),
	}
	if r.library.name == rocketkitName {
		result.Broken = r.scenario.promise.broken(figures)
		result.Late = r.scenario.promise.late(figures)
	}
	return result
}
