package rocketkit

import (
	"context"
	"net"
	"sync"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/tenant"
)

// Client is a process's connection to one RocketMQ cluster, as one tenant sees it. All that is built on it shares its
// sockets, routes and heartbeat. Open one per process; it is safe for concurrent use. The zero Client is not usable.
type Client struct {
	view     *cluster.View
	trace    Trace    // as configured; of the owner
	settings Settings // of the owner

	closing sync.Once
	owner   *Client // the Client that Open made; itself, or what For was called on
	err     error
}

// Open validates cfg and makes a Client. It dials nothing: name servers and brokers are connected by first use, so a
// cluster that is down is no error here. An invalid cfg gives an error that names the field and wraps [ErrConfig].
func Open(cfg Config) (*Client, error) {
	cfg, names, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	shared := cluster.New(cluster.Config{
		NameServers:    append([]string(nil), cfg.NameServers...),
		NameServerURL:  cfg.NameServerURL,
		ClientID:       localIP() + "@" + cfg.Instance,
		RequestTimeout: cfg.RequestTimeout,
		Dial:           cfg.Dial,
		TLS:            cfg.TLS,
		Log:            cfg.Logger,
		Credentials:    cfg.Credentials.asked(),
		Telemetry: cluster.Telemetry{
			Meters: cfg.MeterProvider, Tracers: cfg.TracerProvider, Propagator: cfg.Propagator,
		},
	})
	c := &Client{trace: cfg.Trace, settings: cfg.Settings, view: shared.View(names, nil)}
	c.owner = c
	return c, nil
}

// For returns a Client for another tenant of the same cluster, on the same sockets, routes and heartbeat: for platforms
// that serve several tenants in one process. An empty tenant means none. Its requests to brokers, heartbeats of its
// groups included, are signed with the tenant's own credentials; nil means with those of the Client that For is called
// on. It is closed with the Client it came from.
func (c *Client) For(name string, credentials CredentialsFunc) (*Client, error) {
	names, err := tenant.New(name)
	if err != nil {
		return nil, configError("Tenant", "%v", err)
	}
	if _, err := c.owner.trace.of(names); err != nil {
		return nil, configError("Trace.Topic", "%v", err)
	}
	keys := c.view.Keys()
	if credentials != nil {
		keys = c.view.NewKeys(credentials.asked())
	}
	return &Client{view: c.view.View(names, keys), owner: c.owner}, nil
}

// Tenant returns the tenant this Client works for; empty means none.
func (c *Client) Tenant() string { return c.view.Names.Tenant() }

// ID returns the client id, ip@instance, by which brokers and RocketMQ's tools know this process.
func (c *Client) ID() string { return c.view.ClientID() }

// Close closes the sockets once; further calls return the first one's result. Close producers and let Run return before:
// requests that are still under way fail. On a Client made by For it does nothing. ctx bounds the wait.
func (c *Client) Close(ctx context.Context) error {
	if c.owner != c {
		return nil
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.closing.Do(func() { c.err = c.view.Close() })
	}()
	select {
	case <-closed:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Cluster gives rocketkit's own packages what a Client shares; its type is internal.
func (c *Client) Cluster() *cluster.View { return c.view }

// localIP is the address other machines would most likely reach this one by, as Apache's clients choose it: the first
// IPv4 address of an interface that is up and not loopback. It only names the process; nothing connects to it.
func localIP() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast() {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}
