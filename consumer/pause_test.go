package consumer_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/engine"
	"github.com/rocketkit/rocketkit/mqtest"
)

// A consumer that is paused receives nothing, whether it was paused before or after it ran, keeps its queues for longer
// than a lock lasts, and goes on where it was.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 4}})
		client := openOn(t, cluster, "red")
		got := &bodies{}
		c, err := consumer.New(client, consumer.Config{
			Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: got.handle}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Pause()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		<-c.Ready()
		sendTo(t, client, "orders", "a", "b")
		time.Sleep(5 * time.Minute)
		if all := got.sorted(); len(all) > 0 {
			t.Errorf("received while paused: %q", all)
		}
		for _, q := range c.Stats().Topics["orders"].Queues {
			if q.HeldBy != "the consumer is paused" {
				t.Errorf("queue %v is held by %q", q.Queue, q.HeldBy)
			}
		}
		c.Resume()
		time.Sleep(time.Second)
		if all := got.sorted(); !slices.Equal(all, []string{"a", "b"}) {
			t.Errorf("received %q", all)
		}
		c.Pause() // while pulls are held by the broker
		sendTo(t, client, "orders", "c", "d")
		time.Sleep(time.Minute)
		if all := got.sorted(); len(all) != 2 {
			t.Errorf("received while paused again: %q", all)
		}
		c.Resume()
		time.Sleep(time.Second)
		if all := got.sorted(); !slices.Equal(all, []string{"a", "b", "c", "d"}) {
			t.Errorf("received %q", all)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// memory keeps positions, in a test's one goroutine at a time.
type memory map[rocketkit.Queue]int64

func (m memory) Load(context.Context, []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	loaded := map[rocketkit.Queue]int64{}
	for q, offset := range m {
		loaded[q] = offset
	}
	return loaded, nil
}

func (m memory) Commit(_ context.Context, positions map[rocketkit.Queue]int64) error {
	for q, offset := range positions {
		m[q] = offset
	}
	return nil
}

// Members of a broadcasting group receive all messages each, from positions of their own, and brokers learn of none.
func TestBroadcast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 4}})
		client := openOn(t, cluster, "red")
		sendTo(t, client, "orders", "a")
		positions := [2]memory{{}, {}}
		for _, want := range [][]string{{"a", "b"}, {"c"}} { // the second time they go on
			var got [2]*bodies
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 2)
			for i := range got {
				got[i] = &bodies{}
				cfg := consumer.Config{
					Group: "flags", Start: consumer.Earliest(), Offsets: positions[i],
					Topics: map[string]consumer.Topic{"orders": {Handler: got[i].handle}},
				}
				c, err := consumer.New(openOn(t, cluster, "red"), cfg.Adjusted(func(e *engine.Config) { e.Broadcast = true }))
				if err != nil {
					t.Fatal(err)
				}
				go func() { ended <- c.Run(ctx) }()
				<-c.Ready()
			}
			sendTo(t, client, "orders", want[len(want)-1])
			time.Sleep(time.Minute)
			for i := range got {
				if all := got[i].sorted(); !slices.Equal(all, want) {
					t.Errorf("member %d received %q, want %q", i, all, want)
				}
			}
			cancel()
			for range got {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		}
	})
}
