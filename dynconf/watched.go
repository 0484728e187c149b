package dynconf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/tenant"
)

// watched is a document that is read for its watchers. poller.mu guards what changes.
type watched struct {
	id       ID
	view     *cluster.View // of its tenant, for the names in errors
	request  *frame.Frame
	watchers map[*watcher]bool

	held     map[string]string // what each name server has said last, for as long as it can be reached; "" for no document
	revs     map[string]int64  // of those documents, as they say themselves; 0 for none
	pending  map[string]bool   // name servers that haven't answered yet
	failed   map[string]error  // those that failed since one has answered
	err      error             // of all of them
	answered bool              // in this round, by one that isn't behind another
	asked    bool              // all name servers were, and had their time
	compared int               // how often all were, and some answered

	texts, places []string // held as it is told; nil when it has changed since
}

// watcher is one who is told.
type watcher struct {
	told     chan struct{} // of capacity 1: there is something to be heard
	compared int           // as of watched, when it last heard
}

func newWatched(c *cluster.Cluster, id ID) *watched {
	names, _ := tenant.New(id.Tenant) // its Client was opened with it
	return &watched{
		id:       id,
		view:     c.View(names, nil),
		request:  protocol.GetKV{Namespace: Namespace, Key: id.Key()}.Frame(),
		watchers: map[*watcher]bool{},
		held:     map[string]string{},
		revs:     map[string]int64{},
		pending:  map[string]bool{},
		failed:   map[string]error{},
	}
}

// read asks one name server. What is far too large is cut, as nobody will read it.
func (w *watched) read(ctx context.Context, server string, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := w.view.Call(ctx, server, w.request)
	if err != nil {
		return "", err
	}
	text, _, err := protocol.ParseGetKV(answer)
	if err != nil {
		return "", fmt.Errorf("name server %s: %w", server, err)
	}
	if len(text) > MaxRead {
		text = strings.Clone(text[:MaxRead+1])
	}
	return text, nil
}

// mayAsk tells whether a name server should be asked for it. One that has far too much is asked only with all others.
func (w *watched) mayAsk(server string, all bool) bool {
	return !w.pending[server] && (all || len(w.held[server]) <= MaxRead)
}

// record notes what one of the servers has said. One that isn't listed any more may be late.
func (w *watched) record(server, text string, err error, servers []string) {
	if !slices.Contains(servers, server) {
		return
	}
	before, had := w.held[server]
	if err == nil {
		clear(w.failed)
		w.err = nil
		if w.asked && w.compared == 0 { // it came late, and is the first
			w.compared = 1
		}
		if !had || text != before {
			w.held[server] = text // else the old string goes on, by which watchers see at once that it is the same
			w.revs[server] = revIn(text)
			w.texts = nil
		}
		w.answered = w.answered || !w.behind(server)
	} else {
		w.failed[server] = err
		if had {
			delete(w.held, server)
			delete(w.revs, server)
			w.texts = nil
		}
		var all []error
		for _, server := range servers {
			all = append(all, w.failed[server])
		}
		if !slices.Contains(all, nil) {
			w.err = errors.Join(all...)
		}
	}
	w.tell()
}

// behind tells whether another name server had a document of a higher revision when it was asked last. Then this one has
// missed a write, and may miss the next one, too.
func (w *watched) behind(server string) bool {
	for other, rev := range w.revs {
		if other != server && rev > w.revs[server] {
			return true
		}
	}
	return false
}

// revIn is the revision that a text claims; 0 where it claims none. Whether it counts is the Follower's business.
func revIn(text string) int64 {
	var claim struct {
		Rev int64 `json:"rev"`
	}
	if len(text) > MaxRead || json.Unmarshal([]byte(text), &claim) != nil {
		return 0
	}
	return claim.Rev
}

// forget forgets name servers that aren't among these any more.
func (w *watched) forget(servers []string) {
	gone := func(server string) bool { return !slices.Contains(servers, server) }
	maps.DeleteFunc(w.held, func(server, _ string) bool { return gone(server) })
	maps.DeleteFunc(w.revs, func(server string, _ int64) bool { return gone(server) })
	maps.DeleteFunc(w.failed, func(server string, _ error) bool { return gone(server) })
	w.texts = nil
}

// speaks tells whether there is something to be heard. A first word is what all name servers say that answer in time, as
// one alone may be stale.
func (w *watched) speaks() bool { return w.err != nil || w.compared > 0 && len(w.held) > 0 }

// tell tells the watchers, if there is anything.
func (w *watched) tell() {
	if !w.speaks() {
		return
	}
	for me := range w.watchers {
		select {
		case me.told <- struct{}{}:
		default: // it hasn't heard the last word yet
		}
	}
}

// latest is what a watcher is to hear; false when that is nothing any more.
func (p *poller) latest(w *watched, me *watcher) (h hearing, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !w.speaks():
		return hearing{}, false
	case w.err != nil:
		return hearing{err: w.err}, true
	}
	if w.texts == nil {
		w.texts, w.places = []string{}, nil
		for _, server := range slices.Sorted(maps.Keys(w.held)) {
			w.texts, w.places = append(w.texts, w.held[server]), append(w.places, server)
		}
	}
	h = hearing{texts: w.texts, places: w.places, all: w.compared > me.compared}
	me.compared = w.compared
	return h, true
}

// documents lists what is watched: what all name servers have still to be asked for, and the rest.
func (p *poller) documents() (fresh, known []*watched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.watched {
		if w.compared == 0 {
			fresh = append(fresh, w)
		} else {
			known = append(known, w)
		}
	}
	return fresh, known
}

func (p *poller) expect(documents []*watched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range documents {
		w.answered = false
	}
}

func (p *poller) unanswered(documents []*watched) []*watched {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(documents), func(w *watched) bool { return w.answered })
}

// compared notes that all name servers were asked. Where none has answered, they are asked again.
func (p *poller) compared(r *rounds, documents []*watched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rounds != r {
		return
	}
	for _, w := range documents {
		w.asked = true
		if len(w.held) > 0 {
			w.compared++
			w.tell()
		}
	}
}

// unreadable tells that no name server is known.
func (p *poller) unreadable(documents []*watched, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range documents {
		w.err = err
		w.tell()
	}
}
