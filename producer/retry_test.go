package producer_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

var order = producer.Message{Topic: "orders", Body: []byte("x")}

// within gives a context of its own time-out, by the bubble's clock.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestAnotherBrokerTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 2, "a", "b")
		f.stop("a:10911")
		p := f.producer("", producer.Config{})
		begun := time.Now()
		for range 20 {
			r, err := p.Send(t.Context(), order)
			if err != nil || r.Queue.Broker != "b" {
				t.Fatalf("sent to %v, %v", r.Queue, err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("with a healthy broker at hand, it took %v", took)
		}
		queues := map[int]int{}
		for _, s := range f.storedNow() {
			queues[s.queue]++
		}
		if queues[0] < 8 || queues[1] < 8 {
			t.Errorf("the other broker's queues got %v of 20 messages, want them in turn", queues)
		}

		f.start("a:10911")
		time.Sleep(5 * time.Second)
		for range 4 {
			if _, err := p.Send(t.Context(), order); err != nil {
				t.Fatal(err)
			}
		}
		back := 0
		for _, s := range f.storedNow()[20:] {
			if s.broker == "a" {
				back++
			}
		}
		if back < 2 {
			t.Errorf("after its return broker a got %d of 4 messages", back)
		}
	})
}

func TestOneIDForAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a", "b", "c")
		f.answer = func(s sent) (int32, string) {
			if len(f.seen()) < 7 {
				return protocol.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy"
			}
			return 0, ""
		}
		begun := time.Now()
		r, err := f.producer("", producer.Config{}).Send(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		// Three rounds over three brokers, with a pause of 10 ms and one of 20 ms, each shortened by up to half.
		if took := time.Since(begun); took < 15*time.Millisecond || took > 30*time.Millisecond {
			t.Errorf("two pauses took %v", took)
		}
		seen := f.seen()
		for round := 0; round < 6; round += 3 {
			brokers := slices.Clone(seen[round : round+3])
			if slices.Sort(brokers); !slices.Equal(brokers, []string{"a", "b", "c"}) {
				t.Errorf("brokers were tried in the order %v, want each once a round", seen)
			}
		}
		for _, s := range f.sends {
			if id, _ := s.props.Get("UNIQ_KEY"); id != r.ID {
				t.Errorf("an attempt had the id %s, the receipt %s", id, r.ID)
			}
		}
	})
}

func TestBusyBrokerIsGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		f.answer = func(sent) (int32, string) { return protocol.CodeSystemBusy, "broker busy" }
		_, err := f.producer("", producer.Config{}).Send(within(t, 20*time.Second), order)
		// 10 + 20 + … + 640 ms, then 1 s each, each shortened by up to half.
		if n := len(f.seen()); n < 24 || n > 48 {
			t.Errorf("tried %d times in 20 s", n)
		}
		if n := f.count(&f.asked); n != 1 {
			t.Errorf("asked for the route %d times: a busy broker is where it was", n)
		}
		code, remark, ok := rocketkit.Code(err)
		if !ok || code != 2 || remark != "broker busy" || !errors.Is(err, context.DeadlineExceeded) || !producer.Retryable(err) {
			t.Errorf("%v: code %d %q, retryable %t", err, code, remark, producer.Retryable(err))
		}
		if want := `^producer: send orders: \d+ attempts in 20s: SEND_MESSAGE_V2 \(310\) answered by a:10911 with ` +
			`SYSTEM_BUSY \(2\): broker busy: context deadline exceeded$`; !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%v, want %s", err, want)
		}
	})
}

func TestShardingKeyWaitsForItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 4, "a", "b")
		p := f.producer("", producer.Config{})
		m := producer.Message{Topic: "orders", Body: []byte("x"), ShardingKey: "user:4711"} // a/2
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		f.stop("a:10911")
		f.setRoute("orders", 4, "b") // the name servers have noticed
		go func() {
			time.Sleep(5 * time.Second)
			f.setRoute("orders", 4, "a", "b")
			f.start("a:10911")
		}()
		begun := time.Now()
		r, err := p.Send(within(t, time.Minute), m)
		if err != nil || r.Queue.Broker != "a" || r.Queue.ID != 2 {
			t.Errorf("sent to %v, %v; want a/2", r.Queue, err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("stored %v after the broker's return", took-5*time.Second)
		}
		if slices.Contains(f.seen(), "b") {
			t.Error("another queue was tried")
		}
	})
}

func TestSilentBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a", "b")
		f.answer = func(s sent) (int32, string) {
			if s.broker == "a" {
				return hold, ""
			}
			return 0, ""
		}
		p := f.producer("", producer.Config{})
		begun := time.Now()
		for range 10 {
			if r, err := p.Send(t.Context(), order); err != nil || r.Queue.Broker != "b" {
				t.Fatalf("sent to %v, %v", r.Queue, err)
			}
		}
		if took := time.Since(begun); took != rocketkit.DefaultRequestTimeout {
			t.Errorf("10 sends took %v, want one request time-out", took)
		}
	})
}

func TestSilentBrokerAndShortContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a", "b")
		f.answer = func(s sent) (int32, string) {
			if s.broker == "a" {
				return hold, ""
			}
			return 0, ""
		}
		p := f.producer("", producer.Config{})
		failures := 0
		for range 10 {
			_, err := p.Send(within(t, 600*time.Millisecond), order)
			if err == nil {
				continue
			}
			failures++
			if want := "producer: send orders: 1 attempt in 600ms: SEND_MESSAGE_V2 (310): remoting: wait a:10911: context deadline exceeded"; err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
			if !errors.Is(err, context.DeadlineExceeded) || !producer.Retryable(err) {
				t.Errorf("%v: retryable %t", err, producer.Retryable(err))
			}
		}
		if failures != 1 {
			t.Errorf("%d of 10 short sends met the silent broker, want 1", failures)
		}
	})
}

func TestContextThatHasEnded(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the request was dropped")
	cancel(why)
	_, err := f.producer("", producer.Config{}).Send(ctx, order)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) || f.count(&f.dials) != 0 {
		t.Errorf("%v after %d dials", err, f.count(&f.dials))
	}
	if want := "producer: send orders: context canceled: the request was dropped"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   int32
		remark string
		sends  int // over both brokers
		says   string
	}{
		{protocol.CodeMessageIllegal, "the message is illegal", 1, "no body of 1 bytes with properties of 42"},
		{protocol.CodeSystemError, "java.lang.RuntimeException: message body size exceeded, x", 1, "maxMessageSize"},
		{protocol.CodeNoPermission, "red%orders: no Pub for it", 2, "orders: no Pub"},
		{protocol.CodeRequestNotSupported, "what?", 1, "what?"},
		{protocol.CodeNotInCurrentUnit, "", 1, "NOT_IN_CURRENT_UNIT (205)"},
		{7777, "", 1, "7777"},
	} {
		f := cluster(t, "red%orders", 2, "a", "b")
		f.answer = func(sent) (int32, string) { return c.code, c.remark }
		_, err := f.producer("red", producer.Config{}).Send(t.Context(), order)
		code, _, ok := rocketkit.Code(err)
		if !ok || code != int(c.code) || producer.Retryable(err) {
			t.Errorf("code %d: %v has code %d, retryable %t", c.code, err, code, producer.Retryable(err))
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "producer: send orders: ") || strings.Contains(err.Error(), "red%") {
			t.Errorf("code %d: %v, want it to say %q and name no tenant", c.code, err, c.says)
		}
		if n := len(f.seen()); n != c.sends {
			t.Errorf("code %d: sent %d times, want %d", c.code, n, c.sends)
		}
	}
}

func TestUnavailableBrokersAreTriedAgain(t *testing.T) {
	for _, code := range []int32{
		protocol.CodeSystemError, protocol.CodeSystemBusy, protocol.CodeFlowControl, protocol.CodeServiceNotAvailable,
		protocol.CodeTopicNotExist, protocol.CodeNotLeaderForQueue,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := cluster(t, "orders", 2, "a")
				f.answer = func(sent) (int32, string) {
					if len(f.seen()) < 30 {
						return code, "not now"
					}
					return 0, ""
				}
				if _, err := f.producer("", producer.Config{}).Send(t.Context(), order); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAnswersThatPermissionIsMissingDontHideABrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a", "b")
		f.stop("b:10911")
		f.answer = func(s sent) (int32, string) {
			if s.broker == "a" {
				return protocol.CodeNoPermission, "read-only"
			}
			return 0, ""
		}
		go func() {
			time.Sleep(3 * time.Second)
			f.start("b:10911")
		}()
		if r, err := f.producer("", producer.Config{}).Send(within(t, time.Minute), order); err != nil || r.Queue.Broker != "b" {
			t.Errorf("sent to %v, %v", r.Queue, err)
		}
	})
}

