package send

import (
	"context"
	"slices"
	"time"
)

// rest waits for d, ctx's end, or another route than that of the last attempt, whoever fetched it.
func (s *sending) rest(ctx context.Context, d time.Duration) {
	routes, physical := s.topic.sender.view.Routes(), s.topic.physical
	changed := make(chan struct{}, 1)
	stop := routes.Watch(func(topic string) {
		if topic == physical {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})
	defer stop()
	if r := routes.Known(physical); r != nil && r != s.route {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// followed tells that the brokers which failed are away and the Cluster follows that: it has the routes fetched once they
// say something else, for all topics and sends alike.
func (s *sending) followed() bool {
	return s.why == down && len(s.tried) > 0 && !slices.ContainsFunc(s.tried, func(broker string) bool { return !s.topic.sender.view.Away(broker) })
}
