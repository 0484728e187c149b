package testcluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Cluster is a running RocketMQ. It is safe for concurrent use. Close ends it.
type Cluster struct {
	config       Config
	installation installation
	secure       *tls.Config // how this package connects; nil without TLS
	root         string
	ports        *ports
	janitor      *janitor
	nameServers  []*Node
	brokers      []*Node // master 0, its replicas, master 1, …
	commands     atomic.Int64

	closing sync.Once
	failed  error // Close's
}

// Start starts what cfg describes and returns when all of it is ready: every
// broker answers and is registered with every name server. Where Java or Maven is
// missing the error wraps ErrNoJava; a server that doesn't come up is named with
// the end of its log. Nothing is left running or lying after an error. Ctx bounds
// the start alone, fetching the jars included; the cluster lasts until Close or
// until the process ends.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return nil, err
	}
	if !supported {
		return nil, errors.New("testcluster: only Linux and macOS can run a cluster")
	}
	c := &Cluster{config: cfg, installation: installation{version: cfg.Version}}
	if c.secure, err = cfg.TLS.probe(); err != nil {
		return nil, err
	}
	if c.installation.java, err = findJava(ctx); err != nil {
		return nil, err
	}
	if c.installation.jars, err = jars(ctx, cfg.Version, cfg.Log); err != nil {
		return nil, err
	}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	// A broker that finds no name server tries again only 10 s later.
	if err := startAll(ctx, c.nameServers); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := startAll(ctx, c.brokers); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare takes ports and a directory, fills it, and starts the janitor, who
// from then on answers for both.
func (c *Cluster) prepare() (err error) {
	brokers := c.config.Brokers * (1 + c.config.Replicas)
	if c.ports, err = reservePorts(c.config.NameServers, brokers); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.ports.release()
		}
	}()
	reservation, err := c.ports.file()
	if err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	defer reservation.Close()
	root, err := os.MkdirTemp("", "rocketkit-cluster-")
	if err == nil {
		// A JVM and RocketMQ compare paths, and macOS's TMPDIR is a symbolic link.
		c.root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return fmt.Errorf("testcluster: directory for the cluster: %w", err)
	}
	if c.janitor, err = newJanitor(c.root, reservation); err != nil {
		return errors.Join(fmt.Errorf("testcluster: %w", err), os.RemoveAll(c.root))
	}
	if err = c.lay(); err != nil {
		return errors.Join(fmt.Errorf("testcluster: %w", err), c.Close())
	}
	return nil
}

// lay makes the nodes and their directories.
func (c *Cluster) lay() error {
	for i := range c.config.NameServers {
		port := c.ports.nameServer(i)
		n := &Node{cluster: c, name: "namesrv-" + strconv.Itoa(i), address: loopback(port)}
		dir := filepath.Join(c.root, n.name)
		if err := c.layNode(n, heapNameServer, mainNameServer, nameServerProperties(port, dir)); err != nil {
			return err
		}
		c.nameServers = append(c.nameServers, n)
	}
	for i := range c.config.Brokers * (1 + c.config.Replicas) {
		master, id := i/(1+c.config.Replicas), i%(1+c.config.Replicas)
		name := "broker-" + strconv.Itoa(master)
		port := c.ports.broker(i)
		n := &Node{cluster: c, name: name, address: loopback(port), broker: true}
		if id > 0 {
			n.name += "-replica-" + strconv.Itoa(id)
		}
		dir := filepath.Join(c.root, n.name)
		set := brokerProperties(name, id, port, c.NameServers(), dir, c.config.BrokerProperties)
		if err := c.layNode(n, heapBroker, mainBroker, set); err != nil {
			return err
		}
		c.brokers = append(c.brokers, n)
	}
	return nil
}

func (c *Cluster) layNode(n *Node, heap []string, main string, set map[string]string) error {
	dir := filepath.Join(c.root, n.name)
	file := filepath.Join(dir, "properties")
	jvm := slices.Concat(heap, c.config.TLS.flags(), c.config.JVM)
	if err := c.installation.lay(dir, "INFO", jvm, main, "-c", file); err != nil {
		return err
	}
	return writeProperties(file, set)
}

