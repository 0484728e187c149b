package producer_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/producer"
)

// Once the name servers have dropped a broker, a key goes to another queue, however its callers overlap, and what another
// key's caller still tries there holds up none but its own.
func TestLingerKeyOfABrokerThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 2, "a", "b")
		p := f.producer("", lingering)
		onB := keysOn(t, p, "b", 0, 2)
		f.stop("b:10911")
		f.setRoute("orders", 2, "a")
		patient, cancel := context.WithCancel(t.Context())
		stays := sending(patient, p, message("stays", onB[1])) // with that broker, come what may
		var callers sync.WaitGroup
		var stored atomic.Int32
		for i := range 4 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * 250 * time.Millisecond)
				for range 40 {
					if r, err := p.Send(within(t, time.Second), message("x 1", onB[0])); err == nil {
						if stored.Add(1); r.Queue.Broker != "a" {
							t.Errorf("stored in %v", r.Queue)
						}
						time.Sleep(time.Second)
					}
				}
			})
		}
		callers.Wait()
		if n := stored.Load(); n < 20 {
			t.Errorf("%d of 160 messages are stored", n)
		}
		behind := sending(within(t, time.Second), p, message("behind", onB[1]))
		if r := <-behind[0]; r.err == nil {
			t.Error("it has overtaken one of its key")
		}
		cancel()
		<-stays[0]
		if _, err := p.Send(within(t, time.Second), message("later", onB[1])); err != nil {
			t.Error(err)
		}
		if messages, keys, _ := p.Remaining(); messages+keys != 0 {
			t.Errorf("%d messages, %d keys are left", messages, keys)
		}
	})
}

// keysOn gives keys whose messages go to a queue.
func keysOn(t *testing.T, p *producer.Producer, broker string, queue, n int) (keys []string) {
	t.Helper()
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprint("key-", i)
		r, err := p.Send(t.Context(), message("x 0", key))
		if err != nil {
			t.Fatal(err)
		}
		if r.Queue.Broker == broker && r.Queue.ID == queue {
			keys = append(keys, key)
		}
	}
	return keys
}

// The first of a topic's keyed messages asks for the route. When its broker is away the others don't wait for it.
func TestLingerFirstKeyOfABrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 2, "a", "b")
		other := cluster(t, "orders", 2, "a", "b").producer("", lingering) // f's route isn't known yet
		onA, onB := keysOn(t, other, "a", 0, 1), keysOn(t, other, "b", 0, 1)
		f.stop("b:10911")
		p := f.producer("", lingering)
		patient, cancel := context.WithCancel(t.Context())
		var c calls
		p.SendAsync(patient, message("stays 0", onB[0]), c.done("stays 0")) // no route is known when the others line up
		p.SendAsync(patient, message("stays 1", onB[0]), c.done("stays 1"))
		p.SendAsync(within(t, time.Second), message("x 1", onA[0]), c.done("x 1"))
		time.Sleep(2 * time.Second)
		f.start("b:10911")
		time.Sleep(2 * time.Second)
		for _, body := range []string{"stays 0", "stays 1", "x 1"} {
			if r := c.one(t, body); r.err != nil {
				t.Error(r.err)
			}
		}
		cancel()
		bodies := f.storedBodies()
		if last := bodies[len(bodies)-2:]; last[0] != "stays 0" || last[1] != "stays 1" {
			t.Errorf("stored %v", bodies)
		}
	})
}
