package mqtest

import "fmt"

// Expire deletes a topic's oldest messages, as retention does: of each queue all but the newest keep. Offsets below
// what is left become illegal: a pull there is answered with the queue's first offset (PULL_OFFSET_MOVED), and sending
// back a deleted message fails.
func (c *Cluster) Expire(topic string, keep int) error {
	if keep < 0 {
		return fmt.Errorf("mqtest: keep %d messages of %s: the number is negative", keep, topic)
	}
	found := false
	for _, b := range c.brokers {
		b.mu.Lock()
		if t := b.store.topics[topic]; t != nil {
			found = true
			for _, q := range t.queues {
				b.store.drop(q, keep)
			}
		}
		b.mu.Unlock()
	}
	c.state.change()
	if !found {
		return fmt.Errorf("mqtest: topic %s doesn't exist", topic)
	}
	return nil
}
