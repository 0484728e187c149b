package producer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

var lingering = producer.Config{Linger: producer.Linger{Wait: 5 * time.Millisecond}}

// result is what a Send gave.
type result struct {
	receipt producer.Receipt
	err     error
}

// sending has callers Send a message each, in order, and returns their results as they come.
func sending(ctx context.Context, p *producer.Producer, messages ...producer.Message) []chan result {
	all := make([]chan result, len(messages))
	for i, m := range messages {
		all[i] = make(chan result, 1)
		go func() {
			r, err := p.Send(ctx, m)
			all[i] <- result{r, err}
		}()
		synctest.Wait()
	}
	return all
}

// texts gives the bodies of a request.
func texts(s sent) (all []string) {
	for _, m := range s.messages() {
		all = append(all, string(m.Body))
	}
	return all
}

func message(body, key string) producer.Message {
	return producer.Message{Topic: "orders", Body: []byte(body), ShardingKey: key}
}

// holdFirst has the first send wait for the release, and the others answered by answer.
func holdFirst(f *fake, answer func(s sent) (int32, string)) (release func()) {
	released := make(chan struct{})
	f.answer = func(s sent) (int32, string) {
		if len(f.seen()) == 1 {
			<-released
			return 0, ""
		}
		if answer == nil {
			return 0, ""
		}
		return answer(s)
	}
	return func() { close(released) }
}

func TestLingerSharesARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "red%orders", 2, "a")
		release := holdFirst(f, nil)
		p := f.producer("red", producer.Config{Linger: producer.Linger{Wait: time.Second}})
		begun := time.Now()
		results := sending(t.Context(), p, message("0", ""), message("1", ""), message("2", ""), message("3", ""))
		if n := len(f.seen()); n != 1 {
			t.Fatalf("%d requests with one under way", n)
		}
		release()
		for i, r := range results {
			r := <-r
			want := producer.Receipt{ID: r.receipt.ID, OffsetID: fmt.Sprintf("a#%d", i), Offset: int64(i), Queue: r.receipt.Queue}
			if r.err != nil || r.receipt != want || r.receipt.Queue.Topic != "orders" || len(r.receipt.ID) != 32 {
				t.Errorf("message %d: %+v, %v; want %+v", i, r.receipt, r.err, want)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %v: nobody had to wait", took)
		}
		stored := f.storedNow()
		if len(stored) != 2 || stored[0].batch || !slices.Equal(texts(stored[1]), []string{"1", "2", "3"}) {
			t.Fatalf("requests: %v", stored)
		}
		for i, m := range stored[1].messages() {
			if id, _ := m.Properties.Get("UNIQ_KEY"); id == "" || i > 0 && len(m.Properties) == 0 {
				t.Errorf("message %d has the properties %q", i, m.Properties)
			}
		}
	})
}

func TestLingerWaitsNoLongerThanWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 2, "a")
		release := holdFirst(f, nil)
		p := f.producer("", lingering)
		results := sending(t.Context(), p, message("0", ""))
		begun := time.Now()
		results = append(results, sending(t.Context(), p, message("1", ""), message("2", ""))...)
		for _, r := range results[1:] {
			if r := <-r; r.err != nil {
				t.Error(r.err)
			}
		}
		if took := time.Since(begun); took != lingering.Linger.Wait {
			t.Errorf("behind a silent request, it took %v", took)
		}
		release()
		<-results[0]
	})
}

func TestLingerBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		release := holdFirst(f, nil)
		p := f.producer("", producer.Config{Linger: producer.Linger{Wait: time.Minute, Messages: 3, Bytes: 1000}})
		big := strings.Repeat("x", 500)
		results := sending(t.Context(), p, message("first", ""), message("1", ""), message("2", ""))
		if n := len(f.seen()); n != 1 {
			t.Fatalf("%d requests", n)
		}
		results = append(results, sending(t.Context(), p, message("3", ""))...) // a full request waits for nothing
		if seen := f.sendsNow(); len(seen) != 2 || !slices.Equal(texts(seen[1]), []string{"1", "2", "3"}) {
			t.Fatalf("%d requests", len(seen))
		}
		results = append(results, sending(t.Context(), p, message(big, ""), message(big, ""))...)
		release()
		for _, r := range results {
			if r := <-r; r.err != nil {
				t.Error(r.err)
			}
		}
		for _, s := range f.storedNow()[2:] {
			if s.batch {
				t.Errorf("a request of %d bytes", len(s.body))
			}
		}
	})
}

func TestLingerCallerThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		release := holdFirst(f, func(s sent) (int32, string) {
			if len(f.seen()) < 5 {
				return protocol.CodeSystemBusy, "broker busy"
			}
			return 0, ""
		})
		p := f.producer("", producer.Config{Linger: producer.Linger{Wait: time.Minute}})
		first := sending(t.Context(), p, message("first", ""))
		waits := sending(within(t, time.Second), p, message("waits", ""))
		stays := sending(t.Context(), p, message("stays", ""))
		time.Sleep(900 * time.Millisecond)
		tries := sending(within(t, 105*time.Millisecond), p, message("tries", ""))
		time.Sleep(100 * time.Millisecond)
		for _, c := range []struct {
			when  func()
			who   chan result
			after string
		}{
			{func() {}, waits[0], "producer: send orders: it waited for the requests before it, and was not sent: context deadline exceeded"},
			{release, tries[0], "its request is under way: whether the message is stored isn't known, attempt 1 failed: "},
		} {
			c.when()
			r := <-c.who
			if r.err == nil || !strings.Contains(r.err.Error(), c.after) || !errors.Is(r.err, context.DeadlineExceeded) || !producer.Retryable(r.err) {
				t.Errorf("%v, retryable %t; want %q", r.err, producer.Retryable(r.err), c.after)
			}
			if code, _, _ := rocketkit.Code(r.err); c.who == tries[0] && code != 2 {
				t.Errorf("%v has the code %d", r.err, code)
			}
		}
		for _, r := range []result{<-first[0], <-stays[0]} {
			if r.err != nil {
				t.Error(r.err)
			}
		}
		if all := f.storedBodies(); !slices.Equal(all, []string{"first", "stays"}) {
			t.Errorf("stored: %v; what its caller has left isn't sent again", all)
		}
	})
}

func TestLingerEndsARequestThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		f.answer = func(sent) (int32, string) { return protocol.CodeSystemBusy, "broker busy" }
		p := f.producer("", lingering)
		ctx, cancel := context.WithCancel(t.Context())
		results := sending(ctx, p, message("0", "k"), message("1", "k"), message("2", "k"))
		time.Sleep(time.Second)
		cancel()
		for _, r := range results {
			if r := <-r; !errors.Is(r.err, context.Canceled) {
				t.Error(r.err)
			}
		}
		n := len(f.seen())
		time.Sleep(time.Minute)
		if more := len(f.seen()); more != n {
			t.Errorf("%d requests after the last caller had left", more-n)
		}
		if err := p.Close(within(t, time.Second)); err != nil {
			t.Error(err)
		}
		if messages, keys, lanes := p.Remaining(); messages+keys+lanes != 0 {
			t.Errorf("%d messages, %d keys, %d lanes are left", messages, keys, lanes)
		}
	})
}

func TestLingerRefusalHitsItsMessageAlone(t *testing.T) {
	for _, code := range []int32{protocol.CodeMessageIllegal, protocol.CodeSystemError, 999} {
		for _, key := range []string{"", "k%d", "k"} {
			synctest.Test(t, func(t *testing.T) {
				f := cluster(t, "orders", 1, "a")
				release := holdFirst(f, func(s sent) (int32, string) {
					if slices.Contains(texts(s), "poison") {
						return code, "no"
					}
					return 0, ""
				})
				p := f.producer("", producer.Config{Linger: producer.Linger{Wait: time.Minute}})
				keyOf := func(i int) string { return strings.Replace(key, "%d", fmt.Sprint(i), 1) }
				var messages []producer.Message
				for i := range 20 {
					messages = append(messages, message(fmt.Sprint(i), keyOf(i)))
				}
				results := sending(t.Context(), p, messages[0])
				poison := sending(within(t, 20*time.Second), p, message("poison", keyOf(20)))
				results = append(results, sending(t.Context(), p, messages[1:]...)...)
				release()
				begun := time.Now()
				for i, r := range results {
					if r := <-r; r.err != nil {
						t.Errorf("%d, key %q: innocent %d: %v", code, key, i, r.err)
					}
					if took := time.Since(begun); took > 10*time.Second && key != "k" {
						t.Errorf("%d, key %q: innocent %d took %v", code, key, i, took)
						break
					}
				}
				r := <-poison[0]
				if got, _, _ := rocketkit.Code(r.err); got != int(code) {
					t.Errorf("%d, key %q: the one that brokers refuse: %v", code, key, r.err)
				}
				stored := map[string]int{}
				for _, s := range f.storedNow() {
					for _, text := range texts(s) {
						stored[text]++
					}
				}
				for i := range messages {
					if stored[fmt.Sprint(i)] != 1 || stored["poison"] > 0 {
						t.Errorf("%d, key %q: stored %v", code, key, stored)
						break
					}
				}
			})
		}
	}
}

func TestLingerSendsAloneWhatCantBeShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		release := holdFirst(f, nil)
		p := f.producer("", producer.Config{Linger: producer.Linger{Wait: time.Minute}})
		results := sending(t.Context(), p, message("first", ""), producer.Message{Topic: "orders", Body: []byte("later"), DelayLevel: 3})
		if r := <-results[1]; r.err != nil {
			t.Error(r.err)
		}
		release()
		<-results[0]
		if s := f.storedNow()[0]; s.batch {
			t.Error("a delayed message in a batch")
		}
	})
}

