package route

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// ErrNoRoute is what a topic that no name server knows gives. Errors of this package don't name the topic: the
// caller does, by its logical name.
var ErrNoRoute = errors.New("no name server knows this topic: create it first, or check its name and tenant")

// errUnreported is worth waiting for.
var errUnreported = errors.New("the name servers know no such topic yet: they were started a moment ago, and brokers report to them within 30 s")

const (
	refreshEvery = 30 * time.Second // the Java client's pollNameServerInterval
	reportWithin = 35 * time.Second // by when every broker has reported to a name server that came back
	forgetAfter  = 10 * time.Minute // a topic nobody asked for in this long is no longer refreshed
)

// Servers asks the name servers one question, whichever of them answers.
type Servers interface {
	// Ask returns the first answer that accept accepts. Failing that it returns another, TOPIC_NOT_EXIST only if every
	// server that answered said so; an error means that none answered.
	Ask(ctx context.Context, req *frame.Frame, accept func(*frame.Frame) bool) (*frame.Frame, error)
}

// Table holds the routes of the topics in use. Safe for concurrent use.
type Table struct {
	servers Servers
	log     *slog.Logger

	mu       sync.Mutex
	away     time.Time // when no name server answered last
	topics   map[string]*entry
	watchers map[int]func(topic string)
	nextID   int
}

type entry struct {
	route *Route        // last good one, nil before the first
	used  time.Time     // last Get
	fetch chan struct{} // closed when the fetch under way ends; nil when none is
	err   error         // how the last fetch ended

	gaveUp bool      // it ended because its caller's context did
	asked  time.Time // when route was confirmed last
}

// NewTable makes an empty table that asks servers. It dials nothing and starts nothing.
func NewTable(servers Servers, log *slog.Logger) *Table {
	return &Table{servers: servers, log: log, topics: map[string]*entry{}, watchers: map[int]func(string){}}
}

// Get returns the topic's route, from memory when it is there.
func (t *Table) Get(ctx context.Context, topic string) (*Route, error) {
	t.mu.Lock()
	if e := t.topics[topic]; e != nil && e.route != nil {
		e.used = time.Now()
		r := e.route
		t.mu.Unlock()
		return r, nil
	}
	t.mu.Unlock()
	return t.Refresh(ctx, topic)
}

// Refresh asks the name servers for the topic's route now. Callers that arrive while one is asking share its answer.
// When the asking fails and a route was known before, that one is returned with the error.
func (t *Table) Refresh(ctx context.Context, topic string) (*Route, error) {
	t.use(topic)
	return t.refresh(ctx, topic)
}

// use keeps the topic from being forgotten.
func (t *Table) use(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.topics[topic] == nil {
		t.topics[topic] = &entry{}
	}
	t.topics[topic].used = time.Now()
}

func (t *Table) refresh(ctx context.Context, topic string) (*Route, error) {
	for {
		t.mu.Lock()
		e := t.topics[topic]
		if e == nil {
			e = &entry{}
			t.topics[topic] = e
		}
		if e.fetch == nil {
			done := make(chan struct{})
			e.fetch = done
			t.mu.Unlock()
			return t.fetch(ctx, topic, e, done)
		}
		wait := e.fetch
		t.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-wait:
		}
		t.mu.Lock()
		r, err, gaveUp := e.route, e.err, e.gaveUp
		t.mu.Unlock()
		if !gaveUp {
			return r, err
		}
	}
}

func (t *Table) fetch(ctx context.Context, topic string, e *entry, done chan struct{}) (*Route, error) {
	fresh, err := t.ask(ctx, topic)
	t.mu.Lock()
	changed := err == nil && (e.route == nil || !e.route.equal(fresh))
	if changed {
		e.route = fresh
	}
	if e.gaveUp = ctx.Err() != nil; err == nil {
		e.asked = time.Now()
	}
	if err != nil && e.route == nil {
		delete(t.topics, topic) // nothing worth keeping; the next Get asks again
	}
	r := e.route
	e.err, e.fetch = err, nil
	close(done)
	watchers := make([]func(string), 0, len(t.watchers))
	if changed {
		for _, w := range t.watchers {
			watchers = append(watchers, w)
		}
	}
	t.mu.Unlock()
	for _, w := range watchers {
		w(topic)
	}
	return r, err
}

