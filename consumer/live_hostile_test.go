package consumer

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
)

// asking is a log handler that looks at the consumer, as one that sends its state along does.
type asking struct {
	slog.Handler
	ask func()
}

func (a *asking) Enabled(context.Context, slog.Level) bool { return true }
func (a *asking) WithAttrs([]slog.Attr) slog.Handler       { return a }

func (a *asking) Handle(context.Context, slog.Record) error {
	if a.ask != nil {
		a.ask()
	}
	return nil
}

// TestLogMayAsk: what the log is told of a document doesn't keep it from asking for Stats.
func TestLogMayAsk(t *testing.T) {
	t.Parallel()
	log := &asking{}
	client, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"127.0.0.1:1"}, Logger: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	c, err := New(client, one("orders", Topic{Handler: nothing}))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan Stats, 10)
	log.ask = func() { asked <- c.Stats() }
	done := make(chan error, 1)
	go func() { done <- c.live.apply(json.RawMessage(`{"color":1,"topics":{"orders":{"workers":3}}}`), true) }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the log waits for the settings, and these for the log")
	}
	if s := <-asked; s.Topics["orders"].Workers != 3 {
		t.Errorf("%+v", s.Topics["orders"])
	}
}

// TestBoundsBelowTheDefault: a highest time-out below the default lowest one lowers that.
func TestBoundsBelowTheDefault(t *testing.T) {
	t.Parallel()
	c := made(t, one("orders", Topic{Handler: nothing, Timeout: -1, Bounds: Bounds{MaxTimeout: 2 * time.Second}}))
	if err := c.live.apply(json.RawMessage(`{"topics":{"orders":{"timeout":"2s"}}}`), false); err != nil {
		t.Error(err)
	}
	if err := c.live.apply(json.RawMessage(`{"topics":{"orders":{"timeout":"2001ms"}}}`), false); err == nil {
		t.Error("beyond MaxTimeout, and taken")
	}
}
