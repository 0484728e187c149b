package engine

// Pause has nothing pulled until Resume. What has been received is handled; queues, their locks and the membership stay.
// A pull that a broker holds ends as it would; what it brings is left there.
func (e *Engine) Pause() { e.paused.Store(true) }

// Resume undoes Pause.
func (e *Engine) Resume() {
	e.paused.Store(false)
	e.wakeQueues(nil)
}
