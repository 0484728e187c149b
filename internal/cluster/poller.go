package cluster

import (
	"slices"
	"strings"
	"sync"
)

// Poller reads for all of a Client what may change while it runs. The one there is belongs to package dynconf, which stands
// above this one.
type Poller interface{ Close() }

// pollerSlot keeps the Poller from its first use until the Cluster is closed.
type pollerSlot struct {
	mu     sync.Mutex
	closed bool
	poller Poller
}

// Poller returns the Cluster's Poller; the first call makes it. Close closes it, and one that is made later at once.
func (c *Cluster) Poller(create func() Poller) Poller {
	s := &c.poller
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poller == nil {
		s.poller = create()
		if s.closed {
			s.poller.Close()
		}
	}
	return s.poller
}

func (s *pollerSlot) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.poller != nil {
		s.poller.Close()
	}
}

// Origin tells one RocketMQ cluster from another, as far as the Config does: by its address server, or its name servers in
// any order. It may hold a password.
func (c *Cluster) Origin() string { return c.origin }

func origin(cfg Config) string {
	if cfg.NameServerURL != "" {
		return cfg.NameServerURL
	}
	servers := slices.Sorted(slices.Values(cfg.NameServers))
	return strings.Join(slices.Compact(servers), ";")
}
