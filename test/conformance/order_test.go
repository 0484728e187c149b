package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

// sequences sees messages whose bodies are a key, a dash and a number, from 0 on in the order they were sent.
type sequences struct {
	mu      sync.Mutex
	next    map[string]int // the number each key comes to for the first time next
	first   int            // messages that have come
	repeats int
	wrong   []string
	news    chan struct{}
}

func newSequences() *sequences {
	return &sequences{next: map[string]int{}, news: make(chan struct{}, 1)}
}

// add notes that a message has come. Repeats may come again from anywhere, but no first may come before its
// predecessor's.
func (s *sequences) add(body string) {
	s.mu.Lock()
	key := body[:strings.LastIndexByte(body, '-')]
	switch n := numberOf(body); {
	case n < s.next[key]:
		s.repeats++
	case n > s.next[key]:
		s.wrong = append(s.wrong, fmt.Sprintf("%s came, before %s-%d", body, key, s.next[key]))
		s.next[key] = n + 1
	default:
		s.next[key]++
		s.first++
	}
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// await waits until n messages have come, and fails when one was out of order.
func (s *sequences) await(t *testing.T, n int) {
	t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		first, wrong := s.first, s.wrong
		s.mu.Unlock()
		if len(wrong) > 0 {
			t.Fatalf("%d out of order; the first: %s", len(wrong), wrong[0])
		}
		if first >= n {
			return
		}
		select {
		case <-s.news:
		case <-limit:
			t.Fatalf("%d of %d messages have come within %v", first, n, patience)
		}
	}
}

