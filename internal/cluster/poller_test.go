package cluster_test

import (
	"log/slog"
	"testing"

	"github.com/rocketkit/rocketkit/internal/cluster"
)

type countedPoller struct{ closed int }

func (p *countedPoller) Close() { p.closed++ }

// TestPoller: there is one, made when it is first asked for and closed with the Cluster; one that comes later is closed at once.
func TestPoller(t *testing.T) {
	t.Parallel()
	c := cluster.New(cluster.Config{NameServers: []string{"a:1"}, Log: slog.New(slog.DiscardHandler)})
	p := &countedPoller{}
	for range 2 {
		if got := c.Poller(func() cluster.Poller { return p }); got != p {
			t.Errorf("%v", got)
		}
	}
	another := func() cluster.Poller { t.Error("a second one is made"); return nil }
	if got := c.Poller(another); got != p || p.closed != 0 {
		t.Errorf("%v, closed %d times", got, p.closed)
	}
	if err := c.Close(); err != nil || p.closed == 0 {
		t.Errorf("%v, closed %d times", err, p.closed)
	}

	c = cluster.New(cluster.Config{NameServers: []string{"a:1"}, Log: slog.New(slog.DiscardHandler)})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if c.Poller(func() cluster.Poller { return &countedPoller{} }).(*countedPoller).closed != 1 {
		t.Error("it is left open")
	}
}

// TestOrigin: the same name servers are the same cluster, in whatever order they stand.
func TestOrigin(t *testing.T) {
	t.Parallel()
	origin := func(cfg cluster.Config) string {
		cfg.Log = slog.New(slog.DiscardHandler)
		c := cluster.New(cfg)
		defer func() { _ = c.Close() }()
		return c.Origin()
	}
	one := origin(cluster.Config{NameServers: []string{"b:1", "a:1", "b:1"}})
	if other := origin(cluster.Config{NameServers: []string{"a:1", "b:1"}}); one != other {
		t.Errorf("%s and %s", one, other)
	}
	if other := origin(cluster.Config{NameServers: []string{"a:1"}}); one == other {
		t.Error(other)
	}
	if got := origin(cluster.Config{NameServerURL: "http://a/x"}); got != "http://a/x" {
		t.Error(got)
	}
}
