//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
	"github.com/rocketkit/rocketkit/test/peer"
)

// TestMain lets the test binary be a member, as the program itself does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == memberCommand {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// little is a matrix for tests: short, and gentle to a machine that runs others beside it.
func little() settings {
	return settings{
		Rate: 400, Size: 64, Keys: 16, Queues: 4, Workers: 8, Work: time.Millisecond,
		Scale: 0.1, Pause: 2 * time.Second, Around: 500 * time.Millisecond, Least: 600, Deadline: time.Minute, Quiet: 200 * time.Millisecond,
	}
}

// fake is an mqtest that other processes can reach.
func fake(t *testing.T) cluster {
	t.Helper()
	c := mqtest.New(t, mqtest.Config{TCP: true})
	return cluster{
		nameServers: c.Addresses(), nameServer: fakeServer{c, "namesrv-a"}, broker: fakeServer{c, "broker-a"},
		close: func() error { return nil }, // the test's end does it
	}
}

type fakeServer struct {
	cluster *mqtest.Cluster
	name    string
}

func (s fakeServer) Stop(context.Context) error  { return s.cluster.Stop(s.name) }
func (s fakeServer) Kill() error                 { return s.cluster.Stop(s.name) }
func (s fakeServer) Start(context.Context) error { return s.cluster.Restart(s.name) }

// try runs a scenario with one library on an mqtest.
func try(t *testing.T, s scenario, l library, order ledger.Order) row {
	t.Helper()
	m := matrix{settings: little(), report: func(text string) { t.Log(text) }}
	r := &run{scenario: s, library: l, order: order, settings: m.settings, report: m.report}
	r.cluster = fake(t)
	done := m.told(r, r.do(t.Context()))
	if done.Error != "" {
		t.Fatal(done.Error)
	}
	return done
}

// Every scenario comes to its end, has done something, and finds nothing lost.
func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.name == "name-server" || s.name == "paused" {
				s.promise.once = false
			}
			done := try(t, s, libraries()[0], ledger.Unordered)
			f := done.Figures
			if f.Acknowledged < 100 || f.Lost > 0 || f.Consumed+f.Skipped != f.Acknowledged || f.Recovery == ledger.Never {
				t.Errorf("%+v %q", f, done.Notes)
			}
			if s.failing && f.Failed == 0 {
				t.Error("no handler failed")
			}
			if (s.name == "broker-restart" || s.name == "broker-kill-9") != (len(done.Away) == 1) {
				t.Errorf("the broker was away %v", done.Away)
			}
		})
	}
}

// Rows of a scenario take turns, while one that still waits for messages, or isn't prepared yet, holds up no other.
func TestRowsTakeTurns(t *testing.T) {
	t.Parallel()
	var acting atomic.Int64
	s := calm()
	s.faults = func(ctx context.Context, r *run) error {
		if n := acting.Add(1); n > 1 {
			t.Errorf("%d rows at once", n)
		}
		defer acting.Add(-1)
		return r.hold(ctx, 200*time.Millisecond)
	}
	m := matrix{settings: little(), report: func(text string) { t.Log(text) }}
	m.settings.Deadline = 8 * time.Second // longer than a turn
	c := fake(t)
	m.cluster = func(context.Context) (cluster, error) { return c, nil }
	loses := broken(func(i int, tell func()) {
		if i > 50 {
			tell()
		}
	})
	fails := library{start: func(context.Context, peer.ConsumerConfig, ledger.Order, io.Writer) (member, error) {
		return nil, errors.New("it doesn't want to")
	}}
	sound := broken(func(_ int, tell func()) { tell() })
	libraries := []library{loses, fails, sound}
	var runs []*run
	for i, name := range []string{"loses", "fails", "sound"} {
		libraries[i].name = name // of its topic, too
		runs = append(runs, &run{scenario: s, library: libraries[i], settings: m.settings, report: m.report})
	}
	rows, err := m.scenario(t.Context(), s, runs)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[0]; r.Library != "loses" || r.Error != "" || r.Figures.Lost == 0 {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; r.Library != "fails" || r.Error == "" {
		t.Errorf("%+v", r)
	}
	if r := rows[2]; r.Library != "sound" || r.Error != "" || r.Figures.Lost != 0 || r.Figures.Acknowledged == 0 {
		t.Errorf("%+v", r)
	}
}

// An interrupted run leaves no process.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	l := libraries()[0]
	var mu sync.Mutex
	var pids []int
	start := l.start
	l.start = func(ctx context.Context, cfg peer.ConsumerConfig, order ledger.Order, log io.Writer) (member, error) {
		started, err := start(ctx, cfg, order, log)
		if c, ok := started.(*peer.Consumer); ok {
			mu.Lock()
			pids = append(pids, c.PID())
			mu.Unlock()
		}
		return started, err
	}
	s := calm()
	s.members = 2
	s.faults = func(ctx context.Context, r *run) error {
		if err := r.members[0].Signal(syscall.SIGSTOP); err != nil { // also one that can't obey
			return err
		}
		interrupt()
		return r.hold(ctx, time.Minute)
	}
	m := matrix{settings: little(), report: func(text string) { t.Log(text) }}
	c := fake(t)
	m.cluster = func(context.Context) (cluster, error) { return c, nil }
	rows, err := m.scenario(ctx, s, []*run{{scenario: s, library: l, settings: m.settings, report: m.report}})
	if err == nil || len(rows) > 0 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if len(pids) != 2 {
		t.Errorf("%d members were started", len(pids))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}
