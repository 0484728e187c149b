package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Topic is one topic of a consumer at one moment.
type Topic struct {
	Name     string // logical; of the group's retry topic, which is one of its own here, %RETRY% and the group
	Lag      int64  // below 0 while it isn't known
	Queues   int
	Cached   int
	HeldBack int64 // pauses of pulling since Run began

	Handled        bool // its messages are handled under its name, so that it has what follows
	Workers        int
	Core, Max      int
	Paused         bool
	Active         int
	Waiting        int
	OldestHandling time.Time // when the handler began that has run longest; zero when none runs
}

// Settings is the settings document that a consumer follows at one moment.
type Settings struct {
	Rev     int64
	Refused map[string]int64 // by reason, since Run began
}

// Watch has each collection call read for what gauges show, until stop is called. Nothing runs in between. A nil
// Settings is for a consumer that follows no document. Messages handled are counted by then, too.
func (h *Handler) Watch(read func() ([]Topic, *Settings)) (stop func()) {
	lag, queues, cached := h.all.observable(consumerLag), h.all.observable(consumerQueues), h.all.observable(consumerCached)
	workers, core, most := h.all.observable(consumerWorkers), h.all.observable(consumerWorkersMin), h.all.observable(consumerWorkersMax)
	active, waiting := h.all.observable(consumerActive), h.all.observable(consumerWaiting)
	longest, held := h.all.gauge(consumerLongest), h.all.observableCounter(consumerFlowControl)
	paused, rev, refused := h.all.observable(consumerPaused), h.all.gauge(settingsRev), h.all.observableCounter(settingsRefused)
	registration, err := h.all.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		h.flush()
		topics, settings := read()
		if settings != nil {
			h.showSettings(o, rev, refused, settings)
		}
		for _, t := range topics {
			set := h.sets.of(labels{topic: t.Name}).observe
			if t.Lag >= 0 {
				o.ObserveInt64(lag, t.Lag, set...)
			}
			o.ObserveInt64(queues, int64(t.Queues), set...)
			o.ObserveInt64(cached, int64(t.Cached), set...)
			o.ObserveInt64(held, t.HeldBack, set...)
			if !t.Handled {
				continue
			}
			o.ObserveInt64(workers, int64(t.Workers), set...)
			o.ObserveInt64(core, int64(t.Core), set...)
			o.ObserveInt64(most, int64(t.Max), set...)
			o.ObserveInt64(active, int64(t.Active), set...)
			o.ObserveInt64(paused, oneIf(t.Paused), set...)
			o.ObserveInt64(waiting, int64(t.Waiting), set...)
			runs := time.Duration(0)
			if !t.OldestHandling.IsZero() {
				runs = time.Since(t.OldestHandling)
			}
			o.ObserveFloat64(longest, runs.Seconds(), set...)
		}
		return nil
	}, lag, queues, cached, workers, core, most, active, waiting, longest, held, paused, rev, refused)
	if err != nil {
		report(err)
		return h.flush
	}
	return func() {
		report(registration.Unregister())
		h.flush()
	}
}

func (h *Handler) showSettings(o metric.Observer, rev metric.Float64Observable, refused metric.Int64Observable, s *Settings) {
	o.ObserveFloat64(rev, float64(s.Rev), h.sets.of(labels{}).observe...)
	for reason, n := range s.Refused {
		o.ObserveInt64(refused, n, h.sets.of(labels{failure: reason}).observe...)
	}
}

func oneIf(so bool) int64 {
	if so {
		return 1
	}
	return 0
}
