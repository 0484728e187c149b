package consumer

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/rocketkit/rocketkit/internal/engine"
)

// Origin says who has set a number: the program's Config, Tune and its like, or a settings document.
type Origin string

// The origins. A document counts before Tune, and that before the code, field by field.
const (
	FromCode     Origin = "code"
	FromTune     Origin = "tune"
	FromDocument Origin = "document"
)

// Origins are where the present settings of a topic come from.
type Origins struct{ Workers, MaxWorkers, Timeout, Paused Origin }

// live puts together what holds for each topic: of three layers, the highest that says something of a field.
type live struct {
	engine *engine.Engine
	log    *slog.Logger

	code     map[string]TopicSettings // without MaxWorkers where these follow Workers
	bounds   map[string]Bounds        // complete, of documents that aren't signed
	attempts int                      // the most that those may ask for
	retries  int                      // the code's, as the engine has it

	mu        sync.Mutex
	tuned     map[string]TopicSettings
	document  Settings
	unknown   []string // of the document
	unapplied []string
	origins   map[string]Origins
	counted   Origin // of the attempts
}

func newLive(cfg Config, made engine.Config, log *slog.Logger) *live {
	l := &live{
		log: log, code: map[string]TopicSettings{}, bounds: map[string]Bounds{}, retries: made.Retries,
		attempts: cfg.attemptsBound(), tuned: map[string]TopicSettings{}, origins: map[string]Origins{}, counted: FromCode,
	}
	for name, t := range made.Topics {
		timeout, paused := Duration(t.Timeout), false
		code := TopicSettings{Workers: &t.Workers, Timeout: &timeout, Pause: &paused}
		if cfg.Topics[name].MaxWorkers != 0 {
			code.MaxWorkers = &t.MaxWorkers
		}
		l.code[name] = code
		l.bounds[name] = cfg.Topics[name].Bounds.complete(t)
		_, l.origins[name] = compose(code, TopicSettings{}, TopicSettings{})
	}
	return l
}

// compose puts a topic's layers together. What a layer says holds over those below it also where these would contradict it:
// fewer workers than the code has make room below a maximum, more of them raise it.
func compose(code, tuned, document TopicSettings) (to engine.Live, from Origins) {
	for _, layer := range []struct {
		TopicSettings
		Origin
	}{{code, FromCode}, {tuned, FromTune}, {document, FromDocument}} {
		set(&to.Workers, layer.Workers, &from.Workers, layer.Origin)
		set(&to.MaxWorkers, layer.MaxWorkers, &from.MaxWorkers, layer.Origin)
		set(&to.Paused, layer.Pause, &from.Paused, layer.Origin)
		set((*Duration)(&to.Timeout), layer.Timeout, &from.Timeout, layer.Origin)
		switch {
		case to.MaxWorkers == 0 || to.Workers <= to.MaxWorkers:
		case layer.MaxWorkers != nil:
			to.Workers, from.Workers = to.MaxWorkers, layer.Origin
		default:
			to.MaxWorkers, from.MaxWorkers = to.Workers, layer.Origin
		}
	}
	if to.MaxWorkers == 0 { // nobody has said anything
		to.MaxWorkers, from.MaxWorkers = to.Workers, from.Workers
	}
	return to, from
}

func set[T any](to, value *T, from *Origin, origin Origin) {
	if value != nil {
		*to, *from = *value, origin
	}
}

// apply puts a document's settings into force, or none of them; a nil spec goes back to what the program says.
func (l *live) apply(spec json.RawMessage, signed bool) error {
	var document Settings
	var unknown []string
	if spec != nil {
		var err error
		if document, unknown, err = ParseSettings(spec); err != nil {
			return err
		}
		if !signed {
			err = l.check(document)
		}
		if err != nil {
			return err
		}
	}
	unknown, unapplied := l.take(document, unknown)
	if len(unknown) > 0 || len(unapplied) > 0 { // without the lock: a log may ask for Stats
		l.log.Warn("some of the settings mean nothing here: keys that this release doesn't know, topics that this consumer doesn't receive, or what it doesn't apply yet",
			"unknown", unknown, "unapplied", unapplied)
	}
	return nil
}

// take puts a good document into force. It returns the paths of what means nothing here.
func (l *live) take(document Settings, keys []string) (unknown, unapplied []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.document, l.unknown, l.unapplied = document, keys, nil
	for _, name := range slices.Sorted(maps.Keys(document.Topics)) {
		if _, ours := l.code[name]; !ours {
			l.unknown = append(l.unknown, "topics."+name)
			continue
		}
		if document.Topics[name].Rate != nil {
			l.unapplied = append(l.unapplied, "topics."+name+".rate")
		}
		if document.Topics[name].Ramp != nil {
			l.unapplied = append(l.unapplied, "topics."+name+".ramp")
		}
	}
	for name := range l.code {
		l.put(name)
	}
	retries, from := l.retries, FromCode
	if document.Attempts != nil {
		retries, from = *document.Attempts-1, FromDocument
	}
	l.counted = from
	l.engine.SetRetries(retries)
	return l.unknown, l.unapplied
}

// put has the engine take what holds for a topic. Callers hold mu.
func (l *live) put(name string) {
	to, from := compose(l.code[name], l.tuned[name], l.document.Topics[name])
	l.origins[name] = from
	l.engine.Set(name, to)
}

// tune replaces what code has said of a topic.
func (l *live) tune(name string, change func(TopicSettings) TopicSettings) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ours := l.code[name]; !ours {
		return configError("topic "+name, "there is none; there are %q", slices.Sorted(maps.Keys(l.code)))
	}
	l.tuned[name] = change(l.tuned[name])
	l.put(name)
	return nil
}

// check compares a document that isn't signed with the bounds of the code.
func (l *live) check(document Settings) error {
	if n := document.Attempts; n != nil && *n > l.attempts {
		return fmt.Errorf("attempts: %d is more than Config.MaxAttempts lets a document ask for that isn't signed, %d", *n, l.attempts)
	}
	for _, name := range slices.Sorted(maps.Keys(document.Topics)) {
		bounds, ours := l.bounds[name]
		if !ours {
			continue
		}
		if err := bounds.check("topics."+name, document.Topics[name]); err != nil {
			return err
		}
	}
	return nil
}

// from tells where the present settings come from.
func (l *live) from() (topics map[string]Origins, attempts Origin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.origins), l.counted
}
