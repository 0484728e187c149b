package mqtest

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
)

// Cluster is a set of name servers and brokers in this process. All methods are safe for concurrent use. Topics and
// groups go by their physical names; Tenant gives a view that takes one tenant's logical ones.
type Cluster struct {
	cfg         Config
	nameServers []*nameServer
	brokers     []*broker
	schedule    *schedule
	faults      faults
	partitions  partitions
	links       links
	state       state

	bubble   bool      // made in a testing/synctest bubble
	deadline time.Time // when waits end at the latest; zero: longestWait
	closing  chan struct{}
	once     sync.Once
	done     sync.WaitGroup // every goroutine but the schedule's
}

// TB is what New needs of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// New starts a cluster that is closed when the test ends, and ends the test when cfg is invalid. In a testing/synctest
// bubble, call it with the bubble's own T.
func New(t TB, cfg Config) *Cluster {
	t.Helper()
	c, err := Start(cfg)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	c.deadline = deadlineOf(t)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Start makes a cluster and starts it; Close it when done. An error names the field of cfg that is wrong, or is that of
// a socket when cfg asks for TCP.
func Start(cfg Config) (*Cluster, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, closing: make(chan struct{}), bubble: inBubble()}
	c.links.by, c.links.ips = map[netip.AddrPort]*link{}, map[netip.Addr]*link{}
	c.schedule = newSchedule()
	for i := range cfg.NameServers {
		c.nameServers = append(c.nameServers, newNameServer(c, i))
	}
	for i := range cfg.Brokers {
		c.brokers = append(c.brokers, newBroker(c, i))
	}
	if cfg.TCP {
		for _, s := range c.servers() {
			if err := s.listen(); err != nil {
				_ = c.Close()
				return nil, err
			}
		}
	}
	for _, n := range c.nameServers {
		n.server.setUp(true)
	}
	for _, b := range c.brokers {
		b.start()
	}
	if cfg.TCP {
		for _, s := range c.servers() {
			c.done.Go(s.acceptTCP)
		}
	}
	return c, nil
}

// Close stops every server, breaks every connection and waits until no goroutine of the cluster is left. It always
// returns nil, and may be called again.
func (c *Cluster) Close() error {
	c.once.Do(func() {
		close(c.closing)
		for _, s := range c.servers() {
			if s.listener != nil {
				_ = s.listener.Close()
			}
			s.setUp(false)
		}
		c.done.Wait()
		c.schedule.close()
	})
	return nil
}

// Config gives the settings to Open a client with, in memory or over TCP as the cluster is. Call it once for each
// Client: what it returns carries an Instance of its own, by which faults and partitions tell clients apart. Change what
// else you like in it.
func (c *Cluster) Config() rocketkit.Config {
	k := c.links.add(c)
	return rocketkit.Config{
		NameServers: c.Addresses(),
		Instance:    k.instance,
		Dial:        k.dial,
		Logger:      c.cfg.Logger,
		Settings:    rocketkit.Settings{CacheDir: "off"}, // one test's settings are none of the next one's
	}
}

// Addresses lists the name servers' addresses: what clients of other libraries need when the cluster serves over TCP.
func (c *Cluster) Addresses() []string {
	var list []string
	for _, n := range c.nameServers {
		list = append(list, n.server.address.String())
	}
	return list
}

// Brokers lists the brokers' names, those that are stopped included.
func (c *Cluster) Brokers() []string {
	var list []string
	for _, b := range c.brokers {
		list = append(list, b.name)
	}
	return list
}

func (c *Cluster) servers() []*server {
	var all []*server
	for _, n := range c.nameServers {
		all = append(all, n.server)
	}
	for _, b := range c.brokers {
		all = append(all, b.server)
	}
	return all
}

func (c *Cluster) serverAt(address string) *server {
	for _, s := range c.servers() {
		if s.address.String() == address {
			return s
		}
	}
	return nil
}

// Stop stops a server, "broker-a" or "namesrv-a", in order: its connections break, and nobody can connect until Restart.
// Name servers forget a stopped broker's routes at once. A broker keeps what RocketMQ keeps on disk: topics, groups,
// messages and committed offsets; it forgets its members, its queue locks and resets that no pull has picked up.
// A name server keeps its settings (KV) and forgets its routes.
func (c *Cluster) Stop(server string) error { return c.each(server, false) }

// Restart starts a stopped server again, or stops it before when it runs. Brokers register with a name server that
// was restarted within 30 s; until then it knows no topic, as RocketMQ's doesn't. After Close it is an error.
func (c *Cluster) Restart(server string) error {
	if isClosed(c.closing) {
		return fmt.Errorf("mqtest: restart %s: %w", server, errClosed)
	}
	return c.each(server, true)
}

func (c *Cluster) each(server string, start bool) error {
	for _, n := range c.nameServers {
		if n.server.name == server {
			n.stop()
			if start {
				n.start()
			}
			return nil
		}
	}
	for _, b := range c.brokers {
		if b.name == server {
			b.stop()
			if start {
				b.start()
			}
			return nil
		}
	}
	return c.unknown(server)
}

func (c *Cluster) unknown(server string) error {
	return fmt.Errorf("mqtest: no server is called %q; brokers are %v, name servers namesrv-a to %s", server, c.Brokers(),
		serverName("namesrv", len(c.nameServers)-1))
}

// requireServer panics when a test names a server that there isn't; "" is any.
func (c *Cluster) requireServer(what, server string) {
	for _, s := range c.servers() {
		if server == "" || server == s.name {
			return
		}
	}
	panic(fmt.Sprintf("%s: %v", what, c.unknown(server)))
}
