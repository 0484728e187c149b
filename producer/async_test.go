package producer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

// calls are what the dones of SendAsync got.
type calls struct {
	mu  sync.Mutex
	got map[string][]result // by body
	all []string
}

func (c *calls) done(body string) func(producer.Receipt, error) {
	return func(r producer.Receipt, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.got == nil {
			c.got = map[string][]result{}
		}
		c.got[body] = append(c.got[body], result{r, err})
		c.all = append(c.all, body)
	}
}

// one gives the only call for a body.
func (c *calls) one(t *testing.T, body string) result {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got[body]) != 1 {
		t.Errorf("done of %q was called %d times", body, len(c.got[body]))
		return result{}
	}
	return c.got[body][0]
}

// bothWays tries something with and without Linger.
func bothWays(t *testing.T, try func(t *testing.T, cfg producer.Config)) {
	t.Helper()
	for name, cfg := range map[string]producer.Config{"alone": {}, "linger": lingering} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { try(t, cfg) })
		})
	}
}

func TestSendAsyncIsRetried(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 2, "a", "b")
		f.answer = func(sent) (int32, string) {
			if len(f.seen()) < 7 {
				return protocol.CodeSystemBusy, "broker busy"
			}
			return 0, ""
		}
		p := f.producer("", cfg)
		var c calls
		for i := range 50 {
			body := fmt.Sprint(i)
			p.SendAsync(t.Context(), message(body, ""), c.done(body))
		}
		if err := p.Close(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		offsets := map[string]bool{}
		for i := range 50 {
			r := c.one(t, fmt.Sprint(i))
			offsets[r.receipt.OffsetID] = true
			if r.err != nil || r.receipt.ID == "" {
				t.Error(r.err)
			}
		}
		if len(offsets) != 50 {
			t.Errorf("%d places for 50 messages", len(offsets))
		}
	})
}

func TestSendAsyncKeepsTheOrderOfKeys(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 4, "a", "b")
		f.answer = func(s sent) (int32, string) {
			time.Sleep(time.Duration(len(f.seen())%7) * time.Millisecond)
			if len(f.seen())%3 == 0 {
				return protocol.CodeSystemBusy, "broker busy"
			}
			return 0, ""
		}
		p := f.producer("", cfg)
		var c calls
		for i := range 200 {
			body := fmt.Sprintf("%03d", i)
			p.SendAsync(t.Context(), message(body, fmt.Sprint("key-", i%5)), c.done(body))
		}
		if err := p.Close(within(t, time.Hour)); err != nil {
			t.Fatal(err)
		}
		last := map[string]string{}
		for _, s := range f.storedNow() {
			for _, m := range s.messages() {
				key, _ := m.Properties.Get("__SHARDINGKEY")
				if string(m.Body) <= last[key] {
					t.Errorf("key %s: %s after %s", key, m.Body, last[key])
				}
				last[key] = string(m.Body)
			}
		}
		told := map[int]string{}
		for _, body := range c.all {
			i, err := strconv.Atoi(body)
			if err != nil {
				t.Fatal(err)
			}
			if body <= told[i%5] {
				t.Errorf("done of %s was called after that of %s", body, told[i%5])
			}
			told[i%5] = body
		}
	})
}

func TestSendAsyncIsBounded(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 1, "a")
		release := make(chan struct{})
		f.answer = func(sent) (int32, string) { <-release; return 0, "" }
		cfg.MaxInFlight = 5
		p := f.producer("", cfg)
		var c calls
		var begun atomic.Int32
		go func() {
			for i := range 20 {
				body := fmt.Sprint(i)
				p.SendAsync(t.Context(), message(body, ""), c.done(body))
				begun.Add(1)
			}
		}()
		time.Sleep(time.Second)
		if n := begun.Load(); n != 5 {
			t.Errorf("%d messages are under way, want 5", n)
		}
		p.SendAsync(within(t, time.Second), message("late", ""), c.done("late"))
		time.Sleep(time.Millisecond)
		if r := c.one(t, "late"); !errors.Is(r.err, context.DeadlineExceeded) || !strings.Contains(r.err.Error(), "MaxInFlight") || !producer.Retryable(r.err) {
			t.Error(r.err)
		}
		close(release)
		for begun.Load() < 20 {
			time.Sleep(time.Millisecond)
		}
		if err := p.Close(within(t, time.Minute)); err != nil {
			t.Error(err)
		}
		for i := range 20 {
			if r := c.one(t, fmt.Sprint(i)); r.err != nil {
				t.Error(r.err)
			}
		}
	})
}

func TestSendAsyncContextEnds(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 1, "a")
		f.answer = func(sent) (int32, string) { return hold, "" }
		p := f.producer("", cfg)
		var c calls
		ctx, cancel := context.WithCancel(t.Context())
		p.SendAsync(ctx, message("under way", "k"), c.done("under way"))
		p.SendAsync(ctx, message("waits", "k"), c.done("waits"))
		synctest.Wait()
		cancel()
		synctest.Wait()
		p.SendAsync(ctx, message("late", "k"), c.done("late"))
		synctest.Wait()
		for _, body := range []string{"under way", "waits", "late"} {
			if r := c.one(t, body); !errors.Is(r.err, context.Canceled) || !producer.Retryable(r.err) {
				t.Errorf("%s: %v", body, r.err)
			}
		}
		if n := len(f.seen()); n != 1 {
			t.Errorf("%d requests", n)
		}
		if err := p.Close(within(t, time.Second)); err != nil {
			t.Error(err)
		}
	})
}

