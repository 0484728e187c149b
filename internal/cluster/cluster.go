package cluster

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/route"
	"github.com/rocketkit/rocketkit/tenant"
)

// Config is what a Cluster needs; the root package has validated it and filled in every default.
type Config struct {
	NameServers    []string
	NameServerURL  string        // of an address server, instead of NameServers
	ClientID       string        // what brokers know this process by; groups sort their members by it
	RequestTimeout time.Duration // for one request that has no deadline of its own
	Dial           remoting.DialFunc
	TLS            *tls.Config // nil: plaintext
	Log            *slog.Logger
	Telemetry      Telemetry

	// Credentials are what requests are signed with that no View with Keys of its own makes; nil signs nothing.
	Credentials func(ctx context.Context) (Credentials, error)
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
	keys    *Keys // nil signs nothing

	background background
	checkers   checkers
	poller     pollerSlot
	origin     string

	replies       replies
	introductions introductions

	life context.Context //nolint:containedctx // ends with Close: for what is done for no one caller
	stop context.CancelFunc
	done sync.WaitGroup
}

// New makes a Cluster and starts its refreshing of routes and its heartbeat. It dials nothing: sockets are opened by the
// first request to each address.
func New(cfg Config) *Cluster {
	ctx, stop := context.WithCancel(context.Background())
	if cfg.Dial == nil {
		cfg.Dial = Dialer{}.DialContext
	}
	c := &Cluster{cfg: cfg, life: ctx, stop: stop, background: background{ctx: ctx}}
	c.origin = origin(cfg)
	c.keys = c.NewKeys(cfg.Credentials)
	c.members.init()
	c.outages.init()
	c.remote = remoting.New(remoting.Config{
		Dial:         cfg.Dial,
		TLS:          cfg.TLS,
		Sign:         c.keys.signer(),
		Handle:       c.handle,
		Connected:    c.connected,
		Disconnected: c.disconnected,
		Log:          cfg.Log,
	})
	c.names = &nameServers{cluster: c, source: newAddressServer(ctx, cfg.NameServerURL, cfg.Dial), list: cfg.NameServers}
	c.routes = route.NewTable(c.names, cfg.Log)
	c.done.Go(func() { c.routes.Run(ctx) })
	c.done.Go(func() { c.beatEvery(ctx) })
	c.done.Go(func() { c.watchOutages(ctx) })
	if c.names.source != nil {
		c.done.Go(func() { c.names.refresh(ctx) })
	}
	return c
}

// Close ends the heartbeat and closes every socket; requests under way fail. It doesn't unregister members: each leaves
// by its own Leave before.
func (c *Cluster) Close() error {
	c.poller.close()
	c.names.close()
	c.stop()
	c.replies.close()
	err := c.remote.Close()
	c.done.Wait()
	c.background.end()
	return err
}

// ClientID returns the id that brokers know this process by.
func (c *Cluster) ClientID() string { return c.cfg.ClientID }

// Log returns the logger that all parts of a Client write to.
func (c *Cluster) Log() *slog.Logger { return c.cfg.Log }

// NameServers returns the addresses known now: those configured, or the last that the address server told, none before
// they were first needed.
func (c *Cluster) NameServers() []string { return c.names.known() }

// AwaitNameServers returns the addresses, and has an address server asked for them if that was never done.
func (c *Cluster) AwaitNameServers(ctx context.Context) ([]string, error) { return c.names.all(ctx) }

// Routes returns the shared table of routes, which is keyed by physical topic.
func (c *Cluster) Routes() *route.Table { return c.routes }

// Since tells since when an address has been connected; false when it is not.
func (c *Cluster) Since(address string) (since time.Time, connected bool) {
	return c.remote.Since(address)
}

// View gives the Cluster as the tenant sees it that names has, with its requests signed by keys; nil means by the
// Cluster's.
func (c *Cluster) View(names tenant.Names, keys *Keys) *View {
	if keys == nil {
		keys = c.keys
	}
	return &View{Cluster: c, Names: names, keys: keys, remote: c.remote.As(keys.signer())}
}

// RequestTimeout returns how long one request may take.
func (c *Cluster) RequestTimeout() time.Duration { return c.cfg.RequestTimeout }
