package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/test/bench/bare"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

const pollEvery = 800 * time.Millisecond // as package dynconf does

// outage takes all name servers away, watches the pools, starts the service anew, and gives a name server back.
func (f *fleet) outage(ctx context.Context) ([]finding, error) {
	f.rig.say("settings  all name servers down")
	for n := range 3 {
		if err := f.cluster.NameServer(n).Kill(); err != nil {
			return nil, err
		}
	}
	if err := meter.Pause(ctx, max(3*time.Second, f.rig.options.stretch)); err != nil { // each has asked several times
		return nil, err
	}
	kept := f.counts()
	f.rig.say("settings  restarting the service")
	if err := f.stop(); err != nil {
		f.rig.say("settings  stopping: %v", err) // on a busy machine the broker may be late; it is settings that this is about
	}
	began := time.Now()
	if err := f.start(); err != nil {
		return nil, err
	}
	if err := f.awaitAll(ctx); err != nil {
		return nil, err
	}
	again := time.Since(began)
	if err := f.cluster.NameServer(0).Start(ctx); err != nil {
		return nil, err
	}
	_, back, err := f.changes(ctx, f.cluster.NameServers(), settingsGroups)
	if err != nil {
		return nil, err
	}
	wanted := float64(settingsGroups * f.rig.options.instances)
	return []finding{
		{What: fmt.Sprintf("settings, all down: pools of %.0f that stay", wanted), AtLeast: wanted, values: []float64{float64(kept)}},
		{What: "settings, all down: restart to all pools as before, s", AtMost: 2, values: []float64{again.Seconds()}},
		{What: "settings, one back: write to all instances, s", values: back},
	}, nil
}

// counts tells how many pools have what was written last.
func (f *fleet) counts() (n int) {
	for g, workers := range f.workers {
		n += f.count(g, workers)
	}
	return n
}

func (f *fleet) awaitAll(ctx context.Context) error {
	for g, workers := range f.workers {
		if _, err := f.await(ctx, g, workers, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// polls measures what a name server does for many Clients that poll it, the only one. Those of the instances have ended.
func (f *fleet) polls(ctx context.Context) ([]finding, error) {
	if err := f.stop(); err != nil {
		return nil, err
	}
	o := f.rig.options
	stretch := 10 * o.stretch
	// What runs for months is compiled: a hundred times as many requests see to that.
	f.rig.say("settings  warming up a name server")
	if _, _, err := f.poll(ctx, o.pollers, pollEvery/100, stretch/4, stretch/4); err != nil {
		return nil, err
	}
	var found []finding
	// What one of three has of ten times as many is measured as well, since a request among many costs less.
	for _, c := range []struct {
		pollers int
		stretch time.Duration
	}{{o.pollers, stretch}, {10 * o.pollers / 3, stretch / 2}} {
		f.rig.say("settings  %d pollers on one name server for %v", c.pollers, c.stretch)
		answers, used, err := f.poll(ctx, c.pollers, pollEvery, max(2*pollEvery, stretch/10), c.stretch)
		if err != nil {
			return nil, err
		}
		found = append(found, pollFindings(c.pollers, answers, used, c.stretch)...)
	}
	share := found[1].values[0] * 10 / 3
	return append(found, finding{
		What:   fmt.Sprintf("settings, %s on each of three, extrapolated from %s, %% of a core", grouped(int64(10*o.pollers)), grouped(int64(o.pollers))),
		values: []float64{share},
	}), nil
}

// poll polls a name server, and after a while measures for a stretch how long its answers take, and how much processor time it uses.
func (f *fleet) poll(ctx context.Context, pollers int, every, settle, stretch time.Duration) (answers []time.Duration, used time.Duration, err error) {
	nameServer := f.cluster.NameServer(0)
	ctx, end := context.WithCancel(ctx)
	failed := make(chan error, 1)
	var mu sync.Mutex
	go func() {
		failed <- bare.Poll(ctx, nameServer.Address(), dynconf.Namespace, groupName(0), pollers, every, func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, d)
		})
	}()
	stop := func() error { end(); return <-failed }
	for _, d := range []time.Duration{settle, stretch} {
		mu.Lock()
		answers = nil
		mu.Unlock()
		used = processorTime(nameServer.PID())
		select {
		case err := <-failed:
			failed <- nil
			return nil, 0, errors.Join(err, stop())
		case <-time.After(d):
		}
	}
	used = processorTime(nameServer.PID()) - used
	mu.Lock()
	measured := answers
	answers = nil
	mu.Unlock()
	_ = stop() // that it was stopped
	return measured, used, nil
}

// pollFindings says what answers cost that took a name server so much processor time in a stretch.
func pollFindings(pollers int, answers []time.Duration, used, stretch time.Duration) []finding {
	slices.Sort(answers)
	rate := float64(len(answers)) / stretch.Seconds()
	name := fmt.Sprintf("settings, %s pollers on one name server", grouped(int64(pollers)))
	found := []finding{
		{What: name + ", requests/s", values: []float64{rate}},
		{What: name + ", its processor time, % of a core", values: []float64{100 * used.Seconds() / stretch.Seconds()}},
	}
	if len(answers) > 0 {
		found = append(found,
			finding{What: name + ", µs a request", values: []float64{float64(used.Microseconds()) / float64(len(answers))}},
			finding{What: name + ", answered, p99, ms", values: []float64{milliseconds(answers[len(answers)*99/100])}})
	}
	return found
}
