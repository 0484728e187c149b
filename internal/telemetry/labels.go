package telemetry

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of metrics and spans: those of the conventions, and ours.
const (
	keySystem        = "messaging.system"
	keyOperation     = "messaging.operation.name"
	keyOperationType = "messaging.operation.type"
	keyDestination   = "messaging.destination.name"
	keyConsumerGroup = "messaging.consumer.group.name"
	keyNamespace     = "messaging.rocketmq.namespace"
	keyErrorType     = "error.type"
	keyProducerGroup = "rocketkit.producer.group.name"

	system = "rocketmq"
	other  = "_OTHER" // the conventions' word for what has no name of its own
)

// maxTopics bounds the topics whose names one producer or consumer keeps. A producer may be asked to send to any number of
// topics that don't exist; from there on their names are "_OTHER". Operations and failures are few.
const maxTopics = 1000

// labels are what tells one series of a producer or consumer from another.
type labels struct {
	operation string // empty for metrics of our own, whose names say what they are about
	topic     string
	failure   string // empty for success
}

// set is the attributes of some labels in the forms in which they are needed, made once: that way a measurement allocates
// nothing.
type set struct {
	labels  labels
	record  []metric.RecordOption
	add     []metric.AddOption
	observe []metric.ObserveOption
	own     *set                    // of the same topic, for metrics of our own; nil for such a set itself
	start   []trace.SpanStartOption // what a span has from its start, for samplers; without the failure
	root    []trace.SpanStartOption // the same, of a span that begins a trace
	span    string                  // its name

	consumed atomic.Int64 // messages that are still to be added to the counter
	sample   sample       // of a consumer's histograms
}

// sets keeps what it has made. Reading takes no lock.
type sets struct {
	attributes func(labels) []attribute.KeyValue
	kind       trace.SpanKind

	made atomic.Pointer[map[string]*ofTopic]
	last atomic.Pointer[set] // that was asked for: most often it is asked for again
	mu   sync.Mutex
}

// ofTopic is the sets of one topic.
type ofTopic struct {
	name string
	made atomic.Pointer[map[labels]*set]
}

func (s *sets) of(l labels) *set {
	if last := s.last.Load(); last != nil && last.labels == l {
		return last
	}
	found := s.find(l)
	s.last.Store(found)
	return found
}

func (s *sets) find(l labels) *set {
	if topics := s.made.Load(); topics != nil {
		if of := (*topics)[l.topic]; of != nil {
			if found := of.find(l); found != nil {
				return found
			}
		}
	}
	return s.make(l)
}

func (t *ofTopic) find(l labels) *set {
	made := t.made.Load()
	if made == nil {
		return nil
	}
	return (*made)[l]
}

func (s *sets) make(l labels) *set {
	s.mu.Lock()
	defer s.mu.Unlock()
	topics := map[string]*ofTopic{}
	if old := s.made.Load(); old != nil {
		topics = *old
	}
	if topics[l.topic] == nil && len(topics) >= maxTopics {
		l.topic = other
	}
	of := topics[l.topic]
	if of == nil {
		of = &ofTopic{name: strings.Clone(l.topic)} // it may be a piece of something large
		topics = maps.Clone(topics)
		topics[of.name] = of
		s.made.Store(&topics)
	}
	l.topic = of.name
	if found := of.find(l); found != nil {
		return found
	}
	made := map[labels]*set{}
	if old := of.made.Load(); old != nil {
		made = maps.Clone(*old)
	}
	found := s.newSet(l)
	made[l] = found
	of.made.Store(&made)
	return found
}

func (s *sets) newSet(l labels) *set {
	all := s.attributes(l)
	unfailed := all
	if l.failure != "" {
		all = append(all[:len(all):len(all)], attribute.String(keyErrorType, l.failure))
	}
	var own *set
	if l.operation != "" {
		own = s.newSet(labels{topic: l.topic})
	}
	option := metric.WithAttributeSet(attribute.NewSet(append([]attribute.KeyValue(nil), all...)...))
	start := []trace.SpanStartOption{trace.WithSpanKind(s.kind), trace.WithAttributes(unfailed...)}
	return &set{
		labels:  l,
		own:     own,
		record:  []metric.RecordOption{option},
		add:     []metric.AddOption{option},
		observe: []metric.ObserveOption{option},
		start:   start,
		root:    append(start[:len(start):len(start)], trace.WithNewRoot()),
		span:    strings.TrimSpace(l.operation + " " + l.topic),
	}
}

// all calls each with every set there is.
func (s *sets) all(each func(*set)) {
	topics := s.made.Load()
	if topics == nil {
		return
	}
	for _, of := range *topics {
		if made := of.made.Load(); made != nil {
			for _, set := range *made {
				each(set)
			}
		}
	}
}

// with appends an attribute unless it is empty.
func with(all []attribute.KeyValue, key attribute.Key, value string) []attribute.KeyValue {
	if value == "" {
		return all
	}
	return append(all, key.String(value))
}

// Keys are the attributes that metrics may have.
func Keys() []string {
	return []string{
		keySystem, keyOperation, keyOperationType, keyDestination, keyConsumerGroup, keyNamespace, keyErrorType, keyProducerGroup,
	}
}
