package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// Engine is one member of one group. Make it with New, run it once.
type Engine struct {
	cfg    Config
	view   *cluster.View
	log    *slog.Logger
	group  string            // physical
	topics map[string]*topic // by physical name, the group's retry topic among them
	retry  *topic
	member cluster.Member
	bytes  allowance

	started   time.Time
	ready     chan struct{}
	again     chan struct{} // a rebalance is wanted
	settler   settler
	committer committer

	mu      sync.Mutex
	queues  map[protocol.Queue]*queue // owned
	going   map[protocol.Queue]*queue // lost, not yet let go
	state   State
	waits   string         // what the state waits for
	letting sync.WaitGroup // lost queues being let go

	handlers       context.Context //nolint:containedctx // of the handlers that run; ends when the drain gives up on them
	cancelHandlers context.CancelFunc
}

// New prepares a member; it sends nothing. cfg has been validated, but for the names, which are checked here.
func New(view *cluster.View, cfg Config) (*Engine, error) {
	e := &Engine{
		cfg:       cfg,
		view:      view,
		log:       view.Log().With("group", cfg.Group),
		topics:    map[string]*topic{},
		queues:    map[protocol.Queue]*queue{},
		going:     map[protocol.Queue]*queue{},
		bytes:     allowance{max: consumerBytes},
		ready:     make(chan struct{}),
		again:     make(chan struct{}, 1),
		committer: committer{wanted: make(chan struct{}, 1)},
	}
	if view.Names.Tenant() != "" {
		e.log = e.log.With("tenant", view.Names.Tenant())
	}
	var err error
	if e.group, err = view.Names.Group(cfg.Group); err != nil {
		return nil, err
	}
	for name, t := range cfg.Topics {
		physical, err := view.Names.Resource(name)
		if err != nil {
			return nil, err
		}
		if e.topics[physical], err = newTopic(e, name, physical, t); err != nil {
			return nil, err
		}
	}
	retry, err := view.Names.Retry(cfg.Group)
	if err != nil {
		return nil, err
	}
	retryName, _ := view.Names.LogicalTopic(retry)
	if e.retry, err = newTopic(e, retryName, retry, Topic{}); err != nil {
		return nil, err
	}
	e.topics[retry] = e.retry
	e.member = cluster.Member{Group: e.group, Consumer: e.consumerData(), Handle: e.serve}
	return e, nil
}

// Ready is closed once the member has joined its group and shared out the queues for the first time.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Run consumes until ctx ends, then drains: no pull and no handler starts any more, running handlers may finish within
// Config.Drain, what they finished is committed, and the member leaves the group. It returns nil after a drain that
// settled all it had begun.
func (e *Engine) Run(ctx context.Context) error {
	e.started = time.Now()
	e.handlers, e.cancelHandlers = context.WithCancel(context.WithoutCancel(ctx))
	defer e.cancelHandlers()
	defer e.setState(Stopped, "")

	if err := e.awaitRoutes(ctx); err != nil {
		return stopped(ctx, err)
	}
	stopWatching := e.view.Routes().Watch(e.routeChanged)
	defer stopWatching()
	if err := e.view.Join(ctx, e.member); err != nil {
		return stopped(ctx, err)
	}
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() { e.settler.run(background, e) })
	done.Go(func() { e.committer.run(background, e) })

	err := e.seed(ctx)
	if err == nil {
		err = e.rebalanceUntil(ctx)
	}
	unfinished := e.drain()
	stopBackground()
	done.Wait()
	return errors.Join(stopped(ctx, err), e.leave(ctx), unfinished)
}

// stopped makes nothing of an error that only says that Run was told to stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}

// awaitRoutes waits until name servers give a route for every topic, for as long as ctx allows when none of them
// answers. A topic that they say doesn't exist is an error at once: waiting would hide a wrong name.
func (e *Engine) awaitRoutes(ctx context.Context) error {
	for _, t := range e.topics {
		if t == e.retry {
			continue // made by the first heartbeat
		}
		for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
			_, err := e.view.Routes().Get(ctx, t.physical)
			if err == nil {
				break
			}
			if errors.Is(err, route.ErrNoRoute) {
				return fmt.Errorf("topic %s: %w", t.name, err)
			}
			if e.setState(Starting, "name servers: "+err.Error()) {
				e.log.Warn("waiting for a name server", "topic", t.name, "error", err)
			}
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		}
	}
	e.setState(Starting, "")
	return nil
}

// leave commits what the drain finished and unregisters.
func (e *Engine) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	e.commit(ctx, e.allQueues())
	e.mu.Lock()
	clear(e.queues)
	e.mu.Unlock()
	if err := e.view.Leave(ctx, e.member); err != nil {
		e.log.Warn("not unregistered from every broker; the group's other members wait up to 120 s for its queues", "error", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
