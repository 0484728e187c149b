package producer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/mqtest"
)

// ends is a hook that notes what was decided of messages.
type ends struct {
	off  bool
	mu   sync.Mutex
	seen []hook.End
	last hook.Ended
}

func (e *ends) On() bool                                                   { return !e.off }
func (*ends) Sending(ctx context.Context, _ *hook.Sending) context.Context { return ctx }
func (*ends) Sent(context.Context, *hook.Sending, *hook.Sent)              {}

func (e *ends) Ended(d *hook.Ended) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen, e.last = append(e.seen, d.End), *d
}

// What is decided of a message later is told to the hooks that watch for it and are on, and to no other.
func TestEndsAreToldToWhoWatchesForThem(t *testing.T) {
	t.Parallel()
	on, off := &ends{}, &ends{off: true}
	p := &Producer{hooks: []hook.Sender{off, struct{ hook.Sender }{on}, on}}
	p.ended(&hook.Ended{End: hook.Rollback})
	if len(on.seen) != 1 || on.seen[0] != hook.Rollback || off.seen != nil {
		t.Errorf("told %v, and %v to the one that is off", on.seen, off.seen)
	}
}

// Whatever a local step or a Check says is told, also that nobody knows, with what the message can be found by; and so is a
// recall that failed.
func TestHooksAreToldOfEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 1}, Logger: slog.New(slog.DiscardHandler)})
		cfg := cluster.Config()
		cfg.Tenant = "red"
		client, err := rocketkit.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		says := errors.New("nobody knows")
		p, err := New(client, Config{Group: "checkout", Check: func(context.Context, *rocketkit.Message) error { return says }})
		if err != nil {
			t.Fatal(err)
		}
		e := &ends{}
		p.hooks = []hook.Sender{e}
		told := func(what string, want hook.Ended) {
			t.Helper()
			e.mu.Lock()
			defer e.mu.Unlock()
			got := e.last
			if got.Group != "checkout" || got.Topic != "orders" || got.ID == "" || got.Err != nil != (want.Err != nil) ||
				got.End != want.End || got.Checked != want.Checked || got.TransactionID != want.TransactionID {
				t.Errorf("%s: told %+v, want %+v", what, got, want)
			}
			e.last = hook.Ended{}
		}
		m := Message{Topic: "orders", Body: []byte("x"), Tag: "paid"}
		receipt, err := p.Transact(t.Context(), m, func(context.Context) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		told("committed", hook.Ended{End: hook.Commit, TransactionID: receipt.ID})
		receipt, _ = p.Transact(t.Context(), m, func(context.Context) error { return Rollback(nil) })
		told("rolled back", hook.Ended{End: hook.Rollback, TransactionID: receipt.ID})
		receipt, _ = p.Transact(t.Context(), m, func(context.Context) error { return says })
		told("left to the check", hook.Ended{End: hook.Undecided, TransactionID: receipt.ID})
		for n := p.Transactions().CheckOpen; p.Transactions().CheckOpen == n; time.Sleep(time.Second) {
		}
		told("left open by the check", hook.Ended{End: hook.Undecided, Checked: true, TransactionID: receipt.ID})

		handle := protocol.RecallHandle{Topic: "red%orders", Broker: "nowhere", ID: "1D"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Recall(ctx, "orders", handle.String()); err == nil {
			t.Error("recalled from nowhere")
		}
		told("not recalled", hook.Ended{End: hook.Recall, Err: context.DeadlineExceeded})
		handle.Topic = "blue%orders"
		if _, err := p.Recall(ctx, "orders", handle.String()); err == nil || e.last.ID != "" {
			t.Errorf("another tenant's handle: %v, told %+v", err, e.last)
		}
		if err := errors.Join(p.Close(context.Background()), client.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
}