// sendKeys sends, for each of so many keys from the first on, the messages numbered from-to, each after the one before it
// was stored. It may be called on any goroutine.
func sendKeys(t *testing.T, client *rocketkit.Client, first, keys, from, to int) {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Close(t.Context())
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			key := "k" + strconv.Itoa(first+k)
			for i := from; i < to; i++ {
				m := producer.Message{Topic: "orders", ShardingKey: key, Body: fmt.Appendf(nil, "%s-%d", key, i)}
				if _, err := p.Send(context.Background(), m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Failing and panicking handlers don't break the order of a queue or a key, and a message that always fails is
// dead-lettered after its attempts, before what follows it comes.
func TestOrder(t *testing.T) { onEach(t, testOrder) }

func testOrder(t *testing.T, on target) {
	const keys, perKey, retries = 20, 30, 3
	for name, order := range map[string]consumer.Order{"key": consumer.OrderKey, "queue": consumer.OrderQueue} {
		t.Run(name, func(t *testing.T) {
			client := on.open(t, tenantOf(t, ""))
			topic(t, client, "orders")
			done, attempts := newSequences(), newTally()
			var mu sync.Mutex
			running := map[string]bool{}
			run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Retries: retries, Topics: map[string]consumer.Topic{
				"orders": {Order: order, Handler: func(_ context.Context, m *rocketkit.Message) error {
					lane := m.ShardingKey()
					if order == consumer.OrderQueue {
						lane = fmt.Sprint(m.Queue().ID)
					}
					mu.Lock()
					if running[lane] {
						t.Errorf("two of %s at once", lane)
					}
					running[lane] = true
					mu.Unlock()
					defer func() { mu.Lock(); delete(running, lane); mu.Unlock() }()
					body, n := string(m.Body()), numberOf(string(m.Body()))
					attempts.add(fmt.Sprintf("%s attempt %d", body, m.Attempt()))
					switch {
					case n == 7: // always fails
						if m.Attempt() == 1+retries {
							done.add(body)
						}
						return consumer.RetryIn(10*time.Millisecond, errors.New("always"))
					case n%5 == 1 && m.Attempt() < 3:
						return consumer.RetryIn(10*time.Millisecond, errors.New("not yet"))
					case n == 2 && m.Attempt() == 1:
						panic("on purpose")
					}
					done.add(body)
					return nil
				}},
			}})
			sendKeys(t, client, 0, keys, 0, perKey)
			done.await(t, keys*perKey)
			for k := range keys {
				for i := range perKey {
					body, want := fmt.Sprintf("k%d-%d", k, i), 1
					switch {
					case i == 7:
						want = 1 + retries
					case i%5 == 1:
						want = 3
					case i == 2:
						want = 2
					}
					for attempt := 1; attempt <= want; attempt++ {
						if n := attempts.count(fmt.Sprintf("%s attempt %d", body, attempt)); n != 1 {
							t.Errorf("attempt %d of %s came %d times", attempt, body, n)
						}
					}
				}
			}
			eventually(t, "all committed", func() bool { return committed(t, client, "billing", "orders") == keys*perKey })
			if n := stored(t, client, "%DLQ%billing"); n != keys {
				t.Errorf("%d dead letters, want %d", n, keys)
			}
		})
	}
}

// stored counts the messages of a topic, which may not be known yet.
func stored(t *testing.T, client *rocketkit.Client, name string) int64 {
	t.Helper()
	eventually(t, name, func() bool { return exists(t, client, name) })
	queues, err := admin.New(client).TopicOffsets(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, q := range queues {
		n += q.Max - q.Min
	}
	return n
}

// Different keys of one queue are handled at the same time, and one that fails holds back no other.
func TestKeysOfOneQueue(t *testing.T) { onEach(t, testKeysOfOneQueue) }

func testKeysOfOneQueue(t *testing.T, on target) {
	const others, perKey = 5, 40
	client := on.open(t, tenantOf(t, ""))
	if err := admin.New(client).CreateTopic(t.Context(), admin.TopicConfig{Name: "orders", ReadQueues: 1, WriteQueues: 1}); err != nil {
		t.Fatal(err)
	}
	done := newSequences()
	met := make(chan struct{}) // closed by the last key's first message, for which the others' wait
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"orders": {Order: consumer.OrderKey, Workers: others + 1, Handler: func(ctx context.Context, m *rocketkit.Message) error {
			switch body := string(m.Body()); {
			case m.ShardingKey() == "k0":
				return consumer.RetryIn(time.Hour, errors.New("no"))
			case body == fmt.Sprintf("k%d-0", others):
				close(met)
			case numberOf(body) == 0:
				select {
				case <-met:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			done.add(string(m.Body()))
			return nil
		}},
	}})
	sendKeys(t, client, 0, 1, 0, perKey) // below all others
	sendKeys(t, client, 1, others, 0, perKey)
	done.await(t, others*perKey)
	if n := committed(t, client, "billing", "orders"); n != 0 {
		t.Errorf("committed %d over the first message, which has failed", n)
	}
}

// Members come and go, in order, under traffic with failing handlers; each key's messages come for the first time in the
// order they were sent.
func TestOrderWhileScaling(t *testing.T) { onEach(t, testOrderWhileScaling) }

func testOrderWhileScaling(t *testing.T, on target) {
	const keys, perKey = 16, 150
	for name, order := range map[string]consumer.Order{"key": consumer.OrderKey, "queue": consumer.OrderQueue} {
		t.Run(name, func(t *testing.T) {
			tenant := tenantOf(t, "")
			client := on.open(t, tenant)
			topic(t, client, "orders")
			came := newSequences()
			cfg := consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
				"orders": {Order: order, Handler: func(_ context.Context, m *rocketkit.Message) error {
					came.add(string(m.Body()))
					time.Sleep(time.Millisecond) // the work
					if numberOf(string(m.Body()))%40 == 3 && m.Attempt() == 1 {
						return consumer.RetryIn(20*time.Millisecond, errors.New("not yet"))
					}
					return nil
				}},
			}}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				sendKeys(t, client, 0, keys, 0, perKey)
			}()
			members := []*running{run(t, on.open(t, tenant), cfg)}
			for i := range 6 {
				came.await(t, (i+1)*keys*perKey/10)
				if i%3 == 2 {
					members[0].end(t)
					members = members[1:]
				}
				members = append(members, run(t, on.open(t, tenant), cfg))
			}
			for len(members) > 1 {
				members[0].end(t)
				members = members[1:]
			}
			<-sent
			came.await(t, keys*perKey)
			came.mu.Lock()
			defer came.mu.Unlock()
			t.Logf("%d messages, %d came again, retries among them", came.first, came.repeats)
		})
	}
}

// kill -9 in the middle of the traffic: what is replayed begins where each queue was committed, so that every key's
// messages still come for the first time in order, and none is lost.
func TestKillKeepsOrder(t *testing.T) { onEach(t, testKillKeepsOrder) }

func testKillKeepsOrder(t *testing.T, on target) {
	const keys, perRound, rounds = 16, 40, 3
	for _, order := range []string{"key", "queue"} {
		t.Run(order, func(t *testing.T) {
			tenant := tenantOf(t, "")
			client := on.open(t, tenant)
			topic(t, client, "orders")
			came := newSequences()
			c := startWith(t, on, tenant, came.add, orderVariable+"="+order)
			for round := range rounds {
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					sendKeys(t, client, 0, keys, round*perRound, (round+1)*perRound)
				}()
				came.await(t, (2*round+1)*keys*perRound/2)
				_ = c.signal(syscall.SIGKILL)
				<-sent
				c = startWith(t, on, tenant, came.add, orderVariable+"="+order)
			}
			came.await(t, rounds*keys*perRound)
			eventually(t, "all committed", func() bool { return committed(t, client, "billing", "orders") == rounds*keys*perRound })
			if err := c.signal(os.Interrupt); err != nil {
				t.Errorf("a clean stop: %v", err)
			}
			came.mu.Lock()
			defer came.mu.Unlock()
			t.Logf("%d messages, %d came again after %d kills, retries among them", came.first, came.repeats, rounds)
		})
	}
}
