//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
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
	if s.together {
		var group sync.WaitGroup
		for i, r := range runs {
			group.Go(func() { rows[i] = m.row(ctx, c, r) })
		}
		group.Wait()
		return rows, ctx.Err()
	}
	for i, r := range runs {
		rows[i] = m.row(ctx, c, r)
		if ctx.Err() != nil {
			return rows[:i], ctx.Err()
		}
	}
	return rows, nil
}

// row runs a row; that it couldn't is in it.
func (m *matrix) row(ctx context.Context, c cluster, r *run) row {
	failed := row{Scenario: r.scenario.name, Order: r.order, Library: r.library.name}
	r.cluster, r.logs = c, io.Discard
	if m.logs != "" {
		name := strings.ReplaceAll(r.name(), "/", "-") + "-" + r.library.name + ".log"
		file, err := os.Create(filepath.Join(m.logs, name))
		if err != nil {
			failed.Error = err.Error()
			return failed
		}
		defer func() { _ = file.Close() }() // a log
		r.logs = file
	}
	done, err := r.do(ctx)
	if err != nil {
		failed.Error, failed.Notes = err.Error(), r.notes
		done = failed
	}
	m.report(strings.Join(strings.Fields(strings.Join(done.cells(), " ")), " "))
	return done
}
