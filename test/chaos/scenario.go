//go:build unix

package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

// scenario is what befalls the members of a group.
type scenario struct {
	name     string
	what     string
	orders   []ledger.Order // those it is tried with
	members  int            // at its beginning
	failing  bool           // handlers fail and panic
	together bool           // the libraries run side by side, at a quarter of the rate: it takes long
	servers  bool           // it befalls a server, and so all groups at once
	promise  promise
	faults   func(ctx context.Context, r *run) error // while messages are sent
}

// scenarios are the rows of the matrix.
func scenarios() []scenario {
	unordered := []ledger.Order{ledger.Unordered}
	all := []ledger.Order{ledger.Unordered, ledger.ByQueue, ledger.ByKey}
	return []scenario{
		{
			name: "rolling-restart", what: "3 members; one after the other is stopped in order and another started, 9 times",
			orders: all, members: 3, promise: promise{once: true, stall: time.Second}, faults: rollingRestart,
		},
		{
			name: "kill-9", what: "3 members; one is killed and 1 s later another started, 6 times",
			orders: all, members: 3, faults: kills,
		},
		{
			name: "scale", what: "1 member becomes 4 and 1 again, in order, twice",
			orders: all, members: 1, promise: promise{once: true, stall: time.Second}, faults: scaling,
		},
		{
			name: "broker-restart", what: "2 members; the broker is stopped in order and started 3 s later",
			orders: unordered, members: 2, promise: promise{stall: 3 * time.Second}, servers: true, faults: brokerRestart,
		},
		{
			name: "broker-kill-9", what: "2 members; the broker is killed and started 3 s later",
			orders: all, members: 2, promise: promise{stall: 3 * time.Second}, servers: true, faults: brokerKill,
		},
		{
			name: "name-server", what: "2 members; the only name server is away for 20 s",
			orders: unordered, members: 2, promise: promise{once: true, stall: time.Second}, servers: true, faults: nameServer,
		},
		{
			name: "offset-reset", what: "2 members; the live group is sent back by 8 s",
			orders: unordered, members: 2, promise: promise{stall: 2 * time.Second}, faults: offsetReset,
		},
		{
			name: "failing", what: "2 members; 1 % of first attempts fail and 0.1 % panic",
			orders: all, members: 2, failing: true, promise: promise{once: true}, faults: failing,
		},
		{
			name: "paused", what: "3 members; one is stopped (SIGSTOP) for 3 min, and goes on",
			orders: all, members: 3, together: true, faults: paused,
		},
	}
}

func rollingRestart(ctx context.Context, r *run) error {
	n := r.settings.times(9)
	for i := range n {
		r.progress("restart %d of %d", i+1, n)
		if err := r.stop(ctx, i%len(r.members)); err != nil {
			return err
		}
		if err := r.start(ctx, i%len(r.members)); err != nil {
			return err
		}
		if err := r.hold(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

func kills(ctx context.Context, r *run) error {
	n := r.settings.times(6)
	for i := range n {
		r.progress("kill %d of %d", i+1, n)
		r.kill(i % len(r.members))
		if err := r.hold(ctx, time.Second); err != nil {
			return err
		}
		if err := r.start(ctx, i%len(r.members)); err != nil {
			return err
		}
		if err := r.hold(ctx, 1500*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func scaling(ctx context.Context, r *run) error {
	n := r.settings.times(2)
	r.members = append(r.members, nil, nil, nil)
	for i := range n {
		for _, change := range []struct {
			what string
			do   func(context.Context, ...int) error
		}{{"4 members", r.start}, {"1 member", r.stop}} {
			r.progress("scaling %d of %d: %s", i+1, n, change.what)
			if err := change.do(ctx, 1, 2, 3); err != nil {
				return err
			}
			if err := r.hold(ctx, 4*time.Second); err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutBroker has the broker go, and come back after 3 s.
func (r *run) withoutBroker(ctx context.Context, takeAway func() error) error {
	away := ledger.Span{From: time.Now()}
	r.progress("the broker goes")
	if err := takeAway(); err != nil {
		return err
	}
	if err := r.hold(ctx, 3*time.Second); err != nil {
		return err
	}
	if err := r.cluster.broker.Start(ctx); err != nil {
		return err
	}
	away.To = time.Now()
	r.progress("the broker answers, %v later", away.To.Sub(away.From).Round(100*time.Millisecond))
	r.course.Away = append(r.course.Away, away)
	r.over()
	return r.hold(ctx, r.settings.long(8*time.Second))
}

func brokerRestart(ctx context.Context, r *run) error {
	return r.withoutBroker(ctx, func() error { return r.cluster.broker.Stop(ctx) })
}

func brokerKill(ctx context.Context, r *run) error {
	return r.withoutBroker(ctx, r.cluster.broker.Kill)
}

func nameServer(ctx context.Context, r *run) error {
	r.progress("name server stopped")
	if err := r.cluster.nameServer.Stop(ctx); err != nil {
		return err
	}
	if err := r.hold(ctx, r.settings.long(20*time.Second)); err != nil {
		return err
	}
	if err := r.cluster.nameServer.Start(ctx); err != nil {
		return err
	}
	r.progress("name server back")
	return nil
}

func offsetReset(ctx context.Context, r *run) error {
	back := r.settings.long(8 * time.Second)
	if err := r.hold(ctx, back); err != nil { // it has messages of 3 s before that already
		return err
	}
	asked := time.Now()
	from, err := reset(ctx, r.client, r.group, r.topic, asked.Add(-back))
	if err != nil {
		return fmt.Errorf("reset the offsets: %w", err)
	}
	r.ledger.Reset(ledger.Reset{Asked: asked, From: from})
	r.progress("offsets reset by %v", back)
	r.over()
	return r.hold(ctx, 10*time.Second)
}

func failing(ctx context.Context, r *run) error {
	return r.hold(ctx, r.settings.long(30*time.Second))
}

func paused(ctx context.Context, r *run) error {
	if err := r.members[1].Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop a process: %w", err)
	}
	r.progress("a process is stopped for %v", r.settings.Pause)
	if err := r.hold(ctx, r.settings.Pause); err != nil {
		return err
	}
	if err := r.members[1].Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("let a process go on: %w", err)
	}
	r.progress("it goes on")
	r.over()
	return r.hold(ctx, 5*time.Second)
}
