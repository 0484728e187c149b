package producer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// asyncRequests is how many requests of one topic are under way at once that share nothing. What comes beyond waits, so
// that goroutines go from one message to the next rather than being started for each.
const asyncRequests = 128

type laneQueue = protocol.Queue

// line is where the messages of one topic wait for their requests. Those without a sharding key are in one lane, or in
// another when they share nothing, lest the ones wait for the others' requests. One with a key goes to the lane of its
// queue, and without Linger of its key alone; as long as a key has messages in a lane, all of its go there, so that a
// change of the route doesn't change their order.
type line struct {
	p     *Producer
	name  string
	topic *send.Topic // until another one is kept
	users int         // under the lines' lock

	mu       sync.Mutex
	flushing bool // the Producer closes: nothing waits for company
	anyQueue lane
	apart    lane // without a key, and shares nothing
	unrouted lane // keys whose queues aren't known, one at a time
	queues   map[protocol.Queue]*lane
	keys     map[string]keyed
}

// target is what the requests are made with: how fast the brokers are is one thing for all sends to a topic.
func (l *line) target() *send.Topic {
	if t := l.p.known(l.name); t != nil {
		return t
	}
	return l.topic
}

// keyed is a sharding key with messages that have no outcome.
type keyed struct {
	lane     *lane
	messages int
}

// put has w sent. Its outcome comes by w.settled.
func (l *line) put(w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.state == over { // its context has ended already
		return
	}
	n := &l.anyQueue
	if w.alone != nil {
		n = &l.apart
	}
	if w.key != "" {
		k, ok := l.keys[w.key]
		if !ok {
			k.lane = l.laneOf(w.key)
		}
		k.messages++
		l.keys[w.key] = k
		n = k.lane
	}
	n.push(w)
	l.start(n)
}

// laneOf chooses the lane of a key that has no messages in any.
func (l *line) laneOf(key string) *lane {
	if !l.p.cfg.Linger.on() {
		return l.ownLane()
	}
	queue, ok := l.topic.KeyQueue(key)
	if !ok {
		return &l.unrouted
	}
	n := l.queues[queue]
	if n == nil {
		n = &lane{serial: true, queue: queue, limit: l.p.cfg.Linger.Messages}
		l.queues[queue] = n
	}
	return n
}

func (l *line) ownLane() *lane {
	return &lane{serial: true, own: true, limit: l.p.cfg.Linger.Messages}
}

// unkey counts out a message of a key.
func (l *line) unkey(w *waiting) {
	if w.key == "" {
		return
	}
	k := l.keys[w.key]
	if k.messages--; k.messages == 0 {
		delete(l.keys, w.key)
		return
	}
	l.keys[w.key] = k
}

// start sees to it that what is in a lane is sent: now, or when it has waited long enough.
func (l *line) start(n *lane) {
	switch {
	case n.count == 0:
	case n.running == 0:
		n.running++
		go l.run(n, nil)
	case n.serial:
	case l.full(n):
		n.running++
		go l.run(n, l.take(n))
	case !n.armed && n != &l.apart:
		n.arm(l)
	}
}

// full tells whether a lane in which requests are under way needs another one.
func (l *line) full(n *lane) bool {
	if n == &l.apart {
		return n.running < asyncRequests
	}
	settings := &l.p.cfg.Linger
	return l.flushing || n.count >= n.limit || n.bytes >= settings.Bytes || time.Since(n.first.since) >= settings.Wait
}

// arm has the lane looked after when its first message has waited for long enough.
func (n *lane) arm(l *line) {
	n.armed = true
	left := max(0, l.p.cfg.Linger.Wait-time.Since(n.first.since))
	if n.timer != nil {
		n.timer.Reset(left)
		return
	}
	n.timer = time.AfterFunc(left, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		n.armed = false
		l.start(n)
		if n.count > 0 && !n.armed && n.running > 0 {
			n.arm(l)
		}
	})
}

// leave gives w the outcome of a context that has ended, unless it has one. A message that still waits isn't sent; a
// request that nobody waits for any more is ended.
func (l *line) leave(ctx context.Context, w *waiting) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	attempts, why := 0, errWaited
	switch w.state {
	case inLane:
		w.lane.remove(w)
		l.unkey(w)
		if w.unsure {
			attempts, why = 1, errUnknown(0, nil)
		}
	case underWay:
		if w.alone != nil {
			return false // its request has the same context
		}
		attempts, why = w.shared.left()
	case over:
		return false
	}
	w.state = over
	w.err = fmt.Errorf("producer: %w", l.topic.Left(ctx, attempts, w.since, why))
	w.result.Attempts = attempts
	return true
}

// flush has nothing wait for company from now on.
func (l *line) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushing = true
	for n := &l.anyQueue; n.count > 0; {
		n.running++
		go l.run(n, l.take(n))
	}
}

// lines are the lines of a Producer. A topic that nothing was stored in has one only while messages are in it, since those
// that don't exist could be any number.
type lines struct {
	p      *Producer
	mu     sync.Mutex
	closed bool
	all    map[string]*line // by the topic's logical name
}

// of gives a topic's line, to be left again.
func (s *lines) of(name string, topic *send.Topic) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.all[name]
	if l == nil {
		l = &line{p: s.p, name: name, topic: topic, flushing: s.closed, queues: map[protocol.Queue]*lane{}, keys: map[string]keyed{}}
		l.anyQueue.limit = s.p.cfg.Linger.Messages
		l.apart.limit = 1
		l.unrouted = lane{serial: true, limit: 1}
		s.all[name] = l
	}
	l.users++
	return l
}

func (s *lines) leave(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.users--; l.users == 0 && s.p.known(l.name) == nil {
		delete(s.all, l.name)
	}
}

// flush has every message sent that waits for company.
func (s *lines) flush() {
	s.mu.Lock()
	s.closed = true
	var all []*line
	for _, l := range s.all {
		all = append(all, l)
	}
	s.mu.Unlock()
	for _, l := range all {
		l.flush()
	}
}
