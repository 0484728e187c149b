package producer

import (
	"context"
	"time"

	"github.com/rocketkit/rocketkit/internal/send"
)

// waiting is a message on its way through a line, and its outcome.
type waiting struct {
	key     string
	since   time.Time
	encoded []byte // see Producer.encode; empty when alone
	body    int    // how long the body is in there

	// alone is a message that goes in a request of its own, under its own context; nil when it may share one.
	alone *alone

	deadline time.Time // of its context, where limited
	limited  bool

	// Under the line's lock.
	state      state
	unsure     bool // an attempt to send it may have stored it
	lane       *lane
	prev, next *waiting // in the lane
	shared     *batch   // that it is sent in

	// The outcome: written before ready gets its value or settled is called, of which there is one.
	result send.Result
	err    error
	ready  chan struct{} // holds one
	settle func(*waiting)
}

type alone struct {
	ctx     context.Context //nolint:containedctx // its caller doesn't wait
	message Message
	id      string
	watched *watched
}

type state int

const (
	entering state = iota // into a lane
	inLane
	underWay
	over // it has its outcome
)

// settled hands the outcome over. What comes after mustn't touch w.
func (w *waiting) settled() {
	if w.settle != nil {
		w.settle(w)
		return
	}
	w.ready <- struct{}{}
}

// maxKept is the largest buffer that is kept for another message.
const maxKept = 64 << 10

// newWaiting gives one of which nothing is left but its buffer and its channel.
func (p *Producer) newWaiting() *waiting {
	return p.waitings.Get().(*waiting) //nolint:errcheck // the pool holds nothing else
}

// reuse puts w back when nobody else has it any more.
func (p *Producer) reuse(w *waiting) {
	encoded := w.encoded
	if cap(encoded) > maxKept {
		encoded = nil
	}
	*w = waiting{encoded: encoded, ready: w.ready}
	p.waitings.Put(w)
}

// lane is a queue of messages, under the lock of its line. Those of a serial lane are sent one request after the other.
type lane struct {
	first, last *waiting
	count       int
	bytes       int
	running     int // requests under way, or about to be made

	serial bool
	own    bool // of one sharding key
	queue  laneQueue
	limit  int // messages of the next request; less than the settings' after a refusal
	timer  *time.Timer
	armed  bool
}

func (n *lane) push(w *waiting) {
	w.lane, w.state, w.prev, w.next = n, inLane, n.last, nil
	if n.last == nil {
		n.first = w
	} else {
		n.last.next = w
	}
	n.last = w
	n.count++
	n.bytes += len(w.encoded)
}

func (n *lane) pushFront(w *waiting) {
	w.lane, w.state, w.prev, w.next = n, inLane, nil, n.first
	if n.first == nil {
		n.last = w
	} else {
		n.first.prev = w
	}
	n.first = w
	n.count++
	n.bytes += len(w.encoded)
}

func (n *lane) remove(w *waiting) {
	if w.prev == nil {
		n.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		n.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	n.count--
	n.bytes -= len(w.encoded)
}
