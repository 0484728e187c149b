package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// section is one part of the benchmark, which -run can choose.
type section struct {
	name string
	run  func(context.Context, *rig) ([]table, error)
	own  bool // it has a cluster of its own
}

func sections() []section {
	return []section{
		{"consume", consume, false}, {"work", work, false}, {"send", send, false}, {"linger", linger, false},
		{"telemetry", telemetry, false}, {"idle", idle, false}, {"settings", settings, true},
	}
}

func sectionNames() string {
	var names []string
	for _, s := range sections() {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// chosen are the sections that -run names.
func chosen(o options) (some []section) {
	for _, s := range sections() {
		if o.run.MatchString(s.name) {
			some = append(some, s)
		}
	}
	return some
}

// span are the values that say what is measured of so many messages: not the first tenth, in which members find their
// queues, and not the last, in which some queues have run dry.
func span(topic string, messages int) []string {
	return []string{"topic", topic, "queues", strconv.Itoa(queues), "all", strconv.Itoa(messages),
		"from", strconv.Itoa(messages / 10), "to", strconv.Itoa(messages - messages/10)}
}

// consume reads as fast as it goes: the handlers do nothing.
func consume(ctx context.Context, r *rig) ([]table, error) {
	const topic = "bench-consume"
	if err := r.fill(ctx, topic, r.options.messages); err != nil {
		return nil, err
	}
	values := span(topic, r.options.messages)
	found, err := r.turns(ctx, "consume", []arm{
		{Name: rocketkitName, Says: "its default settings: 16 workers", what: "consume", values: values},
		{Name: roomyName, Says: "the same with GOGC=400", what: "consume", values: values},
		{Name: clientGoName, Says: "its default settings: 20 goroutines, batches of 1", what: "consume", values: values},
		{Name: javaName, Says: "its default settings: 20 threads, batches of 1; " + strings.Join(javaFlags, " "), what: "consume", values: values},
		{Name: bareName, Says: "a pull under way for each queue, frames read and thrown away", what: "bare consume", values: values},
	}, true)
	if err != nil {
		return nil, err
	}
	t := table{
		Name: "consume",
		Title: fmt.Sprintf("consume, handlers that do nothing: %s messages of %d bytes in %d queues, the middle 80 %% measured",
			grouped(int64(r.options.messages)), bodySize, queues),
		Results: found,
	}
	t.compare(rocketkitName, javaName, 1.4)
	t.compare(rocketkitName, clientGoName, 2.5)
	t.compare(rocketkitName, bareName, 0.85)
	t.compare(roomyName, bareName, 0)
	if i := slices.IndexFunc(found, func(r result) bool { return r.Name == rocketkitName }); i >= 0 {
		allocations := found[i].each(func(t turn) float64 { return t.PerMessage() })
		t.Findings = append(t.Findings, finding{What: "consume, allocations a message of rocketkit", AtMost: 4, values: allocations})
	}
	return []table{t}, nil
}

// work reads with handlers that take a millisecond.
func work(ctx context.Context, r *rig) ([]table, error) {
	const topic, workers = "bench-work", 200
	messages := r.options.messages / 2 // all that there are: clients that stop while messages come in take their time
	if err := r.fill(ctx, topic, messages); err != nil {
		return nil, err
	}
	values := append(span(topic, messages), "workers", strconv.Itoa(workers), "work", strconv.Itoa(int(time.Millisecond)))
	found, err := r.turns(ctx, "work", []arm{
		{Name: rocketkitName, Says: "200 workers", what: "consume", values: values},
		{Name: clientGoName, Says: "200 goroutines", what: "consume", values: values},
		{Name: javaName, Says: "200 threads; " + strings.Join(javaFlags, " "), what: "consume", values: values},
		{Name: bareName, Says: "200 goroutines that sleep, fed by a channel: no broker", what: "bare work", values: values},
	}, r.options.run.String() == "work")
	if err != nil {
		return nil, err
	}
	t := table{
		Name:    "work",
		Title:   fmt.Sprintf("consume, handlers that sleep for 1 ms, 200 at once: %s messages, the middle 80 %% measured", grouped(int64(messages))),
		Results: found,
	}
	t.compare(rocketkitName, bareName, 0.9)
	t.compare(rocketkitName, javaName, 0)
	t.compare(rocketkitName, clientGoName, 0)
	return []table{t}, nil
}

// send has callers send one message after the other.
func send(ctx context.Context, r *rig) (all []table, err error) {
	const topic = "bench-send"
	if err := r.create(ctx, topic, queues); err != nil {
		return nil, err
	}
	for _, callers := range []int{32, 128} {
		values := []string{"topic", topic, "queues", strconv.Itoa(queues), "callers", strconv.Itoa(callers), "size", strconv.Itoa(bodySize),
			"warm", strconv.Itoa(int(r.options.stretch / 4)), "stretch", strconv.Itoa(int(r.options.stretch))}
		name := fmt.Sprintf("send-%d", callers)
		found, err := r.turns(ctx, name, []arm{
			{Name: rocketkitName, Says: fmt.Sprintf("%d goroutines that Send", callers), what: "send", values: values},
			{Name: clientGoName, Says: fmt.Sprintf("%d goroutines that SendSync", callers), what: "send", values: values},
			{Name: javaName, Says: fmt.Sprintf("%d threads that send; %s", callers, strings.Join(javaFlags, " ")), what: "send", values: values},
			{Name: bareName, Says: fmt.Sprintf("%d requests made beforehand always under way on one connection", callers), what: "bare send", values: values},
		}, true)
		if err != nil {
			return nil, err
		}
		t := table{
			Name:    name,
			Title:   fmt.Sprintf("send, %d callers: messages of %d bytes to %d queues, %v a turn", callers, bodySize, queues, r.options.stretch),
			Results: found,
		}
		t.compare(rocketkitName, javaName, 1.1)
		t.compare(rocketkitName, clientGoName, 1.7)
		t.compare(rocketkitName, bareName, 0)
		all = append(all, t)
	}
	return all, nil
}

// linger has many callers send one message after the other, and share requests.
func linger(ctx context.Context, r *rig) ([]table, error) {
	const topic, callers, batch, wait = "bench-linger", 128, 32, 5 * time.Millisecond
	if err := r.create(ctx, topic, queues); err != nil {
		return nil, err
	}
	values := []string{"topic", topic, "queues", strconv.Itoa(queues), "callers", strconv.Itoa(callers), "size", strconv.Itoa(bodySize),
		"warm", strconv.Itoa(int(r.options.stretch / 4)), "stretch", strconv.Itoa(int(r.options.stretch))}
	with := func(more ...string) []string { return slices.Concat(values, more) }
	lingering := strconv.Itoa(int(wait))
	found, err := r.turns(ctx, "linger", []arm{
		{Name: rocketkitName, as: lingerName, Says: fmt.Sprintf("%d goroutines that Send, Linger.Wait of %v", callers, wait), what: "send",
			values: with("linger", lingering)},
		{Name: clientGoName, Says: fmt.Sprintf("%d goroutines that SendSync", callers), what: "send", values: values},
		{Name: rocketkitName, as: asyncName, Says: fmt.Sprintf("a goroutine that SendAsyncs, Linger.Wait of %v", wait), what: "send async",
			values: with("linger", lingering)},
		{Name: clientGoName, as: batchesName, Says: fmt.Sprintf("%d goroutines that SendSync %d messages at once", callers, batch),
			what: "send", values: with("batch", strconv.Itoa(batch))},
		{Name: javaName, Says: fmt.Sprintf("%d threads that send; %s", callers, strings.Join(javaFlags, " ")), what: "send", values: values},
	}, true)
	if err != nil {
		return nil, err
	}
	t := table{
		Name:    "linger",
		Title:   fmt.Sprintf("send, requests shared: messages of %d bytes to %d queues, %v a turn", bodySize, queues, r.options.stretch),
		Results: found,
	}
	t.compare(lingerName, clientGoName, 4)
	t.compare(lingerName, batchesName, 0)
	t.compare(asyncName, batchesName, 0)
	t.compare(lingerName, javaName, 0)
	return []table{t}, nil
}
