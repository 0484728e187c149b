//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
	"github.com/rocketkit/rocketkit/test/peer"
)

// calm is a scenario in which nothing happens.
func calm() scenario {
	return scenario{name: "calm", members: 1, promise: promise{once: true, stall: time.Second}, faults: func(ctx context.Context, r *run) error {
		return r.hold(ctx, 100*time.Millisecond)
	}}
}

// inProcess is a consumer in the test's own process. tell says how often the driver is told of the i-th call.
type inProcess struct {
	*consumer.Consumer
	topic string
	stop  context.CancelFunc
	ended chan error
}

func (c *inProcess) Queues(string) (owned []peer.Queue) {
	for _, q := range c.Stats().Topics[c.topic].Queues {
		owned = append(owned, peer.Queue{Topic: c.topic, Broker: q.Queue.Broker, ID: q.Queue.ID})
	}
	return owned
}

func (c *inProcess) Kill() { _ = c.Stop(context.Background()) }

func (c *inProcess) Stop(context.Context) error {
	c.stop()
	return <-c.ended
}

func (c *inProcess) Signal(os.Signal) error { return nil }

// broken is a library whose handlers do what handle says with the i-th call.
func broken(handle func(i int, tell func())) library {
	return library{name: rocketkitName, start: func(_ context.Context, cfg peer.ConsumerConfig, _ ledger.Order, _ io.Writer) (member, error) {
		client, err := rocketkit.Open(rocketkit.Config{NameServers: cfg.NameServers, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		var calls atomic.Int64
		var mu sync.Mutex
		c, err := consumer.New(client, consumer.Config{Group: cfg.Group, Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
			cfg.Topic: {Workers: cfg.Workers, Handler: func(_ context.Context, m *rocketkit.Message) error {
				began := time.Now()
				handle(int(calls.Add(1)), func() {
					mu.Lock()
					defer mu.Unlock()
					var body []byte
					_, _ = fmt.Sscanf(string(m.Body()), "%s", &body) // what doesn't fit isn't a number either
					cfg.On(peer.Received{
						Message: peer.Message{Body: body}, Broker: m.Queue().Broker, Queue: m.Queue().ID, Offset: m.Offset(),
						Attempt: m.Attempt(), Verdict: peer.OK, Began: began, Ended: time.Now(),
					})
				})
				return nil
			}},
		}})
		if err != nil {
			return nil, err
		}
		ctx, stop := context.WithCancel(context.Background())
		member := &inProcess{Consumer: c, topic: cfg.Topic, stop: stop, ended: make(chan error, 2)}
		go func() {
			err := rocketkit.Run(ctx, c)
			_ = client.Close(context.Background())
			member.ended <- err
			close(member.ended)
		}()
		return member, nil
	}}
}

// The driver catches consumers that are broken on purpose, and no others.
func TestBrokenConsumersAreCaught(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		order  ledger.Order
		handle func(i int, tell func())
		caught func(r row) bool
		passes bool
	}{
		{
			name: "sound", handle: func(_ int, tell func()) { tell() }, passes: true,
			caught: func(r row) bool { return r.Figures.Lost+r.Figures.Duplicates+r.Figures.OutOfOrder == 0 },
		},
		{
			name: "acknowledges without handling", handle: func(i int, tell func()) {
				if i%50 != 0 {
					tell()
				}
			},
			caught: func(r row) bool { return r.Figures.Lost > 5 && r.Figures.Recovery == ledger.Never },
		},
		{
			name: "handles twice", handle: func(i int, tell func()) {
				if tell(); i%50 == 0 {
					tell()
				}
			},
			caught: func(r row) bool { return r.Figures.Duplicates > 5 && r.Figures.Lost == 0 },
		},
		{
			name: "promises order by key and works on a queue in parallel", order: ledger.ByKey, handle: func(i int, tell func()) {
				if i%10 == 0 {
					time.Sleep(100 * time.Millisecond) // two messages of a key are 40 ms apart
				}
				tell()
			},
			caught: func(r row) bool { return r.Figures.OutOfOrder > 5 && r.Figures.Lost == 0 },
		},
		{
			name: "promises order by queue and works on a queue in parallel", order: ledger.ByQueue, handle: func(i int, tell func()) {
				if i%10 == 0 {
					time.Sleep(100 * time.Millisecond)
				}
				tell()
			},
			caught: func(r row) bool { return r.Figures.OutOfOrder > 5 && r.Figures.Lost == 0 },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := calm()
			l := broken(test.handle)
			m := matrix{settings: little(), report: func(text string) { t.Log(text) }}
			m.settings.Deadline = 2 * time.Second // what is lost here never comes
			run := &run{scenario: s, library: l, order: test.order, settings: m.settings, report: m.report, cluster: fake(t)}
			r := m.told(run, run.do(t.Context()))
			if r.Error != "" || !test.caught(r) {
				t.Errorf("%s %+v", r.Error, r.Figures)
			}
			if err := verdict([]row{r}); (err == nil) != test.passes {
				t.Errorf("the driver's verdict: %v", err)
			}
		})
	}
}

// A consumer that rests shows, whether the whole group does or one queue alone.
func TestRestIsCaught(t *testing.T) {
	t.Parallel()
	var rest sync.Once
	var mu sync.RWMutex
	r := try(t, calm(), broken(func(i int, tell func()) {
		if i > 300 {
			rest.Do(func() {
				mu.Lock()
				defer mu.Unlock()
				time.Sleep(1200 * time.Millisecond)
			})
		}
		mu.RLock()
		defer mu.RUnlock()
		tell()
	}), ledger.Unordered)
	if r.Figures.Stall < time.Second || r.Figures.QueueStall < time.Second || !r.Late {
		t.Errorf("%+v, late %t", r.Figures, r.Late)
	}
}
