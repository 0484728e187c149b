package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/producer"
)

const (
	sendCallers = 32
	sendWithin  = 2 * time.Second // a call's context
	sendPause   = 10 * time.Millisecond
)

// sendMethod sends messages of the given bodies and returns their receipts.
type sendMethod func(ctx context.Context, p *producer.Producer, bodies []string) ([]producer.Receipt, error)

// sendWay is a method with the producer that it is tried on.
type sendWay struct {
	producer *producer.Producer
	method   sendMethod
}

// sendWays are what the callers use, in turn.
func sendWays(t *testing.T, client *rocketkit.Client) []sendWay {
	made := func(cfg producer.Config) *producer.Producer {
		p, err := producer.New(client, cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close(context.Background()) })
		return p
	}
	plain := made(producer.Config{Group: "sender"})
	shared := made(producer.Config{Group: "sharer", Linger: producer.Linger{Wait: 5 * time.Millisecond}})
	return []sendWay{{plain, sendSingly}, {plain, sendTogether}, {shared, sendSingly}, {shared, sendAsync}}
}

func sendSingly(ctx context.Context, p *producer.Producer, bodies []string) ([]producer.Receipt, error) {
	r, err := p.Send(ctx, producer.Message{Topic: "orders", Body: []byte(bodies[0])})
	return []producer.Receipt{r}, err
}

func sendAsync(ctx context.Context, p *producer.Producer, bodies []string) ([]producer.Receipt, error) {
	type outcome struct {
		receipt producer.Receipt
		err     error
	}
	done := make(chan outcome, 1)
	p.SendAsync(ctx, producer.Message{Topic: "orders", Body: []byte(bodies[0])}, func(r producer.Receipt, err error) { done <- outcome{r, err} })
	o := <-done
	return []producer.Receipt{o.receipt}, o.err
}

func sendTogether(ctx context.Context, p *producer.Producer, bodies []string) ([]producer.Receipt, error) {
	messages := make([]producer.Message, len(bodies))
	for i := range messages {
		messages[i] = producer.Message{Topic: "orders", Body: []byte(bodies[i])}
	}
	return p.SendBatch(ctx, messages)
}

// sendTraffic is callers that send one call after the other until the end.
type sendTraffic struct {
	stop    chan struct{}
	callers sync.WaitGroup
	failed  atomic.Int64 // calls
	late    atomic.Int64 // ns that the latest call returned after its context's end was seen

	mu           sync.Mutex
	acknowledged map[string]bool        // by body; read it after end
	stored       map[string]int         // messages, by broker
	latest       [sendCallers]time.Time // when each caller's latest call that worked began
}

func startTraffic(t *testing.T, client *rocketkit.Client) *sendTraffic {
	s := &sendTraffic{stop: make(chan struct{}), acknowledged: map[string]bool{}, stored: map[string]int{}}
	ways := sendWays(t, client)
	for caller := range sendCallers {
		s.callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-s.stop:
					return
				case <-time.After(sendPause):
				}
				began := time.Now()
				if s.call(t, ways[caller%len(ways)], fmt.Sprintf("%d-%d", caller, n)) {
					s.mu.Lock()
					s.latest[caller] = began
					s.mu.Unlock()
				}
			}
		})
	}
	t.Cleanup(func() { s.end(t) })
	return s
}

// call makes one call and notes what came of it. How late it returns is measured from the moment at which another
// goroutine saw the context's end, so that a busy machine counts as little as possible.
func (s *sendTraffic) call(t *testing.T, way sendWay, body string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), sendWithin)
	defer cancel()
	var ended atomic.Int64
	unwatch := context.AfterFunc(ctx, func() { ended.Store(time.Now().UnixNano()) })
	bodies := []string{body, body + "+"}
	receipts, err := way.method(ctx, way.producer, bodies)
	returned := time.Now().UnixNano()
	if !unwatch() {
		if at := ended.Load(); at > 0 {
			s.noteLate(returned - at)
		}
	}
	switch {
	case err != nil && !producer.Retryable(err):
		t.Errorf("a call failed for good: %v", err)
		fallthrough
	case err != nil:
		s.failed.Add(1)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range receipts {
		s.acknowledged[bodies[i]] = true
		s.stored[r.Queue.Broker]++
	}
	return true
}

// awaitEveryCaller waits until each caller has made a call that worked since then.
func (s *sendTraffic) awaitEveryCaller(t *testing.T, since time.Time) {
	t.Helper()
	eventually(t, "all callers' calls work", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !slices.ContainsFunc(s.latest[:], since.After)
	})
}

func (s *sendTraffic) noteLate(by int64) {
	for old := s.late.Load(); by > old && !s.late.CompareAndSwap(old, by); old = s.late.Load() {
	}
}

// awaitStored waits until the broker has taken n more messages.
func (s *sendTraffic) awaitStored(t *testing.T, broker string, n int) {
	t.Helper()
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.stored[broker]
	}
	before := count()
	eventually(t, fmt.Sprintf("%d messages on %s", n, broker), func() bool { return count() >= before+n })
}

// end stops the callers: the last call of each has its context's time, and no more than as much again to return.
func (s *sendTraffic) end(t *testing.T) {
	t.Helper()
	select {
	case <-s.stop:
		return
	default:
	}
	close(s.stop)
	returned := make(chan struct{})
	go func() { s.callers.Wait(); close(returned) }()
	select {
	case <-returned:
	case <-time.After(patience):
		t.Fatal("callers hang")
	}
	if late := time.Duration(s.late.Load()); late > sendWithin/2 {
		t.Errorf("a call returned %v after its context of %v had ended", late, sendWithin)
	}
}

func withPatience(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}
