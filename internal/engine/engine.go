package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// Engine is one member of one group. Make it with New, run it once.
type Engine struct {
	cfg         Config
	view        *cluster.View
	log         *slog.Logger
	group       string            // physical
	topics      map[string]*topic // by physical name, the group's retry topic among them
	batched     []*topic          // those handled in batches
	retry       *topic
	deadLetters *topic // the one dead-letter topic it receives; nil when none or several
	member      cluster.Member
	bytes       allowance
	traffic     traffic
	watches     sync.Pool // *watched, used again: what is watched of a message is to allocate nothing
	others      *comparer
	directs     *window // the messages that brokers have had handled directly
	keep        *keeper // nil when offsets are kept on the brokers alone

	setting    sync.Mutex   // held while a topic is set
	retriesNow atomic.Int64 // as Config.Retries

	epoch   time.Time // when it was made
	started time.Time
	ready   chan struct{}
	again   chan struct{} // a rebalance is wanted
	paused  atomic.Bool   // nothing is pulled
	asking  chan struct{} // who holds refused locks is to be asked
	gaveUp  chan struct{} // closed when a drain waits for no handler any more

	handlers       context.Context //nolint:containedctx // of the handlers that run; ends when the drain gives up on them
	cancelHandlers context.CancelFunc
	background     context.Context //nolint:containedctx // of commits and send-backs; ends after the drain
	working        sync.WaitGroup  // those
	letting        sync.WaitGroup  // lost queues being let go

	mu      sync.Mutex
	brokers map[string]*broker
	queues  map[protocol.Queue]*queue // owned
	going   map[protocol.Queue]*queue // lost, not yet let go; the newest of each
	state   State
	waits   string // what the state waits for

	members   map[string]sighting // of the group, as of the last rebalance
	graceEnds time.Time           // when those are to be looked at again; zero when no sooner than usual
}

// New prepares a member; it sends nothing. cfg has been validated, but for the names, which are checked here.
func New(view *cluster.View, cfg Config) (*Engine, error) {
	e := &Engine{
		cfg:     cfg,
		view:    view,
		log:     view.LogOf("group", cfg.Group),
		epoch:   time.Now(),
		topics:  map[string]*topic{},
		bytes:   allowance{max: consumerBytes},
		keep:    newKeeper(cfg.Offsets),
		ready:   make(chan struct{}),
		again:   make(chan struct{}, 1),
		asking:  make(chan struct{}, 1),
		gaveUp:  make(chan struct{}),
		brokers: map[string]*broker{},
		queues:  map[protocol.Queue]*queue{},
		going:   map[protocol.Queue]*queue{},
		others:  newComparer(),
	}
	e.SetRetries(cfg.Retries)
	if err := e.subscribe(); err != nil {
		return nil, err
	}
	e.directs = newWindow(0)
	e.member = cluster.Member{Group: e.group, Consumer: e.consumerData(), Handle: e.serve, Connected: e.connected}
	return e, nil
}

// subscribe makes the topics, those of the configuration and the group's own for retries.
func (e *Engine) subscribe() (err error) {
	if e.group, err = e.view.Names.Group(e.cfg.Group); err != nil {
		return err
	}
	letters := 0
	for name, t := range e.cfg.Topics {
		physical, err := e.view.Names.Resource(name)
		if err != nil {
			return err
		}
		if e.topics[physical], err = newTopic(e, name, physical, t); err != nil {
			return err
		}
		if e.topics[physical].batches != nil {
			e.batched = append(e.batched, e.topics[physical])
		}
		if strings.HasPrefix(physical, deadLetterPrefix) {
			letters++
			e.deadLetters = e.topics[physical]
		}
	}
	if letters > 1 {
		e.deadLetters = nil
	}
	retry, err := e.view.Names.Retry(e.cfg.Group)
	if err != nil {
		return err
	}
	name, _ := e.view.Names.LogicalTopic(retry)
	if e.retry, err = newTopic(e, name, retry, Topic{}); err == nil && !e.cfg.Broadcast {
		e.topics[retry] = e.retry
	}
	return err
}

const deadLetterPrefix = "%DLQ%"

// Ready is closed once the member has joined its group and shared out the queues for the first time.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Run consumes until ctx ends, then drains: no pull and no handler starts any more, running handlers may finish within
// Config.Drain, what they finished is committed, and the member leaves the group. It returns nil after a drain that
// settled and committed all it had begun.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	e.started = time.Now()
	e.mu.Unlock()
	e.handlers, e.cancelHandlers = context.WithCancel(context.WithoutCancel(ctx))
	defer e.cancelHandlers()
	defer e.setState(Stopped, "")
	defer e.traffic.end()

	if err := e.awaitRoutes(ctx); err != nil {
		return stopped(ctx, err)
	}
	if err := e.checkFilters(ctx); err != nil {
		return stopped(ctx, err)
	}
	if err := e.loadKept(ctx); err != nil {
		return stopped(ctx, err)
	}
	stopWatching := e.view.Routes().Watch(e.routeChanged)
	defer stopWatching()
	var stopWork context.CancelFunc
	e.background, stopWork = context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if err := e.view.Join(ctx, e.member); err != nil {
		return stopped(ctx, err)
	}
	e.working.Go(func() { e.askHolders(e.background) })
	e.working.Go(func() { e.compareSubscriptions(e.background) })
	err := e.seed(ctx)
	if err == nil {
		err = e.rebalanceUntil(ctx)
	}
	unfinished := e.drain()
	stopWork()
	e.working.Wait()
	return errors.Join(stopped(ctx, err), unfinished, e.leave(ctx))
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
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, route.ErrNoRoute) || errors.Is(err, rocketkit.ErrClosed) {
				return fmt.Errorf("topic %s: %w", t.name, err)
			}
			e.waitFor("name servers", err)
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		}
	}
	e.setState(Starting, "")
	return nil
}

// waitFor shows, and logs once, what a member that isn't ready waits for.
func (e *Engine) waitFor(whom string, err error) {
	if e.setState(Starting, whom+": "+err.Error()) {
		e.log.Warn("waiting", "for", whom, "error", err)
	}
}

// leave commits what the drain finished, gives the queues' locks back, so that who waits for them may begin, and
// unregisters.
func (e *Engine) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	byBroker := map[*broker][]*queue{}
	for _, q := range e.allQueues() {
		byBroker[q.broker] = append(byBroker[q.broker], q)
	}
	failures := make(chan error, len(byBroker))
	var leaving sync.WaitGroup
	for b, queues := range byBroker {
		leaving.Go(func() {
			if !e.cfg.Broadcast {
				b.locks.assureAll(ctx, e, queues)
				defer b.locks.giveAllBack(ctx, e, queues)
			}
			if err := e.commit(ctx, queues, true); err != nil {
				failures <- fmt.Errorf("what was handled is not all committed, and will be delivered again: %w", err)
			}
		})
	}
	leaving.Wait()
	close(failures)
	e.mu.Lock()
	clear(e.queues)
	e.mu.Unlock()
	if err := e.view.Leave(ctx, e.member); err != nil {
		e.log.Warn("not unregistered from every broker; the group's other members wait up to 120 s for its queues", "error", err)
	}
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	return errors.Join(all...)
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