func TestSendAsyncTellsOfEverything(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 1, "a")
		p := f.producer("", cfg)
		var c calls
		for what, m := range map[string]producer.Message{
			"no topic":  {Body: []byte("x")},
			"no body":   {Topic: "orders"},
			"no route":  {Topic: "nowhere", Body: []byte("x")},
			"much":      {Topic: "orders", Body: []byte("x"), Properties: map[string]string{"p": strings.Repeat("x", 40000)}},
			"RocketMQs": {Topic: "SCHEDULE_TOPIC_XXXX", Body: []byte("x")},
		} {
			p.SendAsync(t.Context(), m, c.done(what))
			synctest.Wait()
			_, sync := p.Send(t.Context(), m)
			if r := c.one(t, what); r.err == nil || sync == nil || r.err.Error() != sync.Error() {
				t.Errorf("%s: %v, but Send gives %v", what, r.err, sync)
			}
		}
		p.SendAsync(t.Context(), order, nil)
		if err := p.Close(within(t, time.Second)); err != nil || len(f.storedNow()) != 1 {
			t.Error(err, len(f.storedNow()))
		}
		p.SendAsync(t.Context(), order, c.done("closed"))
		synctest.Wait()
		if r := c.one(t, "closed"); !errors.Is(r.err, rocketkit.ErrClosed) {
			t.Error(r.err)
		}
	})
}

func TestSendAsyncDoneThatMisbehaves(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 1, "a")
		var log strings.Builder
		client, err := rocketkit.Open(rocketkit.Config{
			NameServers: []string{nameServer}, Dial: f.Dial, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close(t.Context()); f.group.Wait() }()
		p, err := producer.New(client, cfg)
		if err != nil {
			t.Fatal(err)
		}
		var c calls
		release := make(chan struct{})
		p.SendAsync(t.Context(), message("panics", "k"), func(producer.Receipt, error) { panic("oh") })
		p.SendAsync(t.Context(), message("exits", "k"), func(producer.Receipt, error) { runtime.Goexit() })
		p.SendAsync(t.Context(), message("blocks", "k"), func(producer.Receipt, error) { <-release })
		p.SendAsync(t.Context(), message("last", "k"), c.done("last"))
		synctest.Wait()
		if len(f.storedBodies()) != 4 {
			t.Errorf("stored: %v", f.storedBodies())
		}
		if _, err := p.Send(within(t, time.Second), message("sync", "k")); err != nil {
			t.Errorf("Send, with a done that blocks: %v", err)
		}
		if err := p.Close(within(t, time.Second)); err == nil || !strings.Contains(err.Error(), "still under way: 2") {
			t.Errorf("Close, with a done that blocks: %v", err)
		}
		close(release)
		if err := p.Close(within(t, time.Second)); err != nil {
			t.Error(err)
		}
		c.one(t, "last")
		if !strings.Contains(log.String(), "panic=oh") || !strings.Contains(log.String(), "async_test.go") {
			t.Errorf("the log says %q", log.String())
		}
	})
}

// A done that sends the next message finds room, also when others wait for it.
func TestSendAsyncFromItsDone(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 1, "a")
		f.answer = func(sent) (int32, string) { time.Sleep(time.Millisecond); return 0, "" }
		cfg.MaxInFlight = 2
		p := f.producer("", cfg)
		var sent, told atomic.Int32
		var chain func(left int) func(producer.Receipt, error)
		chain = func(left int) func(producer.Receipt, error) {
			sent.Add(1)
			return func(_ producer.Receipt, err error) {
				if told.Add(1); err != nil {
					t.Error(err)
				}
				if left > 0 {
					p.SendAsync(t.Context(), order, chain(left-1))
				}
			}
		}
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				for range 10 {
					p.SendAsync(t.Context(), order, chain(3))
				}
			})
		}
		callers.Wait()
		for sent.Load() < 400 {
			time.Sleep(time.Millisecond)
		}
		if err := p.Close(within(t, time.Minute)); err != nil || told.Load() != 400 {
			t.Errorf("%d of 400 told, %v", told.Load(), err)
		}
	})
}

func TestSendAsyncAtTheClose(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 2, "a")
		f.answer = func(sent) (int32, string) { time.Sleep(10 * time.Millisecond); return 0, "" }
		p := f.producer("", cfg)
		var c calls
		var bodies []string
		for i := range 300 {
			body := fmt.Sprint(i)
			bodies = append(bodies, body)
			p.SendAsync(t.Context(), message(body, []string{"", "k"}[i%2]), c.done(body))
		}
		if err := p.Close(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		for _, body := range bodies {
			if r := c.one(t, body); r.err != nil {
				t.Error(r.err)
			}
		}
		stored := f.storedBodies()
		slices.Sort(stored)
		slices.Sort(bodies)
		if !slices.Equal(stored, bodies) {
			t.Errorf("%d messages are stored", len(stored))
		}
	})
}
