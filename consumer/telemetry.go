package consumer

import "github.com/rocketkit/rocketkit/internal/telemetry"

// shown is the state of the Consumer for telemetry's gauges; like Stats it asks no server.
func (c *Consumer) shown() ([]telemetry.Topic, *telemetry.Settings) {
	now := c.engine.Snapshot()
	all := make([]telemetry.Topic, 0, len(now.Topics))
	for name, t := range now.Topics {
		topic := telemetry.Topic{
			Name: name, Lag: -1, Queues: len(t.Queues), Cached: t.Cached, HeldBack: t.HeldBack,
			Handled: t.MaxWorkers > 0, Workers: t.Size, Core: t.Workers, Max: t.MaxWorkers, Paused: t.Paused, Active: t.Active, Waiting: t.Waiting,
			OldestHandling: t.Longest.Since,
		}
		for _, q := range t.Queues {
			if q.Lag >= 0 {
				topic.Lag = max(topic.Lag, 0) + q.Lag
			}
		}
		all = append(all, topic)
	}
	if c.follower == nil {
		return all, nil
	}
	status := c.follower.Status()
	settings := &telemetry.Settings{Rev: status.Rev, Refused: map[string]int64{}}
	for reason, n := range status.Refused {
		settings.Refused[string(reason)] = n
	}
	return all, settings
}
