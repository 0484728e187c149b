package consumer

import (
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/engine"
)

// Bounds are how far a settings document may move a topic's settings that isn't signed, so that one who reaches a name
// server, and no key, can't have a process start a million handlers. Signed ones, which a Client takes alone as
// soon as it has rocketkit.Settings.Keys, may use the whole range of Settings. Tune isn't bound, and nobody is in pausing or in
// asking for fewer workers or attempts.
type Bounds struct {
	// MaxWorkers is the most that workers and maxWorkers may be. 0 means 16 times the topic's own MaxWorkers; at most 65,536.
	MaxWorkers int

	// MinTimeout and MaxTimeout are what timeout may be. 0 means a sixteenth of the topic's own Timeout and 16 times as
	// much; where that has none, from 3.75 s, a sixteenth of DefaultTimeout, to any. A MaxTimeout below that
	// minimum lowers it.
	MinTimeout, MaxTimeout time.Duration
}

// boundFactor is how far an unsigned document may move a number, by default.
const boundFactor = 16

// complete fills in the defaults.
func (b Bounds) complete(t engine.Topic) Bounds {
	if b.MaxWorkers == 0 {
		b.MaxWorkers = min(boundFactor*max(t.Workers, t.MaxWorkers), maxWorkers)
	}
	if b.MinTimeout == 0 {
		b.MinTimeout = orDefault(t.Timeout, DefaultTimeout) / boundFactor
		if b.MaxTimeout != 0 {
			b.MinTimeout = min(b.MinTimeout, b.MaxTimeout)
		}
	}
	if b.MaxTimeout == 0 {
		b.MaxTimeout = maxDuration
		if t.Timeout > 0 {
			b.MaxTimeout = min(boundFactor*t.Timeout, maxDuration)
		}
		b.MaxTimeout = max(b.MaxTimeout, t.Timeout, b.MinTimeout)
	}
	return b
}

// validate looks at what the program has set of them.
func (b Bounds) validate(field string) error {
	switch {
	case b.MaxWorkers < 0 || b.MaxWorkers > maxWorkers:
		return configError(field+".MaxWorkers", "%d is not between 1 and %d; 0 means %d times the topic's MaxWorkers", b.MaxWorkers, maxWorkers, boundFactor)
	case b.MinTimeout < 0:
		return configError(field+".MinTimeout", "%v is negative", b.MinTimeout)
	case b.MaxTimeout < 0 || b.MaxTimeout != 0 && b.MaxTimeout < b.MinTimeout:
		return configError(field+".MaxTimeout", "%v is negative, or below MinTimeout", b.MaxTimeout)
	}
	return nil
}

func (b Bounds) check(path string, t TopicSettings) error {
	for key, n := range map[string]*int{"workers": t.Workers, "maxWorkers": t.MaxWorkers} {
		if n != nil && *n > b.MaxWorkers {
			return fmt.Errorf("%s.%s: %d is more than Bounds.MaxWorkers lets a document ask for that isn't signed, %d", path, key, *n, b.MaxWorkers)
		}
	}
	if t.Timeout == nil {
		return nil
	}
	if d := time.Duration(*t.Timeout); d < b.MinTimeout || d > b.MaxTimeout {
		return fmt.Errorf("%s.timeout: %v is not between %v and %v, as Bounds have it for a document that isn't signed", path, d, b.MinTimeout, b.MaxTimeout)
	}
	return nil
}

// attemptsBound is MaxAttempts with its default.
func (c Config) attemptsBound() int {
	retries := c.Retries
	switch {
	case c.MaxAttempts != 0:
		return c.MaxAttempts
	case retries == 0:
		retries = defaultRetries
	}
	return min(boundFactor*(min(max(retries, 0), maxAttempts)+1), maxAttempts)
}
