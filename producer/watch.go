package producer

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// watched is a send as the hooks see it; nil when none of them is on.
type watched struct {
	hooks []hook.Sender
	send  hook.Sending
	ctx   context.Context //nolint:containedctx // what the first call of the hooks gave, for the second
}

// watch tells the hooks that are on of a send. It goes on with the context that it returns.
func (p *Producer) watch(ctx context.Context, kind hook.Kind, batch bool, messages []Message, ids ...string) (context.Context, *watched) {
	if !slices.ContainsFunc(p.hooks, hook.Sender.On) {
		return ctx, nil
	}
	w := &watched{ctx: ctx, send: hook.Sending{
		Kind: kind, Group: p.cfg.Group, Topic: messages[0].Topic, Batch: batch, Began: time.Now(),
		Messages: make([]hook.Outgoing, len(messages)),
	}}
	for i := range messages {
		m := &messages[i]
		w.send.Messages[i] = hook.Outgoing{ID: ids[i], Tag: m.Tag, Keys: m.Keys, Size: len(m.Body), Delayed: m.delayField() != "", Own: m.own()}
	}
	for _, h := range p.hooks {
		if h.On() {
			w.ctx = h.Sending(w.ctx, &w.send) //nolint:fatcontext // one for each hook, of which there are few
			w.hooks = append(w.hooks, h)
		}
	}
	return w.ctx, w
}

// own are the properties that the caller gave the message, in whatever way.
func (m *Message) own() map[string]string {
	if len(m.carried) == 0 {
		return m.Properties
	}
	all := make(map[string]string, len(m.Properties)+len(m.carried))
	maps.Copy(all, m.Properties)
	for _, c := range m.carried {
		all[c.Name] = c.Value
	}
	return all
}

// added is what the hooks want to be sent with the message of that index.
func (w *watched) added(i int) []hook.Property {
	if w == nil {
		return nil
	}
	return w.send.Messages[i].Properties
}

// sent tells the hooks how the send ended, the last first.
func (w *watched) sent(r send.Result, err error) {
	if w == nil {
		return
	}
	s := &hook.Sent{Took: time.Since(w.send.Began), Attempts: r.Attempts, Err: err}
	if err == nil {
		s.Queue = rocketkit.Queue{Topic: w.send.Topic, Broker: r.Broker, ID: int(r.QueueID)}
		s.Offset, s.OffsetID, s.Address = r.QueueOffset, r.OffsetID, r.Address
		s.Region, s.Unsafe, s.Untraced = r.Region, r.Status != protocol.SendOK, r.Untraced
	}
	for _, h := range slices.Backward(w.hooks) {
		h.Sent(w.ctx, &w.send, s)
	}
}

// ended tells the hooks that watch for it what was decided of a message that was stored.
func (p *Producer) ended(e *hook.Ended) {
	for _, h := range p.hooks {
		if ender, ok := h.(hook.Ender); ok && h.On() {
			ender.Ended(e)
		}
	}
}
