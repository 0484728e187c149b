package clientgo

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"

	"github.com/rocketkit/rocketkit"
	rocketkitconsumer "github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/engine"
)

// startWithin is how long Start waits for the group's queues.
const startWithin = 10 * time.Second

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// NewPushConsumer makes a rocketmq.PushConsumer that works on rocketkit, from client-go's own options. One that can't be
// carried over gives an error that names it and wraps [rocketkit.ErrConfig]; docs/migrating.md lists them all. It
// sends nothing. A Client holds one member of a group, so that a second PushConsumer of the group needs another Client.
//
// All methods are safe for concurrent use.
func NewPushConsumer(client *rocketkit.Client, options ...consumer.Option) (rocketmq.PushConsumer, error) {
	settings, err := readConsumer(options)
	if err != nil {
		return nil, err
	}
	if client, err = tenantOf(client, settings.namespace, "consumer.WithNamespace"); err != nil {
		return nil, err
	}
	if _, err := client.Cluster().Names.Group(settings.group); err != nil {
		return nil, configError("consumer.WithGroupName: %v", err)
	}
	p := &pushConsumer{client: client, settings: settings, topics: map[string]rocketkitconsumer.Topic{}}
	if settings.broadcast {
		if p.positions, err = newPositions(client, settings.group); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// pushConsumer is a PushConsumer. A rocketkit Consumer is made once it starts, for all topics that it has by then.
type pushConsumer struct {
	client    *rocketkit.Client
	settings  consumerSettings
	positions *positions // of a broadcasting consumer; nil otherwise

	mu        sync.Mutex
	topics    map[string]rocketkitconsumer.Topic
	consumer  *rocketkitconsumer.Consumer // nil before Start
	suspended bool
	shut      bool
	stop      context.CancelFunc
	stopped   chan struct{} // closed when Run has returned
	failure   error         // what it returned; readable then
}

// Subscribe adds a topic. Once the consumer was started it is refused: a member's topics are those it started with.
func (p *pushConsumer) Subscribe(topic string, selector consumer.MessageSelector, handler Handler) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consumer != nil || p.shut {
		return fmt.Errorf("clientgo: group %s: subscribe to %s: the consumer was started: subscribe before Start: %w",
			p.settings.group, topic, clienterrors.ErrStartTopic)
	}
	if handler == nil {
		return configError("group %s: subscribe to %s: the handler is nil", p.settings.group, topic)
	}
	if _, err := p.client.Cluster().Names.Resource(topic); err != nil {
		return configError("group %s: subscribe: %v", p.settings.group, err)
	}
	t := rocketkitconsumer.Topic{Workers: p.settings.workers, Timeout: p.settings.timeout}
	if err := selectBy(&t, selector); err != nil {
		return configError("group %s: subscribe to %s: %v", p.settings.group, topic, err)
	}
	r := &runner{settings: p.settings, topic: topic, handler: handler, log: p.client.Cluster().Log().With("group", p.settings.group)}
	switch {
	case p.settings.batch > 1:
		t.Batch = rocketkitconsumer.Batching{Handler: r.handleBatch, Size: p.settings.batch}
	case p.settings.orderly:
		t.Order = rocketkitconsumer.OrderQueue
		fallthrough
	default:
		t.Handler = r.handle
	}
	p.topics[topic] = t
	return nil
}

// selectBy translates a selector.
func selectBy(t *rocketkitconsumer.Topic, selector consumer.MessageSelector) error {
	switch selector.Type {
	case consumer.SQL92:
		t.SQL = selector.Expression
	case "", consumer.TAG:
		if selector.Expression == "" || selector.Expression == "*" {
			return nil
		}
		for tag := range strings.SplitSeq(selector.Expression, "||") {
			if tag = strings.TrimSpace(tag); tag != "" {
				t.Tags = append(t.Tags, tag)
			}
		}
	default:
		return fmt.Errorf("the selector's Type is %q, neither TAG nor SQL92", selector.Type)
	}
	return nil
}

// Unsubscribe takes a topic back that was subscribed to, before Start.
func (p *pushConsumer) Unsubscribe(topic string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consumer != nil || p.shut {
		return fmt.Errorf("clientgo: group %s: unsubscribe from %s: the consumer was started, and its topics are those it started with: %w",
			p.settings.group, topic, clienterrors.ErrStartTopic)
	}
	delete(p.topics, topic)
	return nil
}

// Start joins the group, and returns once the queues are shared out: at most 10 s later, with an error when there is none
// of the topics, or brokers don't answer. After an error nothing is left running. Further calls do nothing.
func (p *pushConsumer) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.shut:
		return fmt.Errorf("clientgo: group %s: start: it was shut down: %w", p.settings.group, rocketkit.ErrClosed)
	case p.consumer != nil:
		return nil
	}
	if p.positions != nil {
		if err := p.positions.read(); err != nil { // again: who had the file until now may have stopped since
			return err
		}
	}
	c, err := rocketkitconsumer.New(p.client, p.config())
	if err != nil {
		return fmt.Errorf("clientgo: %w", err)
	}
	if p.suspended {
		c.Pause()
	}
	ctx, stop := context.WithCancel(context.Background())
	p.consumer, p.stop, p.stopped = c, stop, make(chan struct{})
	go p.run(ctx, c)
	timer := time.NewTimer(startWithin)
	defer timer.Stop()
	select {
	case <-c.Ready():
		return nil
	case <-p.stopped:
		err = p.failure
	case <-timer.C:
		err = fmt.Errorf("not started within %v, waiting for %s", startWithin, orDefault(c.Stats().WaitingFor, "brokers"))
	}
	stop()
	<-p.stopped
	p.shut = true
	return fmt.Errorf("clientgo: group %s: start: %w", p.settings.group, err)
}