func startAll(ctx context.Context, nodes []*Node) error {
	var group errgroup.Group
	for _, n := range nodes {
		group.Go(func() error { return n.Start(ctx) })
	}
	return group.Wait()
}

// Version returns RocketMQ's version.
func (c *Cluster) Version() string { return c.config.Version }

// Directory returns where the cluster keeps its files, a directory per node with
// its properties, log and store. It is removed by Close.
func (c *Cluster) Directory() string { return c.root }

// NameServers returns the name servers' addresses, host:port, also of those that
// don't run.
func (c *Cluster) NameServers() []string {
	addresses := make([]string, 0, len(c.nameServers))
	for _, n := range c.nameServers {
		addresses = append(addresses, n.address)
	}
	return addresses
}

// NameServer returns the name server numbered i, from 0.
func (c *Cluster) NameServer(i int) *Node { return c.nameServers[i] }

// Broker returns the master numbered i, from 0.
func (c *Cluster) Broker(i int) *Node { return c.brokers[i*(1+c.config.Replicas)] }

// Replica returns the replica numbered id, from 1, which is its brokerId, of the
// master numbered i.
func (c *Cluster) Replica(i, id int) *Node { return c.brokers[i*(1+c.config.Replicas)+id] }

// Brokers returns all brokers: each master, followed by its replicas.
func (c *Cluster) Brokers() []*Node { return append([]*Node(nil), c.brokers...) }

// running returns the addresses of those nodes that answer.
func (c *Cluster) running(nodes []*Node) []string {
	var addresses []string
	for _, n := range nodes {
		if n.Running() {
			addresses = append(addresses, n.address)
		}
	}
	return addresses
}

// Admin runs one command of RocketMQ's own mqadmin (MQAdminStartup) against the
// cluster and returns what it printed. It adds -n with the name servers. mqadmin
// mostly ends with status 0 even when a command fails: judge by what it printed.
func (c *Cluster) Admin(ctx context.Context, args ...string) (string, error) {
	name := "admin-" + strconv.FormatInt(c.commands.Add(1), 10)
	dir := filepath.Join(c.root, name)
	defer os.RemoveAll(dir)
	args = append(args[:len(args):len(args)], "-n", strings.Join(c.NameServers(), ";"))
	if err := c.installation.lay(dir, "OFF", slices.Concat(heapAdmin, c.config.TLS.flags()), mainAdmin, args...); err != nil {
		return "", fmt.Errorf("testcluster: mqadmin %s: %w", args[0], err)
	}
	p, err := c.janitor.start(name)
	if err != nil {
		return "", fmt.Errorf("testcluster: mqadmin %s: %w", args[0], err)
	}
	waited := p.wait(ctx)
	if waited != nil {
		_ = p.signal(signalKill) // it may have ended
		_ = p.wait(context.WithoutCancel(ctx))
	}
	printed, err := os.ReadFile(filepath.Join(dir, "log"))
	switch {
	case waited != nil:
		err = waited
	case err == nil && p.status != 0:
		err = fmt.Errorf("it ended with status %d, having printed %q", p.status, printed)
	}
	if err != nil {
		return string(printed), fmt.Errorf("testcluster: mqadmin %s: %w", args[0], err)
	}
	return string(printed), nil
}

// KeepLogs copies every node's log and properties below dir, into a directory of
// its own, whose path it returns.
func (c *Cluster) KeepLogs(dir string) (string, error) {
	dir = filepath.Join(dir, time.Now().Format("20060102-150405.000"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("testcluster: keep logs: %w", err)
	}
	for _, n := range append(append([]*Node(nil), c.nameServers...), c.brokers...) {
		for _, file := range []string{"log", "properties"} {
			text, err := os.ReadFile(filepath.Join(c.root, n.name, file))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, n.name+"."+file), text, 0o644)
			}
			if err != nil {
				return "", fmt.Errorf("testcluster: keep logs: %w", err)
			}
		}
	}
	return dir, nil
}

// Close kills all servers, removes the cluster's directory and frees its ports,
// in this order; all is gone when it returns. Later calls return the same.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		if err := c.janitor.close(); err != nil {
			c.failed = fmt.Errorf("testcluster: close: %w", err)
		}
		c.ports.release()
	})
	return c.failed
}