// What goes alone doesn't wait for requests that are shared, however long those wait themselves.
func TestLingerAloneBesideTheShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		f.answer = func(s sent) (int32, string) {
			if texts(s)[0] == "hangs" {
				return hold, ""
			}
			return 0, ""
		}
		p := f.producer("", lingering)
		var c calls
		for i := range 2 { // one is under way, one waits
			p.SendAsync(within(t, time.Second), message("hangs", ""), c.done(fmt.Sprint("hangs ", i)))
			synctest.Wait()
		}
		later := producer.Message{Topic: "orders", Body: []byte("later"), DelayLevel: 3}
		p.SendAsync(within(t, time.Second), later, c.done("later"))
		time.Sleep(2 * lingering.Linger.Wait)
		if r := c.one(t, "later"); r.err != nil {
			t.Error(r.err)
		}
		if err := p.Close(within(t, time.Minute)); err != nil {
			t.Error(err)
		}
	})
}

func TestLingerKeysOfALostQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 4, "a")
		p := f.producer("", lingering)
		if _, err := p.Send(t.Context(), message("0", "user:4711")); err != nil { // a/2
			t.Fatal(err)
		}
		f.answer = func(s sent) (int32, string) {
			if s.queue > 1 {
				return protocol.CodeInvalidParameter, "request queueId is illegal"
			}
			return 0, ""
		}
		time.AfterFunc(2500*time.Millisecond, func() { f.setRoute("orders", 2, "a") })
		var messages []producer.Message
		for i := range 12 {
			messages = append(messages, message(fmt.Sprint(i), fmt.Sprintf("user:%d", 4711+i%3)))
		}
		results := sending(within(t, time.Minute), p, messages...)
		n := len(f.seen())
		queues := map[string]int{}
		for i, r := range results {
			r := <-r
			if r.err != nil {
				t.Error(r.err)
			}
			key := messages[i].ShardingKey
			if q, ok := queues[key]; ok && q != r.receipt.Queue.ID {
				t.Errorf("key %s is in the queues %d and %d", key, q, r.receipt.Queue.ID)
			}
			queues[key] = r.receipt.Queue.ID
		}
		if n > 30 {
			t.Errorf("%d requests before the route changed", n)
		}
		order := map[string]int{}
		for _, s := range f.storedNow()[1:] {
			for _, m := range s.messages() {
				key, _ := m.Properties.Get("__SHARDINGKEY")
				var i int
				if _, err := fmt.Sscan(string(m.Body), &i); err != nil || i < order[key] {
					t.Errorf("key %s: %d after %d, %v", key, i, order[key], err)
				}
				order[key] = i
			}
		}
	})
}

func TestCloseFlushesWhatLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		release := holdFirst(f, nil)
		p := f.producer("", producer.Config{Linger: producer.Linger{Wait: time.Hour}})
		results := sending(t.Context(), p, message("0", ""), message("1", ""), message("2", ""))
		closed := make(chan error, 1)
		go func() { closed <- p.Close(t.Context()) }()
		for _, r := range results[1:] {
			if r := <-r; r.err != nil {
				t.Error(r.err)
			}
		}
		release()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if _, err := p.Send(t.Context(), order); !errors.Is(err, rocketkit.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestLingerTopicThatDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		p := f.producer("", lingering)
		for i := range 4 {
			m := producer.Message{Topic: fmt.Sprintf("nowhere-%d", i), Body: []byte("x"), ShardingKey: []string{"", "k"}[i%2]}
			for _, r := range sending(t.Context(), p, m, m, m) {
				if r := <-r; !errors.Is(r.err, rocketkit.ErrNoRoute) || producer.Retryable(r.err) {
					t.Error(r.err)
				}
			}
		}
		synctest.Wait()
		if n := p.Lines(); n != 0 {
			t.Errorf("%d topics that don't exist are kept", n)
		}
	})
}

func TestLingerSettings(t *testing.T) {
	t.Parallel()
	client := cluster(t, "orders", 1, "a").client("")
	for field, cfg := range map[string]producer.Config{
		"Linger.Wait":     {Linger: producer.Linger{Wait: -1}},
		"Linger.Wait: 0":  {Linger: producer.Linger{Messages: 5}},
		"Linger.Messages": {Linger: producer.Linger{Wait: 1, Messages: -1}},
		"Linger.Bytes":    {Linger: producer.Linger{Wait: 1, Bytes: 5 << 20}},
		"Linger.Bytes: -": {Linger: producer.Linger{Wait: 1, Bytes: -1}},
		"MaxInFlight":     {MaxInFlight: -1},
	} {
		if _, err := producer.New(client, cfg); !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "producer: "+field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
