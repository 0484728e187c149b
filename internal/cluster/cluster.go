package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/route"
)

// Config is what a Cluster needs; the root package has validated it and filled in every default.
type Config struct {
	NameServers    []string
	ClientID       string        // what brokers know this process by; groups sort their members by it
	RequestTimeout time.Duration // for one request that has no deadline of its own
	Dial           remoting.DialFunc
	Log            *slog.Logger
}

// Cluster holds the sockets, routes and heartbeats of one process. Safe for concurrent use.
type Cluster struct {
	cfg     Config
	remote  *remoting.Client
	names   *nameServers
	routes  *route.Table
	members members
	outages outages
	reserve reserve

	checkers      checkers
	replies       replies
	introductions introductions

	stop context.CancelFunc
	done sync.WaitGroup
}

// New makes a Cluster and starts its refreshing of routes and its heartbeat. It dials nothing: sockets are opened by the
// first request to each address.
func New(cfg Config) *Cluster {
	ctx, stop := context.WithCancel(context.Background())
	c := &Cluster{cfg: cfg, stop: stop}
	c.members.init()
	c.outages.init()
	c.remote = remoting.New(remoting.Config{
		Dial:         cfg.Dial,
		Handle:       c.handle,
		Connected:    c.connected,
		Disconnected: c.disconnected,
		Log:          cfg.Log,
	})
	c.names = &nameServers{cluster: c, addresses: cfg.NameServers}
	c.routes = route.NewTable(c.names, cfg.Log)
	c.done.Go(func() { c.routes.Run(ctx) })
	c.done.Go(func() { c.beatEvery(ctx) })
	c.done.Go(func() { c.watchOutages(ctx) })
	return c
}

// Close ends the heartbeat and closes every socket; requests under way fail. It doesn't unregister members: each leaves
// by its own Leave before.
func (c *Cluster) Close() error {
	c.stop()
	c.replies.close()
	err := c.remote.Close()
	c.done.Wait()
	return err
}

// ClientID returns the id that brokers know this process by.
func (c *Cluster) ClientID() string { return c.cfg.ClientID }

// Log returns the logger that all parts of a Client write to.
func (c *Cluster) Log() *slog.Logger { return c.cfg.Log }

// NameServers returns the configured addresses.
func (c *Cluster) NameServers() []string { return c.cfg.NameServers }

// Routes returns the shared table of routes, which is keyed by physical topic.
func (c *Cluster) Routes() *route.Table { return c.routes }

// Since tells since when an address has been connected; false when it is not.
func (c *Cluster) Since(address string) (since time.Time, connected bool) {
	return c.remote.Since(address)
}

// invoke sends a request of the Cluster's own, which concerns all tenants.
func (c *Cluster) invoke(ctx context.Context, address string, req *frame.Frame) (*frame.Frame, error) {
	return (&View{Cluster: c}).Invoke(ctx, address, req)
}

// RequestTimeout returns how long one request may take.
func (c *Cluster) RequestTimeout() time.Duration { return c.cfg.RequestTimeout }
