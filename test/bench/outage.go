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
)

const (
	pollEvery  = 800 * time.Millisecond // as package dynconf does
	manyClient = 10_000                 // what is extrapolated to
)

// outage takes all name servers away, watches the pools, starts the service anew, and gives a name server back.
func (f *fleet) outage(ctx context.Context) ([]finding, error) {
	f.rig.say("settings  all name servers down")
	for n := range 3 {
		if err := f.cluster.NameServer(n).Kill(); err != nil {
			return nil, err
		}
	}
	if err := sleep(ctx, max(3*time.Second, f.rig.options.stretch)); err != nil { // each has asked several times
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
	f.rig.say("settings  %d pollers on one name server for %v", o.pollers, stretch)
	answers, used, err := f.poll(ctx, o.pollers, pollEvery, max(2*pollEvery, stretch/10), stretch)
	if err != nil {
		return nil, err
	}
	return pollFindings(answers, used, stretch, o.pollers), nil
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
func pollFindings(answers []time.Duration, used, stretch time.Duration, pollers int) []finding {
	if len(answers) == 0 {
		return nil
	}
	slices.Sort(answers)
	rate := float64(len(answers)) / stretch.Seconds()
	share := 100 * used.Seconds() / stretch.Seconds()
	// Each Client asks one name server at a time, so that three share the requests.
	each := share * manyClient / float64(pollers) / 3
	name := fmt.Sprintf("settings, %s pollers on one name server", grouped(int64(pollers)))
	return []finding{
		{What: name + ", requests/s", values: []float64{rate}},
		{What: name + ", its processor time, % of a core", values: []float64{share}},
		{What: name + ", µs a request", values: []float64{share * 1e4 / rate}},
		{What: name + ", answered, p99, ms", values: []float64{milliseconds(answers[len(answers)*99/100])}},
		{What: fmt.Sprintf("settings, %s on three, extrapolated, %% of a core each", grouped(manyClient)), values: []float64{each}},
	}
}
