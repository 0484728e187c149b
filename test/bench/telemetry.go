package main

import (
	"context"
	"fmt"
	"strconv"
)

// telemetry consumes and sends without hooks, with those that are off for want of an SDK, and with an SDK.
func telemetry(ctx context.Context, r *rig) (all []table, err error) {
	const topic, callers = "bench-telemetry", 32
	if err := r.fill(ctx, topic, r.options.messages); err != nil {
		return nil, err
	}
	sending := []string{"topic", topic, "queues", strconv.Itoa(queues), "callers", strconv.Itoa(callers), "size", strconv.Itoa(bodySize),
		"warm", strconv.Itoa(int(r.options.stretch / 4)), "stretch", strconv.Itoa(int(r.options.stretch))}
	for _, s := range []struct {
		what, title string
		values      []string
	}{
		{"consume", fmt.Sprintf("telemetry, consuming: %s messages of %d bytes in %d queues, handlers that do nothing, the middle 80 %% measured",
			grouped(int64(r.options.messages)), bodySize, queues), span(topic, r.options.messages)},
		{"send", fmt.Sprintf("telemetry, sending: %d callers, messages of %d bytes, %v a turn", callers, bodySize, r.options.stretch), sending},
	} {
		t := table{Name: "telemetry, " + s.what, Title: s.title}
		t.Results, err = r.turns(ctx, "telemetry-"+s.what, []arm{
			{Name: unwatchedName, Says: "without hooks", what: s.what, values: s.values},
			{Name: rocketkitName, Says: "as it is, no SDK installed", what: s.what, values: s.values},
			{Name: metricsName, Says: "OpenTelemetry's SDK takes the metrics", what: s.what, values: s.values},
			{Name: tracesName, Says: "and traces, of which it keeps a hundredth", what: s.what, values: s.values},
		}, true)
		if err != nil {
			return nil, err
		}
		t.compare(rocketkitName, unwatchedName, 0.99)
		t.compare(metricsName, rocketkitName, 0.9)
		t.compare(tracesName, rocketkitName, 0)
		all = append(all, t)
	}
	return all, nil
}
