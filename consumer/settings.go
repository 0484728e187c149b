package consumer

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// Settings is what a group's settings document says: package dynconf has what is around it. What it leaves out stays as the
// program has it. docs/dynamic-settings.md shows documents, SettingsSchema describes them.
type Settings struct {
	// Attempts is how often a message is delivered at most before it goes to the dead-letter topic, the first time
	// included: one more than Config.Retries. From 1 to 10,000.
	Attempts *int `json:"attempts,omitempty"`

	// Topics are those whose settings change, by logical name. One that a consumer doesn't receive is no error: a group may
	// be on its way from one release to the next.
	Topics map[string]TopicSettings `json:"topics,omitempty"`
}

// TopicSettings is what a document says of one topic.
type TopicSettings struct {
	Workers    *int      `json:"workers,omitempty"`    // Topic.Workers, from 1 to 65,536
	MaxWorkers *int      `json:"maxWorkers,omitempty"` // Topic.MaxWorkers, from Workers to 65,536
	Pause      *bool     `json:"pause,omitempty"`      // no handler is called, see Consumer.PauseTopic; false also undoes what that did
	Timeout    *Duration `json:"timeout,omitempty"`    // Topic.Timeout, from 1 ms to 24 h

	// Rate is how many messages a second are handled at most, by each member; above 0, up to 1e9. Ramp is how long it takes to
	// get there after a start; up to 24 h. Both are read and checked, and not applied yet: SettingsStats.Unapplied names them.
	Rate *float64  `json:"rate,omitempty"`
	Ramp *Duration `json:"ramp,omitempty"`
}

// The bounds of all documents, whoever has signed them.
const (
	maxAttempts = 10_000
	maxRate     = 1e9
	minDuration = time.Millisecond
	maxDuration = 24 * time.Hour
)

// Duration is a time.Duration that JSON has as Go writes it: "1m30s", in h, m, s and ms.
type Duration time.Duration

// durationPattern is what a Duration looks like in JSON.
const durationPattern = `^([0-9]+(\.[0-9]+)?(h|ms|m|s))+$`

// MarshalText writes the duration as time.Duration.String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText has written, and what else Go reads that has no sign and is in h, m, s and ms.
func (d *Duration) UnmarshalText(text []byte) error {
	if !regexp.MustCompile(durationPattern).Match(text) {
		return fmt.Errorf("%q is no duration such as \"30s\" or \"1m30s\"", text)
	}
	read, err := time.ParseDuration(string(text))
	*d = Duration(read)
	return err
}

// ParseSettings reads the settings of a document and checks all that can be told from them alone. What isn't valid gives an
// error that begins with the path of its key, such as "topics.orders.workers", and no Settings. unknown are the paths of keys
// that this release doesn't know, which mean nothing to it; names are compared letter by letter.
func ParseSettings(spec []byte) (s Settings, unknown []string, err error) {
	if !json.Valid(spec) {
		return Settings{}, nil, fmt.Errorf("the settings are no JSON")
	}
	r := reader{}
	r.object("", spec, func(path, key string, value []byte) bool {
		switch key {
		case "attempts":
			s.Attempts = r.integer(path, value, 1, maxAttempts)
		case "topics":
			s.Topics = map[string]TopicSettings{}
			r.object(path, value, func(path, topic string, value []byte) bool {
				s.Topics[topic] = r.topic(path, value)
				return true
			})
		default:
			return false
		}
		return true
	})
	if r.err != nil {
		return Settings{}, nil, r.err
	}
	return s, r.unknown, nil
}

func (r *reader) topic(path string, value []byte) (t TopicSettings) {
	r.object(path, value, func(path, key string, value []byte) bool {
		switch key {
		case "workers":
			t.Workers = r.integer(path, value, 1, maxWorkers)
		case "maxWorkers":
			t.MaxWorkers = r.integer(path, value, 1, maxWorkers)
		case "pause":
			t.Pause = r.boolean(path, value)
		case "timeout":
			t.Timeout = r.duration(path, value, minDuration)
		case "rate":
			t.Rate = r.rate(path, value)
		case "ramp":
			t.Ramp = r.duration(path, value, 0)
		default:
			return false
		}
		return true
	})
	if t.Workers != nil && t.MaxWorkers != nil && *t.MaxWorkers < *t.Workers {
		r.fail(path+".maxWorkers", "%d is below workers, which is %d", *t.MaxWorkers, *t.Workers)
	}
	return t
}
