package producer_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

// What a send takes isn't the time that its done waits behind others.
func TestSendAsyncTakesNoLongerForADone(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 1, "a")
		p := f.producer("", cfg)
		w := &watcher{sent: map[string]*hook.Sent{}}
		p.Watch(w)
		ids := make(chan string, 2)
		for range 2 {
			p.SendAsync(t.Context(), message("x", ""), func(r producer.Receipt, _ error) {
				ids <- r.ID
				time.Sleep(time.Minute)
			})
		}
		for range 2 {
			id := <-ids
			w.mu.Lock()
			if s := w.sent[id]; s == nil || s.Took != 0 {
				t.Errorf("the hook was told %+v", s)
			}
			w.mu.Unlock()
		}
		if err := p.Close(within(t, time.Hour)); err != nil {
			t.Error(err)
		}
	})
}

// A message that was never sent is a failure, whether it waited for room, in its lane, or for its broker.
func TestSendAsyncCountsWhatWasNotSent(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg producer.Config) {
		t.Helper()
		f := cluster(t, "orders", 1, "a")
		f.answer = func(sent) (int32, string) { return hold, "" }
		cfg.MaxInFlight = 2
		p := f.producer("", cfg)
		var c calls
		for _, body := range []string{"under way", "waits", "has no room"} {
			p.SendAsync(within(t, time.Second), message(body, "k"), c.done(body))
		}
		time.Sleep(2 * time.Second)
		s := p.Stats()
		if s.Failed != 3 || s.Sent != 0 || len(s.Failures) != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// Messages that have waited for room share requests all the same.
func TestSendAsyncLingersWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, each = 64, 20
		f := cluster(t, "orders", 1, "a")
		f.answer = func(sent) (int32, string) { time.Sleep(20 * time.Millisecond); return 0, "" }
		cfg := lingering
		cfg.MaxInFlight = callers / 2
		p := f.producer("", cfg)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range each {
					p.SendAsync(t.Context(), message("x", ""), nil)
				}
			})
		}
		all.Wait()
		if err := p.Close(within(t, time.Minute)); err != nil {
			t.Error(err)
		}
		if n := len(f.seen()); n > callers*each/2 {
			t.Errorf("%d requests for %d messages", n, callers*each)
		}
	})
}

// How brokers do is one thing for all sends to a topic, alone and together.
func TestStatsOfLingeringSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		release := holdFirst(f, func(sent) (int32, string) { time.Sleep(time.Millisecond); return 0, "" })
		p := f.producer("", lingering)
		shared := sending(t.Context(), p, message("0", ""))
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("alone"), DelayLevel: 1}); err != nil {
			t.Fatal(err)
		}
		release()
		<-shared[0]
		for i := range 9 {
			<-sending(t.Context(), p, message(fmt.Sprint(i), ""))[0]
		}
		if b := p.Stats().Topics["orders"].Brokers; len(b) != 1 || b[0].Latency != time.Millisecond {
			t.Errorf("%+v", b)
		}
	})
}

func TestDeliverAtThatCannotBeTold(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	p := f.producer("", producer.Config{})
	for _, at := range []time.Time{time.Unix(1<<60, 0), time.Unix(-1<<60, 0)} {
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x"), DeliverAt: at}); err == nil || !strings.Contains(err.Error(), "DeliverAt: ") {
			t.Errorf("%v: %v", at.Unix(), err)
		}
	}
	if n := len(f.storedNow()); n != 0 {
		props, _ := f.storedNow()[0].props.Get(protocol.PropertyTimerDeliverMillis)
		t.Errorf("stored %d, with %s", n, props)
	}
}
