//go:build unix

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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
	logs     string // directory for what members log; "" drops it
	report   func(text string)

	client       *rocketkit.Client
	ledger       *ledger.Ledger
	topic, group string
	log          *os.File
	members      []member // nil: not running
	course       ledger.Course
	began        time.Time // when the first message was sent

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
func (r *run) do(ctx context.Context) error {
	defer r.end()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.act(ctx); err != nil {
		return err
	}
	return r.finish(ctx)
}

// prepare brings the scenario to where its first message can be sent.
func (r *run) prepare(ctx context.Context) (err error) {
	r.client, err = rocketkit.Open(rocketkit.Config{NameServers: r.cluster.nameServers, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if r.logs != "" {
		name := strings.ReplaceAll(r.name(), "/", "-") + "-" + r.library.name + ".log"
		if r.log, err = os.Create(filepath.Join(r.logs, name)); err != nil {
			return err
		}
	}
	r.ledger, r.course.Order = ledger.New(r.settings.Keys), r.order
	r.topic = strings.TrimSuffix(strings.Join([]string{"chaos", r.scenario.name, r.library.name, string(r.order)}, "-"), "-")
	r.group = r.topic + "-group"
	topic := admin.TopicConfig{Name: r.topic, ReadQueues: r.settings.Queues, WriteQueues: r.settings.Queues}
	if err := admin.New(r.client).CreateTopic(ctx, topic); err != nil {
		return err
	}
	r.members = make([]member, r.scenario.members)
	if err := r.start(ctx, indexes(r.members)...); err != nil {
		return err
	}
	return r.awaitShares(ctx)
}

// finish waits for the last of the messages.
func (r *run) finish(ctx context.Context) error {
	if err := r.awaitHandled(ctx, r.settings.Deadline); err != nil {
		return err
	}
	if err := r.hold(ctx, r.settings.Quiet); err != nil {
		return err
	}
	return r.stop(ctx, indexes(r.members)...)
}

// end kills what is left.
func (r *run) end() {
	r.killAll()
	if r.client != nil {
		_ = r.client.Close(context.Background()) // its own errors are of no interest here
	}
	if r.log != nil {
		_ = r.log.Close() // likewise
	}
}

func indexes(members []member) []int {
	var all []int
	for i := range members {
		all = append(all, i)
	}
	return all
}

// act sends messages before, while and after the faults happen, and waits for a while until all is handled: longer than
// a sound library needs.
func (r *run) act(ctx context.Context) error {
	if err := r.underTraffic(ctx); err != nil {
		return err
	}
	r.progress("waiting for the last of the messages")
	return r.awaitHandled(ctx, min(r.settings.Deadline, 5*time.Second))
}

func (r *run) underTraffic(ctx context.Context) error {
	r.began = time.Now()
	p, err := producer.New(r.client, producer.Config{Group: "chaos-sender"})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close(context.Background()) }() // its sends have ended
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
	if err := r.poll(ctx, time.Minute, "send enough", func() bool { return r.ledger.Acknowledged() >= r.settings.Least }); err != nil {
		return err
	}
	t.end()
	if r.scenario.failing {
		r.over() // handlers failed until now
	}
	if n, first := t.failures(); n > 0 {
		r.note("%d sends failed and were tried again by the driver, the first with: %v", n, first)
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

// awaitHandled waits until all was handled, but not longer than patience.
func (r *run) awaitHandled(ctx context.Context, patience time.Duration) error {
	_ = r.poll(ctx, patience, "", func() bool { return r.ledger.Missing() == 0 }) // what is missing in the end is lost
	return context.Cause(ctx)
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

// noteLost names some of the messages that are lost, and what a reset has skipped.
func (r *run) noteLost() {
	if r.ledger == nil {
		return
	}
	if n := r.ledger.Figures(r.course).Skipped; n > 0 {
		r.note("%d messages still waited when the reset went past them", n)
	}
	lost, successes := r.ledger.Lost(3)
	for i, s := range lost {
		r.note("lost, for one: message %d, at offset %d of queue %d, acknowledged at %s and handled %d times",
			s.Number, s.Place.Offset, s.Place.Queue, s.At.Format("15:04:05.000"), successes[i])
	}
}

// row works out the row of the table.
func (r *run) row() row {
	var figures ledger.Figures
	if r.ledger != nil {
		figures = r.ledger.Figures(r.course)
	}
	r.noteLost()
	result := row{
		Scenario: r.scenario.name, Order: r.order, Library: r.library.name, Figures: figures, Took: time.Since(r.began),
		Away: r.course.Away, Notes: slices.Clone(r.notes),
	}
	if r.library.name == rocketkitName {
		result.Broken = r.scenario.promise.broken(figures)
		result.Late = r.scenario.promise.late(figures)
	}
	return result
}
