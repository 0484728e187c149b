package dynconf

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

const (
	pollEvery  = 800 * time.Millisecond
	pollSpread = pollEvery / 5          // either way, so that clients don't ask in step
	pollWait   = 300 * time.Millisecond // for one name server, before the next is asked as well
	crossEvery = time.Minute            // between questions to all of them
	restFor    = 10 * time.Second       // of one that has let a request run out of time: else each second a connection is given up
	atOnce     = 32                     // documents that one name server is asked for at the same time
)

// poller reads the documents of all groups of a Client, while there are any that somebody watches.
type poller struct {
	cluster *cluster.Cluster

	mu      sync.Mutex // never held while anything waits
	closed  bool
	watched map[ID]*watched
	servers []string // each once, shuffled, so that clients don't all begin with the same
	resting map[string]time.Time
	rounds  *rounds // nil while nothing is watched
}

// rounds are the poller's work from a first watcher to the last.
type rounds struct {
	stop context.CancelFunc
	done chan struct{}
	news chan struct{} // of capacity 1: there is a document that nobody was asked for

	// Of the goroutine of run alone.
	listed  []string // name servers as the Cluster listed them last
	next    int      // whose turn it is
	crossed time.Time
	asking  sync.WaitGroup
}

func newPoller(c *cluster.Cluster) *poller {
	return &poller{cluster: c, watched: map[ID]*watched{}, resting: map[string]time.Time{}}
}

// Close ends the rounds; whoever watches hears no more.
func (p *poller) Close() {
	p.mu.Lock()
	p.closed = true
	r := p.rounds
	p.rounds = nil
	p.mu.Unlock()
	r.end()
}

// follow is that of [replicated].
func (p *poller) follow(ctx context.Context, id ID, hear func(hearing)) {
	w, me := p.enter(id)
	if w == nil {
		hear(hearing{err: remoting.ErrClosed})
		<-ctx.Done()
		return
	}
	defer p.leave(w, me)
	for {
		select {
		case <-ctx.Done():
			return
		case <-me.told:
		}
		if h, ok := p.latest(w, me); ok && ctx.Err() == nil {
			hear(h)
		}
	}
}

// enter has a document read for one more watcher; nil when the poller is closed.
func (p *poller) enter(id ID) (*watched, *watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil
	}
	me := &watcher{told: make(chan struct{}, 1)}
	w := p.watched[id]
	if w == nil {
		w = newWatched(p.cluster, id)
		p.watched[id] = w
	}
	w.watchers[me] = true
	if w.speaks() {
		me.told <- struct{}{}
	}
	if p.rounds == nil {
		ctx, stop := context.WithCancel(context.Background())
		p.rounds = &rounds{stop: stop, done: make(chan struct{}), news: make(chan struct{}, 1), crossed: time.Now()}
		go p.run(ctx, p.rounds)
	}
	select {
	case p.rounds.news <- struct{}{}:
	default:
	}
	return w, me
}

func (p *poller) leave(w *watched, me *watcher) {
	p.mu.Lock()
	var ended *rounds
	if delete(w.watchers, me); len(w.watchers) == 0 {
		delete(p.watched, w.id)
	}
	if len(p.watched) == 0 {
		ended, p.rounds = p.rounds, nil
	}
	p.mu.Unlock()
	ended.end()
}

func (r *rounds) end() {
	if r != nil {
		r.stop()
		<-r.done
	}
}

func (p *poller) run(ctx context.Context, r *rounds) {
	defer close(r.done)
	defer r.asking.Wait()
	timer := time.NewTimer(pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.news:
			p.ask(ctx, r, false)
		case <-timer.C:
			p.ask(ctx, r, true)
			timer.Reset(pause())
		}
	}
}

// pause is until the next round.
func pause() time.Duration { return pollEvery - pollSpread + rand.N(2*pollSpread) }

// ask asks all name servers for the documents that are new, and the one whose turn it is for those that aren't, when that
// is due; once a minute it asks all for all.
func (p *poller) ask(ctx context.Context, r *rounds, due bool) {
	servers, err := p.nameServers(ctx, r)
	if ctx.Err() != nil {
		return
	}
	fresh, known := p.documents()
	if err != nil {
		p.unreadable(append(fresh, known...), err)
		return
	}
	if due && time.Since(r.crossed) >= crossEvery {
		r.crossed = time.Now()
		p.cross(ctx, r, servers, append(fresh, known...), true)
		return
	}
	if len(fresh) > 0 {
		p.cross(ctx, r, servers, fresh, false)
	}
	if due && len(known) > 0 {
		p.poll(ctx, r, servers, known)
	}
}

// nameServers gives those that the Cluster knows, in this poller's order.
func (p *poller) nameServers(ctx context.Context, r *rounds) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cluster.RequestTimeout())
	defer cancel()
	listed, err := p.cluster.AwaitNameServers(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Equal(listed, r.listed) {
		return p.servers, nil
	}
	servers := slices.Compact(slices.Sorted(slices.Values(listed)))
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	r.listed, p.servers = listed, servers
	clear(p.resting)
	for _, w := range p.watched {
		w.forget(servers)
	}
	return servers, nil
}

// poll asks one name server for documents, and others as long as it takes until one has answered for each that isn't known
// to have missed a write: so one that stays behind delays no change but the first.
func (p *poller) poll(ctx context.Context, r *rounds, servers []string, documents []*watched) {
	p.expect(documents)
	for range servers {
		server := servers[r.next%len(servers)]
		r.next = (r.next + 1) % len(servers)
		b := &batch{done: make(chan struct{})}
		p.send(ctx, r, b, server, documents, false)
		p.await(ctx, b)
		if documents = p.unanswered(documents); len(documents) == 0 || ctx.Err() != nil {
			return
		}
	}
}

// cross asks all name servers for documents, with all also those that rest, which are asked for what is new in any case.
func (p *poller) cross(ctx context.Context, r *rounds, servers []string, documents []*watched, all bool) {
	b := &batch{done: make(chan struct{})}
	for _, server := range servers {
		p.send(ctx, r, b, server, documents, all)
	}
	p.await(ctx, b)
	p.compared(r, documents)
}
