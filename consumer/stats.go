package consumer

import (
	"time"

	"github.com/rocketkit/rocketkit"
)

// Stats is a Consumer at one moment.
type Stats struct {
	State      string // "starting", "running", "draining" or "stopped"
	WaitingFor string // what a starting consumer waits for, such as name servers that don't answer; else empty
	Unsettled  int    // messages that failed and that their broker hasn't taken back yet; tried again each second
	Topics     map[string]TopicStats

	OffsetsError string // why the last call of Config.Offsets failed; empty when it worked, and without Offsets
}

// TopicStats is one topic of a Consumer. The group's retry topic, "%RETRY%" and the group's name, is one too; its
// messages are handled by the pools of the topics they were sent to, so it has no workers.
type TopicStats struct {
	Workers     int    // how many messages may be handled at once
	Active      int    // how many are
	Waiting     int    // received, and waiting for a worker
	Cached      int    // received and not finished
	CachedBytes int64  // of their bodies, as they were sent
	Handled     int64  // acknowledged since Run began
	Failed      int64  // handler errors since Run began, verdicts and panics included
	LastError   string // the newest of them; empty when there was none
	Queues      []QueueStats
}

// QueueStats is one queue that the Consumer owns.
type QueueStats struct {
	Queue     rocketkit.Queue
	Position  int64     // next offset to receive; -1 while it isn't known
	Committed int64     // what the group has committed, to Config.Offsets if there are any; -1 while it isn't known
	Max       int64     // one past the newest message, as of LastPull
	LastPull  time.Time // when the broker last answered; zero before the first answer
	LastError string    // why the last pull failed; empty after one that worked
}

// Stats reads the state of the Consumer; it asks no server. It may be called at any time.
func (c *Consumer) Stats() Stats {
	now := c.engine.Snapshot()
	s := Stats{
		State: now.State.String(), WaitingFor: now.Waits, Unsettled: now.Unsettled,
		Topics: make(map[string]TopicStats, len(now.Topics)), OffsetsError: now.OffsetsError,
	}
	for name, t := range now.Topics {
		topic := TopicStats{
			Workers: t.Workers, Active: t.Active, Waiting: t.Waiting,
			Cached: t.Cached, CachedBytes: t.CachedBytes,
			Handled: t.Handled, Failed: t.Failed, LastError: t.LastError,
			Queues: make([]QueueStats, len(t.Queues)),
		}
		for i, q := range t.Queues {
			topic.Queues[i] = QueueStats(q)
		}
		s.Topics[name] = topic
	}
	return s
}
