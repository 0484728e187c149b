package telemetry

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Names of the metrics: those of the conventions, and ours.
const (
	operationDuration = "messaging.client.operation.duration"
	sentMessages      = "messaging.client.sent.messages"
	consumedMessages  = "messaging.client.consumed.messages"
	processDuration   = "messaging.process.duration"

	producerRetries = "rocketkit.producer.retries"

	consumerDelay       = "rocketkit.consumer.delay"
	consumerRetries     = "rocketkit.consumer.retries"
	consumerDeadLetters = "rocketkit.consumer.dead_letters"
	consumerDropped     = "rocketkit.consumer.dropped"
	consumerTimeouts    = "rocketkit.consumer.timeouts"
	consumerFlowControl = "rocketkit.consumer.flow_control"

	consumerLag        = "rocketkit.consumer.lag"
	consumerQueues     = "rocketkit.consumer.queues"
	consumerCached     = "rocketkit.consumer.cached"
	consumerWaiting    = "rocketkit.consumer.waiting"
	consumerActive     = "rocketkit.consumer.active"
	consumerLongest    = "rocketkit.consumer.longest"
	consumerWorkers    = "rocketkit.consumer.workers"
	consumerWorkersMin = "rocketkit.consumer.workers.core"
	consumerWorkersMax = "rocketkit.consumer.workers.max"
	consumerPaused     = "rocketkit.consumer.paused"

	settingsRev     = "rocketkit.consumer.settings.rev"
	settingsRefused = "rocketkit.consumer.settings.refused"
)

// Kind is a kind of instrument.
type Kind string

// The kinds of instruments. What adds up over the members of a group is an UpDownCounter, so that two members in one process
// are seen as their sum; exporters to Prometheus make gauges of them.
const (
	Counter       Kind = "counter"
	Histogram     Kind = "histogram"
	UpDownCounter Kind = "updowncounter"
	Gauge         Kind = "gauge"
)

// Instrument is a metric.
type Instrument struct {
	Name, Unit  string
	Kind        Kind
	Description string
	Bounds      []float64 // of a Histogram's buckets
}

// Instruments are all there are.
func Instruments() []Instrument {
	return []Instrument{
		{operationDuration, "s", Histogram, "Duration of messaging operation initiated by a producer or consumer client.", callBounds()},
		{sentMessages, "{message}", Counter, "Number of messages producer attempted to send to the broker.", nil},
		{consumedMessages, "{message}", Counter, "Number of messages that were delivered to the application.", nil},
		{processDuration, "s", Histogram, "Duration of processing operation.", callBounds()},

		{producerRetries, "{request}", Counter, "Requests of sends beyond the first of each.", nil},

		{consumerDelay, "s", Histogram, "Time from a message's storing to its handler's call.", delayBounds()},
		{consumerRetries, "{message}", Counter, "Messages that failed and are delivered again.", nil},
		{consumerDeadLetters, "{message}", Counter, "Messages that failed and go to the dead-letter topic.", nil},
		{consumerDropped, "{message}", Counter, "Messages that failed and are neither delivered again nor kept.", nil},
		{consumerTimeouts, "{message}", Counter, "Messages whose handler returned after its time-out.", nil},
		{consumerFlowControl, "{pause}", Counter, "Pauses of pulling a queue because as many messages as may be are held already.", nil},

		{consumerLag, "{message}", UpDownCounter, "Messages that are stored and not finished, of the queues this process owns.", nil},
		{consumerQueues, "{queue}", UpDownCounter, "Queues this process owns.", nil},
		{consumerCached, "{message}", UpDownCounter, "Messages received and not finished.", nil},
		{consumerWaiting, "{message}", UpDownCounter, "Messages received that wait for a worker.", nil},
		{consumerActive, "{message}", UpDownCounter, "Messages that are being handled.", nil},
		{consumerLongest, "s", Gauge, "How long the handler has run that has run longest; 0 when none runs.", nil},
		{consumerWorkers, "{worker}", UpDownCounter, "Workers there may be now.", nil},
		{consumerWorkersMin, "{worker}", UpDownCounter, "Workers there may always be.", nil},
		{consumerWorkersMax, "{worker}", UpDownCounter, "Workers there may be while messages wait.", nil},
		{consumerPaused, "{topic}", UpDownCounter, "1 while no handler is called because the topic is paused.", nil},

		{settingsRev, "{revision}", Gauge, "Revision of the settings document that was applied last; 0 while there was none.", nil},
		{settingsRefused, "{document}", Counter, "Settings documents that were refused, and changed nothing.", nil},
	}
}

// callBounds are those the conventions want, with two below them: a send takes a millisecond, many handlers less.
func callBounds() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60}
}

// delayBounds reach from a healthy consumer to a backlog of a day.
func delayBounds() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}
}

// instruments makes them with one meter. What goes wrong is for OpenTelemetry's error handler: each is usable anyway.
type instruments struct{ meter metric.Meter }

func newInstruments(p metric.MeterProvider) instruments {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	return instruments{p.Meter(scope, metric.WithSchemaURL(schema))}
}

func (m instruments) find(name string) Instrument {
	for _, i := range Instruments() {
		if i.Name == name {
			return i
		}
	}
	panic("telemetry: there is no instrument " + name)
}

func (m instruments) histogram(name string) metric.Float64Histogram {
	i := m.find(name)
	h, err := m.meter.Float64Histogram(name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description),
		metric.WithExplicitBucketBoundaries(i.Bounds...))
	report(err)
	return h
}

func (m instruments) counter(name string) metric.Int64Counter {
	i := m.find(name)
	c, err := m.meter.Int64Counter(name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description))
	report(err)
	return c
}

func (m instruments) observableCounter(name string) metric.Int64ObservableCounter {
	i := m.find(name)
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description))
	report(err)
	return c
}

func (m instruments) observable(name string) metric.Int64ObservableUpDownCounter {
	i := m.find(name)
	c, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description))
	report(err)
	return c
}

func (m instruments) gauge(name string) metric.Float64ObservableGauge {
	i := m.find(name)
	g, err := m.meter.Float64ObservableGauge(name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description))
	report(err)
	return g
}

func report(err error) {
	if err != nil {
		otel.Handle(err)
	}
}
