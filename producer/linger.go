package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

const (
	// DefaultLingerMessages is how many messages share a request at most when Linger.Messages is 0.
	DefaultLingerMessages = 256

	// DefaultLingerBytes is how large a shared request is at most when Linger.Bytes is 0: 1 MiB.
	DefaultLingerBytes = 1 << 20
)

// Linger says how callers of Send and SendAsync share requests (SEND_BATCH_MESSAGE 320). The zero value has each message
// sent in a request of its own.
//
// A message of a topic on whose way nothing is goes at once. What comes while a request is under way waits for it, and then
// goes in one request together, so requests grow with the load and a single caller waits for nobody.
type Linger struct {
	// Wait turns it on, above 0: the longest that a message without a ShardingKey waits for the request before it, as
	// when a broker answers slowly; a few ms do. Messages with a ShardingKey wait for as long as it takes, since the one
	// before must be stored first.
	Wait time.Duration

	// Messages is the most that go in one request. 0 means DefaultLingerMessages.
	Messages int

	// Bytes is the most that a request of several holds: bodies, properties, and 22 bytes for each message. 0 means
	// DefaultLingerBytes, or MaxMessageSize where that is less; at most MaxMessageSize.
	Bytes int
}

func (l Linger) on() bool { return l.Wait > 0 }

// complete validates the Linger of a Config and fills in its defaults.
func (l Linger) complete(maxMessageSize int) (Linger, error) {
	switch {
	case l.Wait < 0:
		return l, configError("Linger.Wait", "%v is negative; 0 sends each message in a request of its own", l.Wait)
	case l.Messages < 0:
		return l, configError("Linger.Messages", "%d is negative; 0 means %d", l.Messages, DefaultLingerMessages)
	case l.Bytes < 0:
		return l, configError("Linger.Bytes", "%d is negative; 0 means %d", l.Bytes, DefaultLingerBytes)
	case l.Bytes > maxMessageSize:
		return l, configError("Linger.Bytes", "%d is over MaxMessageSize of %d, which brokers hold against a whole request", l.Bytes, maxMessageSize)
	case !l.on() && (l.Messages != 0 || l.Bytes != 0):
		return l, configError("Linger.Wait", "0 turns it off, but Messages or Bytes is set: set Wait, to 5ms, say")
	}
	if l.Messages == 0 {
		l.Messages = DefaultLingerMessages
	}
	if l.Bytes == 0 {
		l.Bytes = min(DefaultLingerBytes, maxMessageSize)
	}
	return l, nil
}

// shares tells whether a message may go in a request with others. Brokers delay no batches, and what names its queue or is
// compressed goes alone.
func (p *Producer) shares(m *Message) bool {
	return p.cfg.Linger.on() && m.delayField() == "" && m.queue() == nil && !p.compresses(m.Body)
}

// sendShared encodes a message that has been checked, and sends it in a request with others'.
func (p *Producer) sendShared(ctx context.Context, topic *send.Topic, m *Message, id string, watched *watched) (result send.Result, err error) {
	w := p.newWaiting()
	w.since, w.key = time.Now(), m.ShardingKey
	w.deadline, w.limited = ctx.Deadline()
	if err := p.encode(w, m, id, watched); err != nil {
		return send.Result{}, fmt.Errorf("producer: send %s: %w", m.Topic, err)
	}
	defer func() { p.counters.note(m.Topic, id, 1, len(m.Body), &result, err) }()
	l := p.lines.of(m.Topic, topic)
	defer p.lines.leave(l)
	l.put(w)
	select {
	case <-w.ready:
	case <-ctx.Done():
		if l.leave(ctx, w) {
			return w.result, w.err // w stays in its request: it can't be used again
		}
		<-w.ready
	}
	result, err = w.result, w.err
	p.reuse(w)
	return result, err
}

// encode writes a message as a shared request holds it; body and properties of one that goes alone lie in there.
func (p *Producer) encode(w *waiting, m *Message, id string, watched *watched) (err error) {
	scratch := p.scratch.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	defer p.scratch.Put(scratch)
	if *scratch, err = encodeProperties((*scratch)[:0], m, id, nil, watched.added(0)); err != nil {
		return err
	}
	w.encoded, w.body = protocol.AppendBatchMessage(w.encoded[:0], m.flag, m.Body, *scratch), len(m.Body)
	return nil
}

var errWaited = errors.New("it waited for the requests before it, and was not sent")

// errUnknown is what is known of a message whose caller has left its request.
func errUnknown(attempts int, last error) error {
	const what = "its request is under way: whether the message is stored isn't known"
	if last == nil {
		return errors.New(what)
	}
	return fmt.Errorf("%s, attempt %d failed: %w", what, attempts, last)
}
