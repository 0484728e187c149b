package consumer

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/engine"
	"github.com/rocketkit/rocketkit/internal/telemetry"
	"github.com/rocketkit/rocketkit/internal/trace"
)

// Consumer is one member of one consumer group. Make it with New, run it once. Its methods are safe for concurrent use.
type Consumer struct {
	group  string
	engine *engine.Engine
	trace  *trace.Recorder // nil when off
	ran    atomic.Bool

	live      *live
	follower  *dynconf.Follower // nil when it follows no document
	telemetry *telemetry.Handler
}

// New validates cfg and makes a Consumer; it sends nothing. What is wrong with cfg gives an error that names the field
// and wraps rocketkit.ErrConfig.
func New(client *rocketkit.Client, cfg Config) (*Consumer, error) {
	if client == nil {
		return nil, configError("client", "is nil; make one with rocketkit.Open")
	}
	view := client.Cluster()
	settings, err := cfg.engineConfig(view.Names)
	if err != nil {
		return nil, err
	}
	meter := telemetry.NewHandler(view, cfg.Group)
	if !view.Unwatched {
		settings.Hooks = append(settings.Hooks, meter)
	}
	recorder := trace.New(client, cfg.Group)
	if recorder != nil {
		settings.Hooks = append(settings.Hooks, recorder)
	}
	c := &Consumer{group: cfg.Group, trace: recorder, telemetry: meter, live: newLive(cfg, settings, view.LogOf("group", cfg.Group))}
	settings.Properties = c.properties
	if c.engine, err = engine.New(view, settings); err != nil {
		return nil, fmt.Errorf("consumer: %w: %w", err, rocketkit.ErrConfig)
	}
	c.live.engine = c.engine
	c.follower = newFollower(client, cfg, c.live)
	return c, nil
}

// Run joins the group and consumes until ctx ends. Then it drains: nothing new starts, running handlers may finish
// within Config.Drain, what they finished is committed, and the member leaves the group, so that the others take over its
// queues at once. It returns nil after a drain that settled all it had begun.
//
// The group's settings document, if there is one, is in force before the group is joined; Run waits a second at most for it.
//
// While no name server or no broker answers it waits, logs why, and shows it in Stats. A topic that doesn't exist is an
// error (rocketkit.ErrNoRoute), as is a second Run (rocketkit.ErrClosed).
func (c *Consumer) Run(ctx context.Context) error {
	if c.ran.Swap(true) {
		return fmt.Errorf("consumer: group %s: Run was called before: %w", c.group, rocketkit.ErrClosed)
	}
	defer c.telemetry.Watch(c.shown)()
	defer c.trace.Close(context.WithoutCancel(ctx))
	defer c.follow(ctx)()
	if err := c.engine.Run(ctx); err != nil {
		return fmt.Errorf("consumer: group %s: %w", c.group, err)
	}
	return nil
}

// Ready returns a channel that is closed once Run has joined the group and has its share of the queues: for readiness
// probes and tests. It stays open when Run ends before.
func (c *Consumer) Ready() <-chan struct{} { return c.engine.Ready() }
