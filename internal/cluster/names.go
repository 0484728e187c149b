package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

const (
	addressesEvery = 2 * time.Minute // as the Java client asks its address server
	failedFor      = time.Second     // before a first list that couldn't be had is asked for again
)

// nameServers asks one name server at a time and stays with the one that answered last. Which there are is set, or
// fetched from an address server when they are first needed, and from then on every two minutes.
type nameServers struct {
	cluster *Cluster
	source  *addressServer // nil when the list is fixed

	mu       sync.Mutex
	list     []string
	current  string        // answered last
	wanted   bool          // somebody has asked for the list
	fetching chan struct{} // closed when the fetch under way ends; nil when none is
	err      error         // of the last fetch; nil when it worked
	failed   time.Time
	closed   bool
}

// known returns the list as it is now; empty before it was fetched.
func (n *nameServers) known() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// all returns the list, and waits for the first one. Without any it is an error, and asked for again when next needed.
func (n *nameServers) all(ctx context.Context) ([]string, error) {
	n.mu.Lock()
	n.wanted = true
	for len(n.list) == 0 {
		switch {
		case n.closed:
			n.mu.Unlock()
			return nil, remoting.ErrClosed
		case n.fetching == nil && n.err != nil && time.Since(n.failed) < failedFor:
			defer n.mu.Unlock()
			return nil, n.err
		case n.fetching == nil:
			n.cluster.done.Go(n.begin())
		}
		fetched := n.fetching
		n.mu.Unlock()
		select {
		case <-fetched:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", n.source, context.Cause(ctx))
		}
		n.mu.Lock()
	}
	defer n.mu.Unlock()
	return slices.Clone(n.list), nil
}

// begin notes a fetch and gives it. The lock is held.
func (n *nameServers) begin() (fetch func()) {
	done := make(chan struct{})
	n.fetching = done
	return func() {
		list, err := n.source.fetch(n.cluster.life)
		n.mu.Lock()
		n.fetching = nil
		gone := n.take(list, err)
		n.mu.Unlock()
		close(done)
		n.cluster.dropNameServers(gone)
	}
}

// take sets a list that was fetched and returns the addresses that aren't in it any more. What fails changes nothing, and
// is logged once until it works again. The lock is held.
func (n *nameServers) take(list []string, err error) (gone []string) {
	log, was := n.cluster.cfg.Log, n.err
	if n.err = err; err != nil {
		n.failed = time.Now()
		if was == nil && !n.closed {
			log.Warn("address server fails, keeping the name servers", "have", len(n.list), "error", err)
		}
		return nil
	}
	if was != nil {
		log.Info("address server works again", "url", n.source.shown)
	}
	if slices.Equal(list, n.list) {
		return nil
	}
	if n.list != nil {
		log.Info("name servers changed", "from", n.list, "to", list)
	}
	for _, address := range n.list {
		if !slices.Contains(list, address) {
			gone = append(gone, address)
		}
	}
	n.list = list
	return gone
}

// refresh fetches the list every two minutes, once it has been needed.
func (n *nameServers) refresh(ctx context.Context) {
	tick := time.NewTicker(addressesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.mu.Lock()
		var fetch func()
		if n.wanted && n.fetching == nil {
			fetch = n.begin()
		}
		n.mu.Unlock()
		if fetch != nil {
			fetch()
		}
	}
}

func (n *nameServers) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
}

// dropNameServers closes the connections to addresses that are no name servers any more, unless they are brokers.
func (c *Cluster) dropNameServers(addresses []string) {
	for _, address := range addresses {
		if !slices.Contains(c.beatAddresses(true), address) {
			c.remote.Drop(address)
		}
	}
}

// Ask sends req to the name servers in turn until one gives an answer that accept accepts. When all that answer give
// others, one of those is returned: TOPIC_NOT_EXIST only if every one of them says so, since one that has just started
// knows no topic yet, and another may not be ready. An error means that none answered.
func (n *nameServers) Ask(ctx context.Context, req *frame.Frame, accept func(*frame.Frame) bool) (*frame.Frame, error) {
	addresses, err := n.all(ctx)
	if err != nil {
		return nil, fmt.Errorf("name servers unknown: %w", err)
	}
	n.mu.Lock()
	start := max(slices.Index(addresses, n.current), 0)
	n.mu.Unlock()
	var refused *frame.Frame
	var failures []error
	for i := range addresses {
		address := addresses[(start+i)%len(addresses)]
		answer, err := n.ask(ctx, address, req)
		switch {
		case err != nil:
			failures = append(failures, err)
		case accept(answer):
			n.mu.Lock()
			n.current = address
			n.mu.Unlock()
			return answer, nil
		case refused == nil || refused.Code == protocol.CodeTopicNotExist:
			refused = answer
		}
		if ctx.Err() != nil {
			break
		}
	}
	if refused != nil {
		return refused, nil
	}
	return nil, fmt.Errorf("no name server answers: %w", errors.Join(failures...))
}

func (n *nameServers) ask(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cluster.cfg.RequestTimeout)
	defer cancel()
	return n.cluster.remote.Call(ctx, address, req)
}
