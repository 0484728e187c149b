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
	Active         int
	Waiting        int
	OldestHandling time.Time // when the handler began that has run longest; zero when none runs
}

// Watch has each collection call read for what gauges show, until stop is called. Nothing runs in between. Messages
// handled are counted by then, too.
func (h *Handler) Watch(read func() []Topic) (stop func()) {
	lag, queues, cached := h.all.observable(consumerLag), h.all.observable(consumerQueues), h.all.observable(consumerCached)
	workers, core, most := h.all.observable(consumerWorkers), h.all.observable(consumerWorkersMin), h.all.observable(consumerWorkersMax)
	active, waiting := h.all.observable(consumerActive), h.all.observable(consumerWaiting)
	longest, paused := h.all.gauge(consumerLongest), h.all.observableCounter(consumerFlowControl)
	registration, err := h.all.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		h.flush()
		for _, t := range read() {
			set := h.sets.of(labels{topic: t.Name}).observe
			if t.Lag >= 0 {
				o.ObserveInt64(lag, t.Lag, set...)
			}
			o.ObserveInt64(queues, int64(t.Queues), set...)
			o.ObserveInt64(cached, int64(t.Cached), set...)
			o.ObserveInt64(paused, t.HeldBack, set...)
			if !t.Handled {
				continue
			}
			o.ObserveInt64(workers, int64(t.Workers), set...)
			o.ObserveInt64(core, int64(t.Core), set...)
			o.ObserveInt64(most, int64(t.Max), set...)
			o.ObserveInt64(active, int64(t.Active), set...)
			o.ObserveInt64(waiting, int64(t.Waiting), set...)
			runs := time.Duration(0)
			if !t.OldestHandling.IsZero() {
				runs = time.Since(t.OldestHandling)
			}
			o.ObserveFloat64(longest, runs.Seconds(), set...)
		}
		return nil
	}, lag, queues, cached, workers, core, most, active, waiting, longest, paused)
	if err != nil {
		report(err)
		return h.flush
	}
	return func() {
		report(registration.Unregister())
		h.flush()
	}
}
