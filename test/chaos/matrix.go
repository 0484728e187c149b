//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// matrix is what to run, and how.
type matrix struct {
	settings  settings
	libraries []library
	only      *regexp.Regexp // of the rows' names; nil means all
	logs      string         // directory for what the members log; "" drops it
	cluster   func(ctx context.Context) (cluster, error)
	report    func(text string)
}

var errNoRows = errors.New("nothing to run: -run and -lib leave no row")

// run runs the rows that were chosen. Those that were finished are returned with an error, too.
func (m *matrix) run(ctx context.Context) ([]row, error) {
	var rows []row
	for _, s := range scenarios() {
		runs := m.runs(s)
		if len(runs) == 0 {
			continue
		}
		some, err := m.scenario(ctx, s, runs)
		rows = append(rows, some...)
		if err != nil {
			return rows, err
		}
	}
	if len(rows) == 0 {
		return nil, errNoRows
	}
	return rows, nil
}

// runs are the rows of a scenario, by order and library.
func (m *matrix) runs(s scenario) []*run {
	var runs []*run
	for _, order := range s.orders {
		for _, l := range m.libraries {
			r := &run{scenario: s, library: l, order: order, settings: m.settings, report: m.report}
			if slices.Contains(l.orders, order) && (m.only == nil || m.only.MatchString(r.name())) {
				runs = append(runs, r)
			}
		}
	}
	return runs
}

// scenario runs rows on a cluster of their own.
func (m *matrix) scenario(ctx context.Context, s scenario, runs []*run) (rows []row, err error) {
	m.report(fmt.Sprintf("%s: %s", s.name, s.what))
	c, err := m.cluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	rows = make([]row, len(runs))
	for _, r := range runs {
		r.cluster, r.logs = c, m.logs
	}
	switch {
	case s.together:
		var group sync.WaitGroup
		for i, r := range runs {
			group.Go(func() { rows[i] = m.told(r, r.do(ctx)) })
		}
		group.Wait()
	case s.servers:
		for i, r := range runs {
			rows[i] = m.told(r, r.do(ctx))
		}
	default:
		m.staggered(ctx, runs, rows)
	}
	if ctx.Err() != nil { // rows that it ended tell nothing
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.Error != "" })
	}
	return rows, context.Cause(ctx)
}

// settling is how long the first row waits for the others' members to start: beside it, they would disturb it.
const settling = 15 * time.Second

// staggered runs rows one after the other, but has all prepared at first, and lets each come to its end beside the next:
// both may take minutes of mere waiting, for locks to run out and for messages that never come.
func (m *matrix) staggered(ctx context.Context, runs []*run, rows []row) {
	ready, failures := make(chan int, len(runs)), make([]error, len(runs))
	for i, r := range runs {
		go func() {
			failures[i] = r.prepare(ctx)
			ready <- i
		}()
	}
	turns := early(ready, len(runs))
	var tails sync.WaitGroup
	for n := range runs {
		if n >= len(turns) {
			turns = append(turns, <-ready)
		}
		i := turns[n]
		if failures[i] == nil {
			failures[i] = runs[i].act(ctx)
		}
		tails.Go(func() {
			if failures[i] == nil {
				failures[i] = runs[i].finish(ctx)
			}
			runs[i].end()
			rows[i] = m.told(runs[i], failures[i])
		})
	}
	tails.Wait()
}

// early gives those of n that are ready soon, in their order.
func early(ready <-chan int, n int) []int {
	var some []int
	for late := time.After(settling); len(some) < n; {
		select {
		case i := <-ready:
			some = append(some, i)
		case <-late:
			n = 0
		}
	}
	slices.Sort(some)
	return some
}

// told makes the row of a run that is over, and reports it.
func (m *matrix) told(r *run, failed error) row {
	done := r.row()
	if failed != nil {
		done = row{Scenario: done.Scenario, Order: done.Order, Library: done.Library, Notes: done.Notes, Error: failed.Error()}
	}
	m.report(strings.Join(strings.Fields(strings.Join(done.cells(), " ")), " "))
	return done
}
