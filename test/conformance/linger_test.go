package conformance

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/reader"
)

// Messages that share requests lie where their receipts say, and those of a key in the order in which they were sent.
func TestLinger(t *testing.T) { onEach(t, testLinger) }

func testLinger(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	p, err := producer.New(client, producer.Config{Group: "sender", Linger: producer.Linger{Wait: 5 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	const callers, each = 32, 40
	var receipts sync.Map // by body
	stored := func(body string) func(producer.Receipt, error) {
		return func(r producer.Receipt, err error) {
			if err != nil {
				t.Error(err)
				return
			}
			if _, twice := receipts.Swap(body, r); twice {
				t.Errorf("%s has two outcomes", body)
			}
		}
	}
	var calling sync.WaitGroup
	for i := range callers {
		calling.Go(func() {
			for n := range each {
				body := fmt.Sprintf("%02d-%03d", i, n)
				m := producer.Message{Topic: "orders", Body: []byte(body), Tag: "t", Keys: []string{body}}
				if i%2 == 0 {
					m.ShardingKey = fmt.Sprintf("key-%d", i)
				}
				if i%4 < 2 {
					p.SendAsync(t.Context(), m, stored(body))
					continue
				}
				stored(body)(p.Send(t.Context(), m))
			}
		})
	}
	calling.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := newReader(t, client, reader.Config{Start: reader.Earliest()})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	last, left := map[string]string{}, callers*each
	for m, err := range read.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		body := string(m.Body())
		found, _ := receipts.LoadAndDelete(body)
		r, ok := found.(producer.Receipt)
		if !ok || r.ID != m.ID() || r.Queue != m.Queue() || r.Offset != m.Offset() || r.OffsetID != m.OffsetID() {
			t.Errorf("%s lies at %v %d as %s %s; its receipt is %+v", body, m.Queue(), m.Offset(), m.ID(), m.OffsetID(), r)
		}
		if key := m.ShardingKey(); key != "" {
			if body <= last[key] {
				t.Errorf("%s after %s", body, last[key])
			}
			last[key] = body
		}
		if left--; left == 0 {
			break
		}
	}
}

// A message that makes a broker refuse the request that it is in fails alone.
func TestLingerOverTheBrokersLimit(t *testing.T) { onEach(t, testLingerOverTheBrokersLimit) }

func testLingerOverTheBrokersLimit(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	p, err := producer.New(client, producer.Config{
		Group: "sender", MaxMessageSize: 12 << 20, Linger: producer.Linger{Wait: time.Minute, Bytes: 12 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	var sending sync.WaitGroup
	for i := range 12 {
		sending.Go(func() {
			m := producer.Message{Topic: "orders", Body: []byte("small"), ShardingKey: fmt.Sprint(i % 2)}
			if i == 5 {
				m.Body = bytes.Repeat([]byte("x"), 5<<20)
			}
			_, err := p.Send(t.Context(), m)
			if code, _, _ := rocketkit.Code(err); i == 5 && code != 13 || i != 5 && err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		})
	}
	sending.Wait()
}

// A broker that is killed with requests of several callers under way loses none that was acknowledged, and every caller
// gets its outcome within its context.
func TestKilledBrokerWhileLingering(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{})
	client := target{"real", cluster.NameServers()}.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	p, err := producer.New(client, producer.Config{Group: "sender", Linger: producer.Linger{Wait: 5 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged sync.Map
	var count atomic.Int64
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprintf("%d-%d", i, n)
				m := producer.Message{Topic: "orders", Body: []byte(body)}
				if i%2 == 0 {
					m.ShardingKey = fmt.Sprint(i)
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				began := time.Now()
				if _, err := p.Send(ctx, m); err != nil {
					t.Errorf("%v after %v", err, time.Since(began))
				} else {
					acknowledged.Store(body, true)
					count.Add(1)
				}
				cancel()
				time.Sleep(time.Millisecond) // some thousand messages do
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		want := count.Load() + n
		eventually(t, "more messages stored", func() bool { return count.Load() >= want })
	}
	more(1000)
	if err := cluster.Broker(0).Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Broker(0).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	more(1000)
	close(stop)
	callers.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	got := newTally()
	left := count.Load()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for m, err := range newReader(t, client, reader.Config{Start: reader.Earliest()}).Messages(ctx) {
		if err != nil {
			t.Fatalf("%d acknowledged messages are missing: %v", left, err)
		}
		body := string(m.Body())
		if _, ok := acknowledged.Load(body); ok && got.count(body) == 0 {
			left--
		}
		got.add(body)
		if left == 0 {
			return
		}
	}
}
