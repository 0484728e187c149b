package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/test/peer/meter"
)

// arm is one of those who take turns.
type arm struct {
	Name   string // process
	Says   string // its settings, in a few words
	what   string // of the measurement
	values []string

	as string // what it is called, when the process has several arms in a section
}

// called is the arm's name.
func (a arm) called() string { return cmp.Or(a.as, a.Name) }

// turn is what one arm did in one round.
type turn struct {
	meter.Figures
	Broker time.Duration `json:"broker_cpu_ns"` // what the broker used of the processors meanwhile; 0 where that can't be told
}

// turns has the arms measured in turn, round after round, after a round that only warms up when warm is set.
func (r *rig) turns(ctx context.Context, section string, arms []arm, warm bool) ([]result, error) {
	arms = slices.DeleteFunc(arms, func(a arm) bool { return !r.options.who.MatchString(a.called()) })
	results := make([]result, len(arms))
	for i, a := range arms {
		results[i].Name, results[i].Settings = a.called(), a.Says
	}
	first := 1
	if warm {
		first = 0
	}
	for round := first; round <= r.options.rounds; round++ {
		for i, a := range arms {
			t, err := r.turn(ctx, section, a, round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.called(), err)
			}
			if round == 0 {
				r.say("%s  warm-up  %-17s %9s msg/s", section, a.called(), grouped(int64(t.Rate())))
				continue
			}
			r.say("%s  %d of %d  %-17s %9s msg/s", section, round, r.options.rounds, a.called(), grouped(int64(t.Rate())))
			results[i].Turns = append(results[i].Turns, t)
		}
	}
	return results, nil
}

func (r *rig) turn(ctx context.Context, section string, a arm, round int) (turn, error) {
	p, err := r.process(ctx, a.Name)
	if err != nil {
		return turn{}, err
	}
	values := append([]string{"group", fmt.Sprintf("bench-%s-%s-%d", section, a.called(), round)}, a.values...)
	if round == 0 {
		values = append(values, "warmup", "true")
	}
	pid := r.cluster.Broker(0).PID()
	used := make(chan time.Duration, 2)
	var resident atomic.Int64
	f, err := p.Measure(ctx, func() {
		resident.Store(residentMemory(p.PID())) // at the end of the stretch, at last
		used <- processorTime(pid)
	}, a.what, values...)
	if err != nil {
		return turn{}, fmt.Errorf("%w%s", err, r.logs[a.Name])
	}
	var at [2]time.Duration
	for i := range at {
		select {
		case at[i] = <-used:
		case <-ctx.Done():
			return turn{}, context.Cause(ctx)
		}
	}
	f.RSS = resident.Load()
	return turn{f, max(at[0], at[1]) - min(at[0], at[1])}, nil
}
