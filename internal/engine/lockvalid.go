package engine

// lockValid tells whether the queue may still be handled by this member.
func (q *queue) lockValid() bool { return true }
