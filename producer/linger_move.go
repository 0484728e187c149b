package producer

// unroute moves what is in the lane of a queue that the topic has lost to where keys wait for their queues.
func (l *line) unroute(n *lane) {
	if l.queues[n.queue] == n {
		delete(l.queues, n.queue)
	}
	for w := n.first; w != nil; w = n.first {
		l.move(w, &l.unrouted)
	}
	l.start(&l.unrouted)
}

// desert moves what is in the lane of a queue that is lost, by the route, to where its keys go now, and what waits for its
// queues to be known there once they are. The messages of b have been sent to the queue and stay with it as long as their
// callers do, and so do those behind them with their keys.
func (l *line) desert(n *lane, b *batch) {
	if n != &l.unrouted && (n.queue == (laneQueue{}) || !l.topic.Lost(n.queue)) {
		return
	}
	if l.queues[n.queue] == n {
		delete(l.queues, n.queue) // a later one may be made if the queue comes back
	}
	stay := map[string]bool{}
	for _, w := range b.messages {
		stay[w.key] = stay[w.key] || w.state != over
	}
	for w := n.first; w != nil; {
		next := w.next
		if !stay[w.key] {
			to := l.keys[w.key].lane
			if to == n {
				to = l.laneOf(w.key)
			}
			if to == n {
				return // no route is known
			}
			l.move(w, to)
			l.start(to)
		}
		w = next
	}
}

// part gives a key a lane of its own, in which it holds up no other: its next message fails for a reason that may lie in
// it, and yet may be stored later.
func (l *line) part(n *lane, key string) {
	own := l.ownLane()
	for w := n.first; w != nil; {
		next := w.next
		if w.key == key {
			l.move(w, own)
		}
		w = next
	}
	l.start(own)
}

// move takes a message with a key from its lane to the end of another one, and the key with it.
func (l *line) move(w *waiting, to *lane) {
	w.lane.remove(w)
	to.push(w)
	k := l.keys[w.key]
	k.lane = to
	l.keys[w.key] = k
}
