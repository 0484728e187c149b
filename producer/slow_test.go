package producer_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/producer"
)

// paced is a cluster whose brokers take the time that they are set to for each answer.
type paced struct {
	*fake
	takes map[string]*atomic.Int64 // ns, by broker
}

func pacedCluster(t *testing.T, brokers ...string) paced {
	t.Helper()
	c := paced{cluster(t, "orders", 4, brokers...), map[string]*atomic.Int64{}}
	for _, b := range brokers {
		c.takes[b] = &atomic.Int64{}
		c.set(b, time.Millisecond)
	}
	c.answer = func(s sent) (int32, string) {
		time.Sleep(time.Duration(c.takes[s.broker].Load()))
		return 0, ""
	}
	return c
}

func (c paced) set(broker string, d time.Duration) { c.takes[broker].Store(int64(d)) }

// counts empties the list of what brokers got, and counts it.
func (c paced) counts() map[string]int {
	n := map[string]int{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sends {
		n[s.broker]++
	}
	c.sends = nil
	return n
}

// sendFor has callers send until the time is up, one message after the other.
func (c paced) sendFor(t *testing.T, p *producer.Producer, callers int, d time.Duration, m producer.Message) {
	t.Helper()
	m.Topic, m.Body = "orders", []byte("x")
	end := time.Now().Add(d)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for time.Now().Before(end) {
				if _, err := p.Send(t.Context(), m); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	group.Wait()
}

// A broker that is much slower than the others of the topic gets a try now and then; once it is quick again it gets its part.
func TestSlowBrokerGetsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pacedCluster(t, "a", "b", "c")
		p := c.producer("", producer.Config{})
		c.sendFor(t, p, 4, time.Second, producer.Message{})
		if n := c.counts(); n["a"] < 150 || n["b"] < 150 || n["c"] < 150 {
			t.Errorf("brokers as quick as each other got %v", n)
		}
		c.set("b", 300*time.Millisecond)
		c.sendFor(t, p, 4, 5*time.Second, producer.Message{})
		if n := c.counts(); n["b"] < 3 || n["b"] > 16 || n["a"] < 1000 || n["c"] < 1000 {
			t.Errorf("within 5 s brokers of which b is slow got %v; want a try each second for b", n)
		}
		c.set("b", time.Millisecond)
		c.sendFor(t, p, 4, 2*time.Second, producer.Message{})
		c.counts()
		c.sendFor(t, p, 4, time.Second, producer.Message{})
		if n := c.counts(); n["b"] < 150 {
			t.Errorf("2 s after b had become quick again brokers got %v", n)
		}
	})
}

// Slow is what is slow beside the others: when all are, or the difference is small, each gets its part.
func TestBrokersThatAreAllSlowGetTheirParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pacedCluster(t, "a", "b")
		p := c.producer("", producer.Config{})
		for _, both := range [][2]time.Duration{{300, 500}, {1, 15}, {40, 140}} {
			c.set("a", both[0]*time.Millisecond)
			c.set("b", both[1]*time.Millisecond)
			c.sendFor(t, p, 1, time.Minute, producer.Message{}) // until the times before are forgotten
			c.counts()
			c.sendFor(t, p, 1, 20*time.Second, producer.Message{})
			if n := c.counts(); n["a"]-n["b"] > 4 || n["b"]-n["a"] > 4 {
				t.Errorf("brokers that take %d and %d ms got %v, want as many, but for a turn's", both[0], both[1], n)
			}
		}
	})
}

// A broker that stops answering holds some callers, and not all: the others see that answers don't come.
func TestBrokerThatHangsHoldsSomeCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 32
		c := pacedCluster(t, "a", "b")
		p := c.producer("", producer.Config{})
		c.sendFor(t, p, callers, time.Second, producer.Message{})
		c.counts()
		c.set("b", 2*time.Second) // less than a request's time-out
		c.sendFor(t, p, callers, time.Second, producer.Message{})
		if n := c.counts(); n["b"] > callers*3/4 || n["a"] < 8*120 {
			t.Errorf("of %d callers %d got stuck on the broker that hangs; the other got %d messages", callers, n["b"], n["a"])
		}
	})
}

// What may go to one queue only goes there, however slow it is; and a broker that is alone has nothing to be compared with.
func TestSlowBrokersKeepTheirOwnMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pacedCluster(t, "a", "b")
		p := c.producer("", producer.Config{})
		c.set("b", 300*time.Millisecond)
		c.sendFor(t, p, 2, 5*time.Second, producer.Message{})
		c.counts()
		for range 5 {
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x"), ShardingKey: "order-42"}); err != nil { // b's
				t.Fatal(err)
			}
		}
		if n := c.counts(); n["b"] != 5 {
			t.Errorf("a key's messages went to %v", n)
		}
		c.setRoute("orders", 4, "b")
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		for time.Sleep(40 * time.Second); ctx.Err() == nil; { // the route is fetched each 30 s
			if _, err := p.Send(ctx, producer.Message{Topic: "orders", Body: []byte("x")}); err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
		}
		if n := c.counts(); n["a"] != 0 || n["b"] < 15 {
			t.Errorf("after a was gone brokers got %v", n)
		}
	})
}
