package producer

import (
	"context"
	"fmt"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// SendOneWay sends one message that no broker answers: it returns as soon as the message stands in line to be written to a
// connection. That is for what may get lost, such as measurements: nil doesn't mean that the message is stored, and a broker
// that is busy, full or set against it drops it without a word. A broker that can't be connected is passed over for the
// next; nothing is tried twice. Otherwise it is like [Producer.Send], its errors included. The Client's Close
// still writes what stands in line.
func (p *Producer) SendOneWay(ctx context.Context, m Message) error {
	if !p.sends.enter() {
		return fmt.Errorf("producer: send one-way: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	topic, err := p.topic(m.Topic)
	if err != nil {
		return fmt.Errorf("producer: send one-way: Topic: %w", err)
	}
	if err := m.check(p.cfg.MaxMessageSize); err != nil {
		return fmt.Errorf("producer: send one-way %s: %w", m.Topic, err)
	}
	id := p.idOf(&m)
	ctx, w := p.watch(ctx, hook.OneWay, false, []Message{m}, id)
	result, err := p.tellOne(ctx, topic, &m, id, w)
	w.sent(result, err)
	return err
}

// tellOne encodes a message that has been checked, and sends it one-way.
func (p *Producer) tellOne(ctx context.Context, topic *send.Topic, m *Message, id string, w *watched) (send.Result, error) {
	scratch := p.scratch.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	defer p.scratch.Put(scratch)
	r, err := p.request(scratch, m, id, w, send.Request{}, nil)
	if err != nil {
		return send.Result{}, fmt.Errorf("producer: send one-way %s: %w", m.Topic, err)
	}
	// What is written to a connection later is its own copy, so the scratch may be used again.
	result, err := topic.SendOneWay(ctx, &r)
	p.counters.noteRequest(m.Topic, &r, &result, err)
	if err != nil {
		return result, fmt.Errorf("producer: one-way: %w", err)
	}
	p.membership.join()
	p.keep(m.Topic, topic)
	return result, nil
}

// Queues gives the queues of a topic that can be written to, for [Message].Queue: sorted by broker and number, as the Java
// client has them. It is what the name servers said last, which may be 30 s old. A topic that no name server knows gives
// an error wrapping [rocketkit.ErrNoRoute].
func (p *Producer) Queues(ctx context.Context, topic string) ([]rocketkit.Queue, error) {
	if !p.sends.enter() {
		return nil, fmt.Errorf("producer: queues: the Producer: %w", rocketkit.ErrClosed)
	}
	defer p.sends.leave()
	t, err := p.topic(topic)
	if err != nil {
		return nil, fmt.Errorf("producer: queues: %w", err)
	}
	write, err := t.Queues(ctx)
	if err != nil {
		return nil, fmt.Errorf("producer: queues: %w", err)
	}
	queues := make([]rocketkit.Queue, len(write))
	for i, q := range write {
		queues[i] = logicalQueue(topic, q)
	}
	return queues, nil
}

func logicalQueue(topic string, q protocol.Queue) rocketkit.Queue {
	return rocketkit.Queue{Topic: topic, Broker: q.Broker, ID: int(q.ID)}
}
