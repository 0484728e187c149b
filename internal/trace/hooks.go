package trace

import (
	"context"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Sending does nothing: a send is recorded once it has ended.
func (*Recorder) Sending(ctx context.Context, _ *hook.Sending) context.Context { return ctx }

// Sent records each message that a broker has stored and answered for (SendMessageTraceHookImpl).
func (r *Recorder) Sent(_ context.Context, s *hook.Sending, sent *hook.Sent) {
	if sent.Err != nil || s.Kind == hook.OneWay || sent.Untraced || s.Topic == r.topic {
		return
	}
	rest := sent.OffsetID
	for i := range s.Messages {
		m := &s.Messages[i]
		one := record{
			kind: kindPub, at: s.Began, region: regionOr(sent.Region), group: s.Group, cost: sent.Took, success: !sent.Unsafe,
			topic: s.Topic, id: m.ID, tag: m.Tag, keys: strings.Join(m.Keys, " "), host: sent.Address, size: m.Size,
		}
		switch {
		case m.Delayed:
			one.message = messageDelay
		case s.Kind == hook.Half:
			one.message = messageHalf
		}
		one.offsetID, rest, _ = strings.Cut(rest, ",")
		r.add(&one)
	}
}

// Ended records the end of a transaction (EndTransactionTraceHookImpl), or that a message was recalled
// (DefaultRecallMessageTraceHook).
func (r *Recorder) Ended(e *hook.Ended) {
	if e.Topic == r.topic {
		return
	}
	one := record{
		kind: kindEnd, at: time.Now(), region: regionOr(e.Region), group: e.Group, success: e.Err == nil,
		topic: e.Topic, id: e.ID, tag: e.Tag, keys: strings.Join(e.Keys, " "), host: e.Address,
		message: messageCommit, transaction: e.TransactionID, checked: e.Checked,
	}
	switch e.End {
	case hook.Commit:
		one.state = "COMMIT_MESSAGE"
	case hook.Rollback:
		one.state = "ROLLBACK_MESSAGE"
	case hook.Undecided:
		one.state = "UNKNOW"
	case hook.Recall:
		one.kind = kindRecall
	}
	r.add(&one)
}

// callKey is where the context of a handler's call holds its request id.
type callKey struct{}

// Handling records that a handler gets messages (ConsumeMessageTraceHookImpl.consumeMessageBefore).
func (r *Recorder) Handling(ctx context.Context, h *hook.Handling) context.Context {
	if h.Topic == r.topic {
		return ctx
	}
	request := r.ids.Next(h.Began)
	for i := range h.Messages {
		if one, ok := received(&h.Messages[i]); ok {
			one.kind, one.at, one.group, one.request = kindBefore, h.Began, r.group, request
			r.add(&one)
		}
	}
	return context.WithValue(ctx, callKey{}, request)
}

// Handled records what became of them (consumeMessageAfter).
func (r *Recorder) Handled(ctx context.Context, h *hook.Handling, outcomes []hook.Outcome) {
	request, ok := ctx.Value(callKey{}).(string)
	if !ok || h.Topic == r.topic {
		return
	}
	ended, cost := h.Began.Add(h.Took), h.Took/time.Duration(len(h.Messages))
	for i := range h.Messages {
		if one, ok := received(&h.Messages[i]); ok {
			one.kind, one.at, one.group, one.request, one.cost = kindAfter, ended, r.group, request, cost
			one.success, one.code = outcomes[i].Verdict == hook.Done, codeOf(outcomes[i])
			r.add(&one)
		}
	}
}

// received is what both records of a call tell of a message; false when its broker wants it untraced (traceOn).
func received(m *rocketkit.Message) (record, bool) {
	if on, _ := m.Property(protocol.PropertyTraceOn); on == "false" {
		return record{}, false
	}
	region, _ := m.Property(protocol.PropertyRegion)
	return record{
		region: regionOr(region), id: m.ID(), keys: strings.Join(m.Keys(), " "), retries: m.Attempt() - 1,
	}, true
}

func regionOr(region string) string {
	if region == "" {
		return defaultRegion
	}
	return region
}
