package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

const (
	settingsTopic  = "bench-settings"
	settingsGroups = 4 // whose changes are measured side by side
	settingsCores  = 16
)

// settings measures how long a change of settings takes from whoever writes it to the pools of all instances, while all name
// servers are there, while one hasn't got what was written, while one is down; what holds when all are; and what asking costs them.
func settings(ctx context.Context, r *rig) (tables []table, err error) {
	f, err := r.newFleet(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	t := table{
		Name: "settings",
		Title: fmt.Sprintf("settings: 3 name servers, %d instances in one process, a Client and %d groups each; %d changes, from the tool's write to all instances' pools",
			r.options.instances, settingsGroups, r.options.changes),
	}
	all := f.cluster.NameServers()
	for _, c := range []struct {
		what    string
		prepare func() error
		reach   []string // the name servers that the tool knows
	}{
		{"", func() error { return nil }, all},
		{", one name server stale", func() error { return nil }, all[:2]},
		{", one name server down", f.cluster.NameServer(2).Kill, all},
	} {
		if err := c.prepare(); err != nil {
			return nil, err
		}
		each, all, err := f.changes(ctx, c.reach, r.options.changes)
		if err != nil {
			return nil, fmt.Errorf("settings%s: %w", c.what, err)
		}
		t.Findings = append(t.Findings,
			finding{What: "settings" + c.what + ", write to an instance, s", AtMost: 1, values: each},
			finding{What: "settings" + c.what + ", write to all instances, s", values: all},
			finding{What: "settings" + c.what + ", the longest, s", AtMost: 2.5, values: []float64{most(all)}})
	}
	kept, err := f.outage(ctx)
	if err != nil {
		return nil, err
	}
	polls, err := f.polls(ctx)
	if err != nil {
		return nil, err
	}
	t.Findings = append(append(t.Findings, kept...), polls...)
	return []table{t}, nil
}

// fleet are the instances of a service, on a cluster of their own.
type fleet struct {
	rig       *rig
	cluster   *testcluster.Cluster
	dir       string // of the instances' caches
	instances []*instance
	workers   [settingsGroups]int // that were written last
}

func (r *rig) newFleet(ctx context.Context) (f *fleet, err error) {
	r.say("settings  starting RocketMQ with 3 name servers")
	f = &fleet{rig: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.cluster, err = testcluster.Start(ctx, testcluster.Config{NameServers: 3, Log: r.progress}); err != nil {
		return nil, err
	}
	r.version = f.cluster.Version()
	if f.dir, err = os.MkdirTemp("", "rocketkit-bench-"); err != nil {
		return nil, err
	}
	if err := f.createTopic(ctx); err != nil {
		return nil, err
	}
	if err := f.start(); err != nil {
		return nil, err
	}
	for g := range f.workers {
		f.workers[g] = settingsCores
		if _, err := f.await(ctx, g, settingsCores, time.Now()); err != nil {
			return nil, err
		}
	}
	for _, i := range f.instances {
		if err := i.ready(ctx); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fleet) createTopic(ctx context.Context) error {
	tool, err := f.tool(f.cluster.NameServers())
	if err != nil {
		return err
	}
	defer func() { _ = tool.Close(context.WithoutCancel(ctx)) }()
	return admin.New(tool).CreateTopic(ctx, admin.TopicConfig{Name: settingsTopic, ReadQueues: f.rig.options.instances, WriteQueues: f.rig.options.instances})
}

// tool is the Client of who writes.
func (f *fleet) tool(nameServers []string) (*rocketkit.Client, error) {
	return rocketkit.Open(rocketkit.Config{NameServers: nameServers, Logger: slog.New(slog.DiscardHandler)})
}

// start starts all instances.
func (f *fleet) start() error {
	f.instances = nil
	for n := range f.rig.options.instances {
		i, err := startInstance(f.cluster.NameServers(), fmt.Sprintf("%s/%d", f.dir, n))
		if err != nil {
			return err
		}
		f.instances = append(f.instances, i)
	}
	return nil
}

// stop stops all instances, at once, as they drain.
func (f *fleet) stop() error {
	var stopping errgroup.Group
	for _, i := range f.instances {
		stopping.Go(i.stop)
	}
	f.instances = nil
	return stopping.Wait()
}

func (f *fleet) close() error {
	err := f.stop()
	if f.cluster != nil {
		err = errors.Join(err, f.cluster.Close())
	}
	if f.dir != "" {
		err = errors.Join(err, os.RemoveAll(f.dir))
	}
	return err
}

// changes has all groups' workers changed, n times in all, each group's one after the other, by a tool that knows these name servers. It
// gives the seconds from the tool's call to each instance's pool, and to the last one's of each change.
func (f *fleet) changes(ctx context.Context, nameServers []string, n int) (each, all []float64, err error) {
	tool, err := f.tool(nameServers)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = tool.Close(context.WithoutCancel(ctx)) }()
	f.rig.say("settings  %d changes, %d name servers written", n, len(nameServers))
	var mu sync.Mutex
	changing, ctx := errgroup.WithContext(ctx)
	for g := range settingsGroups {
		changing.Go(func() error {
			for range max(n/settingsGroups, 1) {
				took, err := f.change(ctx, admin.New(tool), g)
				if err != nil {
					return err
				}
				mu.Lock()
				each, all = append(each, took...), append(all, most(took))
				mu.Unlock()
			}
			return nil
		})
	}
	return each, all, changing.Wait()
}

// change writes another number of workers, waits until each instance has so many, and gives the seconds that each took.
func (f *fleet) change(ctx context.Context, a *admin.Admin, group int) ([]float64, error) {
	// Some time later: who has just asked would otherwise always be the last to hear of it.
	if err := meter.Pause(ctx, time.Duration(rand.IntN(400))*time.Millisecond); err != nil {
		return nil, err
	}
	was := f.workers[group]
	for f.workers[group] == was {
		f.workers[group] = 1 + rand.IntN(64)
	}
	spec := fmt.Appendf(nil, `{"topics":{%q:{"workers":%d,"maxWorkers":128}}}`, settingsTopic, f.workers[group])
	began := time.Now()
	written := make(chan error, 1)
	go func() {
		w, err := a.Settings(groupName(group)).Write(ctx, admin.SettingsDraft{Spec: spec, By: "bench"}, nil)
		var partial *admin.PartialError
		if w.Document.Rev != 0 && errors.As(err, &partial) {
			err = nil // a name server is down, as it should be
		}
		written <- err
	}()
	took, err := f.await(ctx, group, f.workers[group], began)
	return took, errors.Join(err, <-written)
}

// await waits until the group's pool has so many workers at every instance, and gives the seconds that each took since began.
func (f *fleet) await(ctx context.Context, group, workers int, began time.Time) (took []float64, err error) {
	limit, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("not all instances of %s have %d workers within a minute", groupName(group), workers))
	defer cancel()
	for waiting := slices.Clone(f.instances); ; {
		waiting = slices.DeleteFunc(waiting, func(i *instance) bool {
			if i.workers(group) != workers {
				return false
			}
			took = append(took, time.Since(began).Seconds())
			return true
		})
		if len(waiting) == 0 {
			return took, nil
		}
		if err := meter.Pause(limit, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// count tells how many instances have so many workers.
func (f *fleet) count(group, workers int) (n int) {
	for _, i := range f.instances {
		if i.workers(group) == workers {
			n++
		}
	}
	return n
}

func groupName(group int) string { return fmt.Sprintf("bench-settings-%d", group) }