// config is the Config of the rocketkit Consumer.
func (p *pushConsumer) config() rocketkitconsumer.Config {
	cfg := rocketkitconsumer.Config{
		Group: p.settings.group, Topics: maps.Clone(p.topics), Start: p.settings.start, Retries: p.settings.retries,
	}
	if p.positions == nil {
		return cfg
	}
	cfg.Offsets = p.positions
	return cfg.Adjusted(func(e *engine.Config) { e.Broadcast = true })
}

func (p *pushConsumer) run(ctx context.Context, c *rocketkitconsumer.Consumer) {
	defer close(p.stopped)
	p.failure = c.Run(ctx)
	if p.failure != nil && ctx.Err() == nil {
		p.client.Cluster().Log().Error("consumer ended", "group", p.settings.group, "error", p.failure)
	}
	if p.positions != nil {
		if err := p.positions.close(); err != nil && p.failure == nil {
			p.failure = err
		}
	}
}

// Shutdown stops receiving, waits up to 30 s for handlers that run, commits what they have finished, and leaves the
// group. Further calls return the same. A handler must not wait for it.
func (p *pushConsumer) Shutdown() error {
	p.mu.Lock()
	p.shut = true
	stop, stopped := p.stop, p.stopped
	p.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	<-stopped
	if p.failure != nil {
		return fmt.Errorf("clientgo: group %s: %w", p.settings.group, p.failure)
	}
	return nil
}

// Suspend has nothing more received until Resume, as [rocketkitconsumer.Consumer.Pause] says.
func (p *pushConsumer) Suspend() { p.suspend(true) }

// Resume undoes Suspend.
func (p *pushConsumer) Resume() { p.suspend(false) }

func (p *pushConsumer) suspend(suspended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspended = suspended
	switch {
	case p.consumer == nil:
	case suspended:
		p.consumer.Pause()
	default:
		p.consumer.Resume()
	}
}

// GetOffsetDiffMap tells for each topic, the group's retry topic among them, how many messages of the queues that this
// consumer owns are stored and not committed, as of the last pulls. Queues of which that isn't known yet aren't counted.
func (p *pushConsumer) GetOffsetDiffMap() map[string]int64 {
	p.mu.Lock()
	c := p.consumer
	p.mu.Unlock()
	diff := map[string]int64{}
	if c == nil {
		return diff
	}
	for name, topic := range c.Stats().Topics {
		for _, q := range topic.Queues {
			if q.Committed >= 0 && !q.LastPull.IsZero() && q.Max >= q.Committed {
				diff[name] += q.Max - q.Committed
			}
		}
	}
	return diff
}