func TestTopicThatIsUnknown(t *testing.T) {
	t.Parallel()
	f := cluster(t, "red%orders", 1, "a")
	p := f.producer("red", producer.Config{})
	_, err := p.Send(t.Context(), producer.Message{Topic: "ordres", Body: []byte("x")})
	if !errors.Is(err, rocketkit.ErrNoRoute) || producer.Retryable(err) {
		t.Errorf("%v, retryable %t", err, producer.Retryable(err))
	}
	if want := "producer: send ordres: " + rocketkit.ErrNoRoute.Error(); err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestTopicThatWasDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		p := f.producer("", producer.Config{})
		if _, err := p.Send(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		f.forget("orders")
		if _, err := p.Send(t.Context(), order); err != nil {
			t.Errorf("the broker still has it: %v", err)
		}
		f.answer = func(sent) (int32, string) { return protocol.CodeTopicNotExist, "apply first please" }
		if _, err := p.Send(t.Context(), order); !errors.Is(err, rocketkit.ErrNoRoute) || producer.Retryable(err) {
			t.Errorf("%v, retryable %t", err, producer.Retryable(err))
		}
	})
}

func TestTopicThatLostQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 8, "a")
		p := f.producer("", producer.Config{})
		f.answer = func(s sent) (int32, string) {
			if s.queue > 0 {
				return protocol.CodeInvalidParameter, "request queueId is illegal"
			}
			return 0, ""
		}
		m := producer.Message{Topic: "orders", Body: []byte("x"), ShardingKey: "user:4711"}
		if _, err := p.Send(within(t, time.Second), m); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "INVALID_PARAMETER (29): request queueId") {
			t.Errorf("%v, want the context's end and the cause", err)
		}
		go func() {
			time.Sleep(5 * time.Second)
			f.setRoute("orders", 1, "a") // the name servers are the last to know
		}()
		for _, key := range []string{"user:4711", ""} {
			m.ShardingKey = key
			if r, err := p.Send(t.Context(), m); err != nil || r.Queue.ID != 0 {
				t.Errorf("key %q: sent to %v, %v", key, r.Queue, err)
			}
		}
	})
}

func TestTopicThatNobodyMayWriteTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 0, "a")
		p := f.producer("", producer.Config{})
		_, err := p.Send(within(t, 2*time.Second), order)
		if err == nil || !strings.Contains(err.Error(), "no queue of this topic can be written to now") || !producer.Retryable(err) {
			t.Errorf("%v, retryable %t", err, producer.Retryable(err))
		}
		go func() {
			time.Sleep(3 * time.Second)
			f.setRoute("orders", 1, "a")
		}()
		if _, err := p.Send(t.Context(), order); err != nil {
			t.Error(err)
		}
	})
}

func TestNameServersThatAreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		f.stop(nameServer)
		p := f.producer("", producer.Config{})
		_, err := p.Send(within(t, 3*time.Second), order)
		if err == nil || !strings.Contains(err.Error(), "no name server answers") || !errors.Is(err, context.DeadlineExceeded) || !producer.Retryable(err) {
			t.Errorf("%v, retryable %t", err, producer.Retryable(err))
		}
		go func() {
			time.Sleep(3 * time.Second)
			f.start(nameServer)
		}()
		if _, err := p.Send(t.Context(), order); err != nil {
			t.Error(err)
		}

		f.stop(nameServer) // and once the route is known, they aren't needed
		begun := time.Now()
		if _, err := p.Send(t.Context(), order); err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// A change that nobody else looks after, such as a topic that a broker has lost, is asked for by the sends that wait for it.
func TestRouteIsAskedForOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a")
		lost := false
		f.answer = func(sent) (int32, string) {
			if lost {
				return protocol.CodeTopicNotExist, "no such topic"
			}
			return 0, ""
		}
		p := f.producer("", producer.Config{})
		if _, err := p.Send(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		lost = true
		ctx := within(t, 10*time.Second)
		done := make(chan error)
		for range 50 {
			go func() {
				_, err := p.Send(ctx, order)
				done <- err
			}()
		}
		for range 50 {
			if err := <-done; err == nil || !strings.Contains(err.Error(), "no such topic") {
				t.Errorf("%v, want the cause", err)
			}
		}
		if n := f.count(&f.asked); n < 8 || n > 12 {
			t.Errorf("50 senders asked for the route %d times in 10 s", n-1)
		}
	})
}
