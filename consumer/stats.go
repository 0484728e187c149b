package consumer

import (
	"time"

	"github.com/rocketkit/rocketkit"
)

// Stats is a Consumer at one moment.
type Stats struct {
	State      string                // "starting", "running", "draining" or "stopped"
	WaitingFor string                // what a starting consumer waits for, such as name servers that don't answer; else empty
	Unsettled  int                   // messages that failed and that their broker hasn't taken back yet; tried again each second
	Topics     map[string]TopicStats // by logical name

	Attempts     int    // how often a message is delivered at most; 0: as often as the group's setting on the broker says
	AttemptsFrom Origin // who says so

	Settings SettingsStats

	OffsetsError string // why the last call of Config.Offsets failed; empty when it worked, and without Offsets

	// Differing are the members of the group that don't subscribe to the same topics by the same Tags or SQL, so that
	// RocketMQ loses messages; empty when there are none. Members of any library are asked what they subscribe to (by
	// GET_CONSUMER_RUNNING_INFO 307) when the group changes and then each 20 s, up to 16 within 5 s.
	Differing []Difference
}

// Difference is one topic that another member of the group subscribes to otherwise.
type Difference struct {
	ClientID     string // of the other member
	Topic        string
	Ours, Theirs string // "*", "a || b" or "SQL92: amount > 5"; empty for a topic that isn't subscribed to
}

// TopicStats is one topic of a Consumer. The group's retry topic, "%RETRY%" and the group's name, is one too; its
// messages are handled by the pools of the topics they were sent to, so it has no workers. But for Workers, all count
// messages, also where they are handled in batches.
type TopicStats struct {
	Workers     int    // how many messages, or batches, may be handled at once, unless it is paused
	MaxWorkers  int    // and how many while messages wait; as many as Workers when their number is fixed
	Active      int    // how many are; more than Workers once the pool has grown
	Waiting     int    // received, and waiting for a worker
	Cached      int    // received and not finished
	CachedBytes int64  // of their bodies, as they were sent
	Handled     int64  // acknowledged since Run began
	Failed      int64  // handler errors since Run began, verdicts and panics included
	LastError   string // the newest of them; empty when there was none

	Paused  bool          // no handler is called
	Timeout time.Duration // of a handler; 0 means none
	From    Origins       // who says so, and how many Workers there are

	LastErrorTime time.Time
	Times         HandlerTimes   // of the handlers that have returned recently
	Longest       RunningHandler // which has run longest; zero when none runs
	Queues        []QueueStats
}

// HandlerTimes are how long a topic's handlers took, within about the last minute.
type HandlerTimes struct {
	Count int64         // how many returned, whatever they said
	Mean  time.Duration // 0 when none did, as is Max
	Max   time.Duration
	Over  time.Duration // what "recently" is: 50 to 60 s, or since Run began
}

// RunningHandler is a handler that runs.
type RunningHandler struct {
	ID     string // of its message
	Queue  rocketkit.Queue
	Offset int64
	Since  time.Time
}

// QueueStats is one queue that the Consumer owns.
type QueueStats struct {
	Queue     rocketkit.Queue
	Position  int64     // next offset to receive; -1 while it isn't known
	Committed int64     // what the group has committed, to Config.Offsets if there are any; -1 while it isn't known
	Max       int64     // one past the newest message, as of LastPull
	Skipped   int64     // messages that retention had deleted before this Consumer received them: they are lost to the group
	LastPull  time.Time // when the broker last answered; zero before the first answer
	LastError string    // why the last pull failed; empty after one that worked

	// Lag is how many messages are stored and not finished, as of LastPull; -1 while that isn't known. A queue that
	// something holds isn't pulled, and has more by now.
	Lag int64

	Cached       int       // received and not finished
	Active       int       // being handled
	Waiting      int       // received, and neither handled nor failed yet
	RunningSince time.Time // since when the handler runs that has run longest; zero when none runs

	// HeldBy says what keeps the queue from going on: that another member still holds its lock, that pulls fail and why,
	// that a bound of memory is reached, which handler has run longest where that is a second or more, that messages wait
	// for a worker, that a failing message is to be retried in its place, or that one isn't taken back. Empty when nothing
	// does. It is for people: its wording may change.
	HeldBy string
}

// Stats reads the state of the Consumer; it asks no server. It may be called at any time.
func (c *Consumer) Stats() Stats {
	now := c.engine.Snapshot()
	s := Stats{
		State: now.State.String(), WaitingFor: now.Waits, Unsettled: now.Unsettled,
		Topics: make(map[string]TopicStats, len(now.Topics)), OffsetsError: now.OffsetsError,
		Attempts: now.Retries + 1, Settings: c.settings(),
	}
	origins, counted := c.live.from()
	s.AttemptsFrom = counted
	for _, d := range now.Differing {
		s.Differing = append(s.Differing, Difference(d))
	}
	for name, t := range now.Topics {
		topic := TopicStats{
			Workers: t.Workers, MaxWorkers: t.MaxWorkers, Active: t.Active, Waiting: t.Waiting,
			Cached: t.Cached, CachedBytes: t.CachedBytes, Paused: t.Paused, Timeout: t.Timeout, From: origins[name],
			Handled: t.Handled, Failed: t.Failed, LastError: t.LastError, LastErrorTime: t.LastErrorTime,
			Times: HandlerTimes(t.Times), Longest: RunningHandler(t.Longest),
			Queues: make([]QueueStats, len(t.Queues)),
		}
		for i, q := range t.Queues {
			topic.Queues[i] = QueueStats(q)
		}
		s.Topics[name] = topic
	}
	return s
}
