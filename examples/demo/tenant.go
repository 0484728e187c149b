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
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/producer"
)

const (
	topic   = "orders"
	group   = "billing"
	workers = 16 // that the program sets
)

// tenant is one run of the service, configured by its environment alone.
type tenant struct {
	name   string
	lookup func(string) (string, bool)
	orders int
	more   int // workers that an operator gives it meanwhile; 0: none does

	workers int           // it had in the end
	effect  time.Duration // from writing more to having them

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
		Topics: map[string]consumer.Topic{topic: {Handler: t.onOrder, Workers: workers}},
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
		if err := t.resize(ctx, a, c); err != nil {
			return err
		}
		return t.awaitSettled(ctx)
	})
	defer func() { t.workers = c.Stats().Topics[topic].Workers }()
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

// resize does what an operator does with "rocketkit pool set -t orders --workers 48", and waits until the pool has them.
func (t *tenant) resize(ctx context.Context, a *admin.Admin, c *consumer.Consumer) error {
	if t.more == 0 {
		return nil
	}
	select {
	case <-c.Ready():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	began := time.Now()
	draft := admin.SettingsDraft{Spec: fmt.Appendf(nil, `{"topics":{%q:{"workers":%d}}}`, topic, t.more), By: "the demo"}
	if written, err := a.Settings(group).Write(ctx, draft, nil); written.Document.Rev == 0 {
		return err // else a name server may have missed it, and it counts all the same
	}
	for c.Stats().Topics[topic].Workers != t.more {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not %d workers: %s: %w", t.name, t.more, c.Stats().Settings.Error, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.effect = time.Since(began)
	return nil
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
	id, settings := dynconf.ID{Tenant: t.name, Group: group}, a.KV(dynconf.Namespace)
	err := errors.Join(a.DeleteTopic(ctx, topic), a.DeleteGroup(ctx, group, admin.Retry, admin.DeadLetters),
		settings.Delete(ctx, id.Key()), settings.Delete(ctx, id.PreviousKey()))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: not all cleaned up: %v\n", t.name, err)
	}
}
