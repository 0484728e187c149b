package mqtest

import (
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// SetClock makes the clock of a broker's machine jump, so that it is ahead of the test's by so much, or behind when
// ahead is negative. What the broker stamps messages with and searches them by jumps with it, and what it measures by its
// clock comes early or late, as in RocketMQ: after a jump ahead it answers held pulls, delivers delayed messages, lets
// locks expire and closes the connections of members it thinks silent; after a jump back it holds pulls and locks longer,
// and timed messages; those delayed by level, retries among them, it delivers at once when it finds them due later than
// their level allows (ScheduleMessageService.correctDeliverTimestamp). An empty name means all brokers.
func (c *Cluster) SetClock(broker string, ahead time.Duration) error {
	found := false
	for _, b := range c.brokers {
		if broker == "" || broker == b.name {
			b.setClock(ahead)
			found = true
		}
	}
	if !found {
		return fmt.Errorf("mqtest: no broker is called %q; there are %v", broker, c.Brokers())
	}
	return nil
}

// now is the time on the broker's clock.
func (b *broker) now() time.Time { return time.Now().Add(b.ahead) }

func (b *broker) millis() int64 { return b.now().UnixMilli() }

func (b *broker) setClock(ahead time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead = ahead
	for r, due := range b.waiting {
		if most := b.delayOf(r); most > 0 && due.Sub(b.now()) > most {
			due = b.now()
		}
		b.waiting[r] = due
		b.deliverAt(r, due)
	}
	for _, held := range b.holds {
		for _, h := range held {
			b.cluster.schedule.cancel(h.limit)
			h.limit = b.later(max(h.until.Sub(b.now()), 0), func() { b.wake(h) })
		}
	}
	b.cluster.state.change()
}

// delayOf is what a waiting message's level stands for; 0 when it waits for a time.
func (b *broker) delayOf(r *record) time.Duration {
	if r.msg.Topic != topicSchedule {
		return 0
	}
	props := readProperties(r.msg.Properties)
	level := delayLevel(props)
	if level < 1 || level > len(b.cluster.cfg.DelayLevels) || props.get(protocol.PropertyRealTopic) == "" {
		return 0
	}
	return b.cluster.cfg.DelayLevels[level-1]
}