func (t *Table) ask(ctx context.Context, topic string) (*Route, error) {
	req := protocol.GetRoute{Topic: topic}.Frame()
	// One name server that doesn't know the topic proves nothing: it may have started a second ago. Ask them all.
	answer, err := t.servers.Ask(ctx, req, func(f *frame.Frame) bool { return f.Code == protocol.CodeSuccess })
	if err != nil {
		if ctx.Err() == nil {
			t.mu.Lock()
			t.away = time.Now()
			t.mu.Unlock()
		}
		return nil, err
	}
	if answer.Code == protocol.CodeTopicNotExist {
		return nil, t.missing(ctx)
	}
	data, err := protocol.ParseTopicRoute(answer)
	if err != nil {
		return nil, err
	}
	return newRoute(topic, data), nil
}

// Has tells whether the topic's route is in memory, for those who changed the topic and want it fetched again if so.
func (t *Table) Has(topic string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.topics[topic]
	return e != nil && e.route != nil
}

// Forget drops the route of a topic that was deleted: the next Get asks the name servers again.
func (t *Table) Forget(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.topics[topic]
	switch {
	case e == nil:
	case e.fetch == nil:
		delete(t.topics, topic)
	default:
		e.route = nil // the fetch under way keeps the entry or drops it
	}
}

// missing tells a topic that doesn't exist from one that the name servers can't know yet: one that was just started knows
// nothing until the brokers report to it, which they do every 30 s.
func (t *Table) missing(ctx context.Context) error {
	t.mu.Lock()
	young := !t.away.IsZero() && time.Since(t.away) < reportWithin
	t.mu.Unlock()
	if young {
		return errUnreported
	}
	answer, err := t.servers.Ask(ctx, protocol.GetCluster{}.Frame(), func(*frame.Frame) bool { return true })
	if err != nil {
		return ErrNoRoute
	}
	if info, err := protocol.ParseClusterInfo(answer); err == nil && len(info.Brokers) == 0 {
		return errUnreported
	}
	return ErrNoRoute
}

// Watch calls changed with the topic's name each time its route becomes another one, until stop is called.
// changed must not block and may be called from any goroutine.
func (t *Table) Watch(changed func(topic string)) (stop func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.nextID
	t.nextID++
	t.watchers[id] = changed
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.watchers, id)
	}
}

// Brokers returns the addresses of every broker in any known route: name, id, address; id 0 is the master.
func (t *Table) Brokers() map[string]map[int64]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]map[int64]string{}
	newest := map[string]time.Time{} // routes may disagree about a broker that has moved
	for _, e := range t.topics {
		if e.route == nil {
			continue
		}
		for name, nodes := range e.route.brokers {
			if e.asked.After(newest[name]) {
				all[name], newest[name] = nodes, e.asked
			}
		}
	}
	return all
}

// Naming lists the topics whose routes name a broker, sorted.
func (t *Table) Naming(broker string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var topics []string
	for topic, e := range t.topics {
		if e.route != nil && e.route.brokers[broker] != nil {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	return topics
}

// Known returns the topic's route if it is in memory, else nil, and doesn't count as a use of it.
func (t *Table) Known(topic string) *Route {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.topics[topic]; e != nil {
		return e.route
	}
	return nil
}

// Again fetches the topic's route anew, as Refresh does, but doesn't count as a use of it: a topic that nobody asks for
// any more is forgotten all the same.
func (t *Table) Again(ctx context.Context, topic string) error {
	if t.Known(topic) == nil {
		return nil
	}
	_, err := t.refresh(ctx, topic)
	return err
}

// Run refreshes every topic in use each 30 s until ctx ends.
func (t *Table) Run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, topic := range t.inUse() {
			if _, err := t.refresh(ctx, topic); err != nil && ctx.Err() == nil {
				name, logical := tenant.Split(topic)
				t.log.Warn("route not refreshed, keeping the last one", "topic", logical, "tenant", name, "error", err)
			}
		}
	}
}

// inUse lists the topics to refresh and forgets those nobody asks for any more.
func (t *Table) inUse() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	topics := make([]string, 0, len(t.topics))
	for topic, e := range t.topics {
		if time.Since(e.used) > forgetAfter && e.fetch == nil && e.err == nil { // or it could not be had again
			delete(t.topics, topic)
			continue
		}
		topics = append(topics, topic)
	}
	return topics
}
