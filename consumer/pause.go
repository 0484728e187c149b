package consumer

// Pause has nothing more received until Resume, before Run as well. What has been received is still handled, up to what a
// topic holds in memory. The Consumer stays in the group and keeps its queues, so that no other member gets them:
// QueueStats.HeldBy says that it is paused, and Lag is that of the last pull. PauseTopic
// pauses one topic, and its handlers too.
func (c *Consumer) Pause() { c.engine.Pause() }

// Resume undoes Pause. Without one it does nothing.
func (c *Consumer) Resume() { c.engine.Resume() }
