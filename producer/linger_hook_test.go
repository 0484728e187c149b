package producer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/producer"
)

// watcher notes what hooks are told, and adds a property.
type watcher struct {
	mu   sync.Mutex
	sent map[string]*hook.Sent // by id
}

type watcherKey struct{}

func (*watcher) On() bool { return true }

func (*watcher) Sending(ctx context.Context, s *hook.Sending) context.Context {
	if len(s.Messages) != 1 || s.Batch || s.Kind != hook.Send {
		panic(fmt.Sprintf("%+v", s))
	}
	m := &s.Messages[0]
	m.Properties = append(m.Properties, hook.Property{Name: "traceparent", Value: m.ID})
	return context.WithValue(ctx, watcherKey{}, m.ID)
}

func (w *watcher) Sent(ctx context.Context, s *hook.Sending, r *hook.Sent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := s.Messages[0].ID
	if ctx.Value(watcherKey{}) != id || w.sent[id] != nil {
		panic("another message's context, or told twice")
	}
	w.sent[id] = r
}

func TestLingerHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		release := holdFirst(f, nil)
		p := f.producer("", lingering)
		w := &watcher{sent: map[string]*hook.Sent{}}
		p.Watch(w)
		results := sending(t.Context(), p, message("0", ""), message("1", ""), message("2", ""))
		receipts := make(chan producer.Receipt, 2)
		for range 2 {
			p.SendAsync(t.Context(), message("async", ""), func(r producer.Receipt, _ error) { receipts <- r })
		}
		release()
		all := []producer.Receipt{<-receipts, <-receipts}
		for _, r := range results {
			all = append(all, (<-r).receipt)
		}
		for _, r := range all {
			s := w.sent[r.ID]
			if s == nil || s.Err != nil || s.Queue != r.Queue || s.Offset != r.Offset || s.OffsetID != r.OffsetID || s.Attempts != 1 || s.Address == "" {
				t.Errorf("receipt %+v, but the hook was told %+v", r, s)
			}
		}
		for _, s := range f.storedNow() {
			for _, m := range s.messages() {
				id, _ := m.Properties.Get("UNIQ_KEY")
				if added, _ := m.Properties.Get("traceparent"); added != id {
					t.Errorf("message %s has the property %q", id, added)
				}
			}
		}
	})
}
