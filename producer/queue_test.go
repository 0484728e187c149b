package producer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

func TestQueuesAreJavas(t *testing.T) {
	t.Parallel()
	f := cluster(t, "red%orders", 2, "b", "a")
	p := f.producer("red", producer.Config{})
	got, err := p.Queues(t.Context(), "orders")
	want := []rocketkit.Queue{{Topic: "orders", Broker: "a"}, {Topic: "orders", Broker: "a", ID: 1}, {Topic: "orders", Broker: "b"}, {Topic: "orders", Broker: "b", ID: 1}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if _, err := p.Queues(t.Context(), "odrers"); !errors.Is(err, rocketkit.ErrNoRoute) || !strings.Contains(err.Error(), "topic odrers") {
		t.Errorf("of an unknown topic: %v", err)
	}
	if _, err := p.Queues(t.Context(), "a b"); err == nil {
		t.Error("of a name that can't be one: no error")
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Queues(t.Context(), "orders"); !errors.Is(err, rocketkit.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestNamedQueue(t *testing.T) {
	t.Parallel()
	f := cluster(t, "red%orders", 4, "a", "b")
	p := f.producer("red", producer.Config{})
	queue := rocketkit.Queue{Topic: "orders", Broker: "b", ID: 2}
	m := producer.Message{Topic: "orders", Body: []byte("x"), Queue: queue, ShardingKey: "a"} // whose own queue is another
	for range 3 {
		if r, err := p.Send(t.Context(), m); err != nil || r.Queue != queue {
			t.Errorf("went to %v, %v; want %v", r.Queue, err, queue)
		}
	}
	m.Queue.Topic = ""
	receipts, err := p.SendBatch(t.Context(), []producer.Message{m, m})
	if err != nil || receipts[1].Queue != queue {
		t.Errorf("a batch went to %v, %v; want %v", receipts, err, queue)
	}
	if key, _ := f.storedNow()[0].props.Get("__SHARDINGKEY"); key != "a" {
		t.Errorf("the sharding key is %q", key)
	}
	for _, unknown := range []rocketkit.Queue{{Broker: "b", ID: 4}, {Broker: "c"}} {
		m.Queue = unknown
		_, err := p.Send(t.Context(), m)
		if err == nil || producer.Retryable(err) || !strings.Contains(err.Error(), "topic orders has a 0 to 3, b 0 to 3") {
			t.Errorf("%v: %v", unknown, err)
		}
	}
}

// A queue that was added a moment ago is found, and one whose broker is away is waited for.
func TestNamedQueueThatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 4, "a", "b")
		p := f.producer("", producer.Config{})
		m := producer.Message{Topic: "orders", Body: []byte("x"), Queue: rocketkit.Queue{Broker: "b", ID: 1}}
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		f.setRoute("orders", 8, "a", "b")
		m.Queue.ID = 7
		if r, err := p.Send(t.Context(), m); err != nil || r.Queue.ID != 7 {
			t.Errorf("added queue: %v, %v", r.Queue, err)
		}
		f.stop("b:10911")
		f.setRoute("orders", 8, "a") // as the name servers do of a broker that is gone
		time.AfterFunc(20*time.Second, func() {
			f.start("b:10911")
			f.setRoute("orders", 8, "a", "b")
		})
		begun := time.Now()
		r, err := p.Send(t.Context(), m)
		if took := time.Since(begun); err != nil || r.Queue.Broker != "b" || took < 20*time.Second || took > 24*time.Second {
			t.Errorf("queue that came back after 20 s: %v, %v after %v", r.Queue, err, took)
		}
		f.stop("b:10911")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := p.Send(ctx, m); !errors.Is(err, context.DeadlineExceeded) || !producer.Retryable(err) {
			t.Errorf("queue whose broker is away: %v", err)
		}
	})
}

func TestSendOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "red%orders", 4, "a")
		f.answer = func(sent) (int32, string) { return protocol.CodeSystemBusy, "busy" }
		p := f.producer("red", producer.Config{Group: "checkout"})
		m := producer.Message{Topic: "orders", Body: []byte("x"), Tag: "t", ShardingKey: "order-1"}
		if err := p.SendOneWay(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.mu.Lock()
		sends := slices.Clone(f.sends)
		f.mu.Unlock()
		if len(sends) != 1 || !sends[0].oneWay || sends[0].queue != 2 || sends[0].topic != "red%orders" {
			t.Fatalf("sent %+v, want once, one-way, to queue 2", sends)
		}
		if id, _ := sends[0].props.Get("UNIQ_KEY"); len(id) != 32 {
			t.Errorf("id %q", id)
		}
		if err := p.SendOneWay(t.Context(), producer.Message{Topic: "odrers", Body: []byte("x")}); !errors.Is(err, rocketkit.ErrNoRoute) {
			t.Errorf("unknown topic: %v", err)
		}
	})
}

// A broker that can't be connected is passed over, and when none can be that is an error at once.
func TestSendOneWayAroundABrokerThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 4, "a", "b")
		p := f.producer("", producer.Config{})
		f.stop("a:10911")
		m := producer.Message{Topic: "orders", Body: []byte("x")}
		for range 8 {
			if err := p.SendOneWay(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := f.seen(); len(got) != 8 || slices.Contains(got, "a") {
			t.Errorf("brokers got %v", got)
		}
		f.stop("b:10911")
		synctest.Wait() // until the client has noticed
		begun := time.Now()
		err := p.SendOneWay(t.Context(), m)
		if err == nil || !producer.Retryable(err) || time.Since(begun) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.SendOneWay(t.Context(), m); !errors.Is(err, rocketkit.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
