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

// desert moves what is in the lane of a queue that is lost, by the route, to where its keys go now. The messages of b have
// been sent to the queue and stay with it as long as their callers do, and so do those behind them with their keys.
func (l *line) desert(n *lane, b *batch) {
	if n.queue == (laneQueue{}) || !l.topic.Lost(n.queue) {
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
			l.move(w, to)
			l.start(to)
		}
		w = next
	}
}

// route moves the keys that wait for their queues to the lanes of those, once they are known.
func (l *line) route() {
	var news []*lane
	for w := l.unrouted.first; w != nil; w = l.unrouted.first {
		n := l.keys[w.key].lane
		if n == &l.unrouted {
			if n = l.laneOf(w.key); n == &l.unrouted {
				break
			}
			news = append(news, n)
		}
		l.move(w, n)
	}
	for _, n := range news {
		l.start(n)
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
