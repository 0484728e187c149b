//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit/test/chaos/ledger"
	"github.com/rocketkit/rocketkit/test/peer"
)

// These bound what is waited for; neither is a promise.
const (
	startPatience = 2 * time.Minute // compilers included
	stopPatience  = 40 * time.Second
)

// startAttempts is how often a member is started: on a busy machine Apache's clients end when a first request takes 3 s.
const startAttempts = 3

// start starts members, side by side.
func (r *run) start(ctx context.Context, which ...int) error {
	cfg := peer.ConsumerConfig{
		NameServers: r.cluster.nameServers, Group: r.group, Topic: r.topic, Earliest: true, Workers: r.settings.Workers, Work: r.settings.Work,
		Brief: true, On: r.handled,
	}
	if r.scenario.failing {
		cfg.FailEvery, cfg.PanicEvery = 100, 1000
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var log io.Writer // nil drops it
	if r.log != nil {
		log = r.log
	}
	var group errgroup.Group
	for _, i := range which {
		group.Go(func() (err error) {
			for range startAttempts {
				if r.members[i], err = r.library.start(ctx, cfg, r.order, log); err == nil || ctx.Err() != nil {
					break
				}
				r.note("a member didn't start, so another was: %v", err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("start a member: %w", err)
	}
	return nil
}

// handled enters what a member tells.
func (r *run) handled(m peer.Received) {
	number, err := strconv.Atoi(strings.TrimSpace(string(m.Body)))
	if err != nil {
		r.note("a member was handed %q, which nobody sent", m.Body)
		return
	}
	r.ledger.Handled(ledger.Handled{
		Number: number, Place: ledger.Place{Broker: m.Broker, Queue: m.Queue, Offset: m.Offset},
		Attempt: m.Attempt, OK: m.Verdict == peer.OK, Began: m.Began, Ended: m.Ended,
	})
}

// stop stops members in order, side by side. One that ends in disorder is noted.
func (r *run) stop(ctx context.Context, which ...int) error {
	bounded, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	var stops sync.WaitGroup
	for _, i := range which {
		if r.members[i] == nil {
			continue
		}
		stops.Go(func() {
			if err := r.members[i].Stop(bounded); err != nil && ctx.Err() == nil {
				r.note("a member didn't stop in order: %v", err)
			}
			r.members[i].Kill() // it has ended, or it didn't want to
			r.members[i] = nil
		})
	}
	stops.Wait()
	return context.Cause(ctx)
}

func (r *run) kill(i int) {
	r.members[i].Kill()
	r.members[i] = nil
}

func (r *run) killAll() {
	for i := range r.members {
		if r.members[i] != nil {
			r.kill(i)
		}
	}
}
