package consumer

import "time"

// Change is what Tune changes of a topic. The zero value of each field leaves it as it is.
type Change struct {
	Reset      bool          // first forgets what Tune has said of the topic before; PauseTopic and ResumeTopic have their own say
	Workers    int           // from 1 to 65,536
	MaxWorkers int           // from Workers to 65,536
	Timeout    time.Duration // of handlers that begin from now on; negative means none
}

// Tune changes a topic's settings while the Consumer runs, or before: in code what a settings document changes from
// outside. It is in force when Tune returns, in both directions, and interrupts no handler: while more run than there may be,
// none begins. A handler that runs keeps the time-out it began with.
//
// A document counts before Tune, and Tune before the Config, field by field: what Tune says of a field that a document
// has set holds from when the document goes. What the higher one says is never bent to fit the lower one: where only Workers
// are raised, MaxWorkers follow, and where only MaxWorkers are lowered, Workers do. [TopicStats] tells what holds, and
// who said so.
//
// A topic that the Consumer doesn't receive, and a number out of range, give an error that wraps rocketkit.ErrConfig; then
// nothing has changed.
func (c *Consumer) Tune(topic string, change Change) error {
	if err := change.validate(topic); err != nil {
		return err
	}
	return c.live.tune(topic, func(tuned TopicSettings) TopicSettings {
		if change.Reset {
			tuned = TopicSettings{Pause: tuned.Pause}
		}
		if change.Workers != 0 {
			tuned.Workers = &change.Workers
			if tuned.MaxWorkers != nil && *tuned.MaxWorkers < change.Workers {
				tuned.MaxWorkers = nil // said before, and no longer so
			}
		}
		if change.MaxWorkers != 0 {
			tuned.MaxWorkers = &change.MaxWorkers
			if tuned.Workers != nil && *tuned.Workers > change.MaxWorkers {
				tuned.Workers = nil
			}
		}
		if change.Timeout != 0 {
			timeout := Duration(max(change.Timeout, 0))
			tuned.Timeout = &timeout
		}
		return tuned
	})
}

func (c Change) validate(topic string) error {
	topic = "topic " + topic + ": "
	switch {
	case c.Workers < 0 || c.Workers > maxWorkers:
		return configError(topic+"Workers", "%d is not between 1 and %d; 0 leaves them", c.Workers, maxWorkers)
	case c.MaxWorkers < 0 || c.MaxWorkers > maxWorkers:
		return configError(topic+"MaxWorkers", "%d is not between 1 and %d; 0 leaves them", c.MaxWorkers, maxWorkers)
	case c.MaxWorkers != 0 && c.MaxWorkers < c.Workers:
		return configError(topic+"MaxWorkers", "%d is below Workers, which is %d", c.MaxWorkers, c.Workers)
	}
	return nil
}

// PauseTopic has no handler of the topic called any more, before Run as well; for one that is just being called it may be too
// late. Handlers that run go on, and a message that an operator has handled directly is handled. The topic's queues stay
// with this member, locked and committed, nothing more is received of them, and what has been waits, its retries too. It holds
// for this member alone, and until ResumeTopic; a settings document that says "pause" counts before it, whichever it says.
//
// A queue that leaves a paused topic's member, and a stop, don't wait for what is paused. With OrderKey the messages
// that stood behind others of their key, and those of other keys behind them, are then delivered again, to whoever gets
// the queue. Retries that wait, and above which others were handled, go back to the broker then. So do all that wait when
// they are so many that they would keep the retries of topics waiting that aren't paused, for half an hour each time. Brokers
// count that as an attempt: none becomes a dead letter by it, but one that fails after a long pause may at once.
//
// A topic that the Consumer doesn't receive gives an error that wraps rocketkit.ErrConfig.
func (c *Consumer) PauseTopic(topic string) error { return c.pauseTopic(topic, true) }

// ResumeTopic undoes PauseTopic, and what has waited is handled.
func (c *Consumer) ResumeTopic(topic string) error { return c.pauseTopic(topic, false) }

func (c *Consumer) pauseTopic(topic string, paused bool) error {
	return c.live.tune(topic, func(tuned TopicSettings) TopicSettings {
		tuned.Pause = nil
		if paused {
			tuned.Pause = &paused
		}
		return tuned
	})
}
