package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

const (
	topic = "orders"
	group = "billing"
)

// tenant is one run of the service, configured by its environment alone.
type tenant struct {
	name   string
	lookup func(string) (string, bool)
	orders int

	sent, handled, retried, letters, foreign atomic.Int64

	mu   sync.Mutex
	done map[string]bool // bodies that need no further delivery
}

func newTenant(orders int, environment map[string]string) *tenant {
	return &tenant{
		name:   environment["ROCKETKIT_TENANT"],
		orders: orders,
		done:   map[string]bool{},
		lookup: func(name string) (string, bool) {
			if value, ok := environment[name]; ok {
				return value, true
			}
			return os.LookupEnv(name)
		},
	}
}

// run creates the topic, sends and receives until every order is settled, and deletes what it created.
func (t *tenant) run(ctx context.Context) error {
	cfg, err := rocketkit.FromEnv(t.lookup)
	if err != nil {
		return err
	}
	client, err := rocketkit.Open(cfg)
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx))
	a := admin.New(client)
	if err := a.CreateTopic(ctx, admin.TopicConfig{Name: topic}); err != nil {
		return err
	}
	defer t.cleanUp(context.WithoutCancel(ctx), a)

	c, err := consumer.New(client, consumer.Config{
		Group:  group,
		Start:  consumer.Earliest(),
		Topics: map[string]consumer.Topic{topic: {Handler: t.onOrder, Workers: 16}},
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var both errgroup.Group
	both.Go(func() error { defer stop(); return c.Run(ctx) })
	both.Go(func() error {
		defer stop()
		if err := t.send(ctx, client); err != nil {
			return err
		}
		return t.awaitSettled(ctx)
	})
	return both.Wait()
}

func (t *tenant) send(ctx context.Context, client *rocketkit.Client) error {
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		return err
	}
	defer p.Close(context.WithoutCancel(ctx))
	senders, ctx := errgroup.WithContext(ctx)
	senders.SetLimit(8)
	for i := range t.orders {
		senders.Go(func() error {
			_, err := p.Send(ctx, producer.Message{Topic: topic, Body: fmt.Appendf(nil, "%s/%d", t.name, i)})
			if err == nil {
				t.sent.Add(1)
			}
			return err
		})
	}
	return senders.Wait()
}

// onOrder is the service's handler: some orders fail once, a few can never be handled.
func (t *tenant) onOrder(_ context.Context, m *rocketkit.Message) error {
	owner, number, _ := strings.Cut(string(m.Body()), "/")
	switch {
	case owner != t.name:
		t.foreign.Add(1)
		return nil
	case strings.HasSuffix(number, "99"):
		t.settled(m)
		t.letters.Add(1)
		return consumer.DeadLetter(errors.New("no such customer"))
	case strings.HasSuffix(number, "7") && m.Attempt() == 1:
		t.retried.Add(1)
		return consumer.RetryIn(time.Second, errors.New("the ledger is busy"))
	}
	t.settled(m)
	t.handled.Add(1)
	return nil
}

func (t *tenant) settled(m *rocketkit.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[string(m.Body())] = true
}

func (t *tenant) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.orders - len(t.done)
}

func (t *tenant) awaitSettled(ctx context.Context) error {
	for t.open() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d of %d orders are not settled: %w", t.name, t.open(), t.orders, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// check tells what the table should have shown and didn't.
func (t *tenant) check() error {
	sent, ended := t.sent.Load(), t.handled.Load()+t.letters.Load()
	if sent != int64(t.orders) || ended != sent || t.foreign.Load() > 0 {
		return fmt.Errorf("%s: sent %d, handled or dead-lettered %d, foreign %d", t.name, sent, ended, t.foreign.Load())
	}
	return nil
}

func (t *tenant) cleanUp(ctx context.Context, a *admin.Admin) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := errors.Join(a.DeleteTopic(ctx, topic), a.DeleteGroup(ctx, group, admin.Retry, admin.DeadLetters))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: not all cleaned up: %v\n", t.name, err)
	}
}
