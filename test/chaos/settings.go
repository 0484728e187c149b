//go:build unix

package main

import "time"

// settings are what all rows of a run have in common.
type settings struct {
	Rate     int           `json:"rate"`     // messages a second
	Size     int           `json:"size"`     // bytes of a body
	Keys     int           `json:"keys"`     // sharding keys
	Queues   int           `json:"queues"`   // of a topic
	Workers  int           `json:"workers"`  // of a consumer
	Work     time.Duration `json:"work"`     // that a handler takes
	Scale    float64       `json:"scale"`    // of how long and how often
	Pause    time.Duration `json:"pause"`    // for which a process is stopped
	Around   time.Duration `json:"around"`   // for which messages are sent before the first fault and after the last
	Least    int           `json:"least"`    // messages are sent at least
	Deadline time.Duration `json:"deadline"` // after the last send: what wasn't handled then is lost
	Quiet    time.Duration `json:"quiet"`    // in which repetitions may come once all was handled
}

func defaults() settings {
	return settings{
		Rate: 2000, Size: 256, Keys: 64, Queues: 16, Workers: 20, Work: 2 * time.Millisecond,
		Scale: 1, Pause: 3 * time.Minute, Around: 3 * time.Second, Deadline: 100 * time.Second, Quiet: 2 * time.Second,
	}
}

// short is a third of it.
func (s settings) short() settings {
	s.Scale, s.Pause = 0.34, 20*time.Second
	return s
}

// times scales how often something is done.
func (s settings) times(n int) int { return max(1, int(float64(n)*s.Scale+0.5)) }

// long scales how long something lasts.
func (s settings) long(d time.Duration) time.Duration {
	return max(time.Second, time.Duration(float64(d)*s.Scale))
}
