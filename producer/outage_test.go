package producer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// While a broker is away, its Client asks the name servers who is there, once for all: a send of each of 50 topics waits
// for it and none asks for its route. All go on within five seconds of its return.
func TestSendsThatWaitForABrokerLeaveTheRoutesToTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const topics = 50
		cluster := mqtest.New(t, mqtest.Config{})
		name := func(i int) string { return fmt.Sprint("orders-", i) }
		for i := range topics {
			if err := cluster.CreateTopic(name(i), 1); err != nil {
				t.Fatal(err)
			}
		}
		client, err := rocketkit.Open(cluster.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		p, err := producer.New(client, producer.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(context.Background())
		sendAll := func() (failed int) {
			var all sync.WaitGroup
			var mu sync.Mutex
			for i := range topics {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					if _, err := p.Send(ctx, producer.Message{Topic: name(i), Body: []byte("x")}); err != nil {
						mu.Lock()
						defer mu.Unlock()
						failed++
					}
				})
			}
			all.Wait()
			return failed
		}
		if failed := sendAll(); failed > 0 {
			t.Fatalf("%d sends failed at first", failed)
		}
		asked := cluster.Inject(mqtest.Fault{Request: mqtest.RequestRoute})
		if err := cluster.Stop("broker-a"); err != nil {
			t.Fatal(err)
		}
		var back time.Time
		go func() {
			time.Sleep(25 * time.Second)
			back = time.Now()
			if err := cluster.Restart("broker-a"); err != nil {
				t.Error(err)
			}
		}()
		if failed := sendAll(); failed > 0 {
			t.Errorf("%d sends failed", failed)
		}
		if took := time.Since(back); took > 5*time.Second {
			t.Errorf("sends went on %v after the broker's return", took)
		}
		if n := asked.Count(); n > 4*topics { // as it vanishes and returns, and each 30 s
			t.Errorf("routes of %d topics were asked for %d times", topics, n)
		}
	})
}

// A route that one of the waiting sends has fetched lets all of them go on at once.
func TestSendsThatWaitGoOnTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 0, "a")
		p := f.producer("", producer.Config{})
		ended := make(chan time.Time)
		for range 50 {
			go func() {
				if _, err := p.Send(t.Context(), order); err != nil {
					t.Error(err)
				}
				ended <- time.Now()
			}()
		}
		time.Sleep(10 * time.Second)
		f.setRoute("orders", 1, "a")
		first := <-ended
		for range 49 {
			if at := <-ended; !at.Equal(first) {
				t.Errorf("a send went on %v after the first", at.Sub(first))
			}
		}
	})
}
