package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// readyTimeout bounds Start: a boot takes 2 to 10 s, a name server that returns
// is known to brokers after at most 10 s more.
const readyTimeout = 90 * time.Second

// Node is one server of a Cluster: a name server or a broker. It is safe for
// concurrent use; Start, Stop, Kill, Pause and Resume wait for each other.
type Node struct {
	cluster *Cluster
	name    string
	address string
	broker  bool

	mu      sync.Mutex // held by what changes the node's state
	process atomic.Pointer[process]
	paused  atomic.Bool
}

// Name returns the node's name: "namesrv-0", "broker-0", or "broker-0-replica-1".
// A master's is its brokerName as well.
func (n *Node) Name() string { return n.name }

// Address returns where it listens, host:port. It stays the same when the node is
// started again.
func (n *Node) Address() string { return n.address }

// Running tells whether it has been started, hasn't ended and isn't paused.
func (n *Node) Running() bool {
	p := n.process.Load()
	return p != nil && !p.over() && !n.paused.Load()
}

// PID returns the id of the process that runs the node, or that last did.
func (n *Node) PID() int {
	if p := n.process.Load(); p != nil {
		return p.pid
	}
	return 0
}

// Start starts the node again with the store that it had, and returns when it is
// ready: a broker when it answers and is registered with every running name
// server, a name server when it answers and all running brokers are registered
// with it (they retry every 10 s). The error holds the end of the node's log when
// it ended or wasn't ready by ctx's end or within 90 s; it doesn't run then.
func (n *Node) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.process.Load(); p != nil && !p.over() {
		return fmt.Errorf("testcluster: start %s: it runs: Stop or Kill it first", n.name)
	}
	p, err := n.cluster.janitor.start(n.name)
	if err != nil {
		return fmt.Errorf("testcluster: start %s: %w", n.name, err)
	}
	n.paused.Store(false)
	n.process.Store(p)
	if err := n.awaitReady(ctx, p); err != nil {
		_ = p.signal(signalKill) // it may have ended
		_ = p.wait(context.WithoutCancel(ctx))
		return fmt.Errorf("testcluster: start %s: %w; the end of its log:\n%s", n.name, err, n.Log())
	}
	return nil
}

func (n *Node) awaitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := n.ready(ctx)
		if missing == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it ended with status %d", p.status)
		case <-p.gone:
			return errJanitorGone
		case <-ctx.Done():
			return fmt.Errorf("not ready (%w): %w", missing, ctx.Err())
		case <-tick.C:
		}
	}
}

// ready returns what is missing until the node can be used.
func (n *Node) ready(ctx context.Context) error {
	if !n.broker {
		return knows(ctx, n.cluster.secure, n.address, n.cluster.running(n.cluster.brokers))
	}
	if err := serves(ctx, n.cluster.secure, n.address); err != nil {
		return err
	}
	for _, nameServer := range n.cluster.running(n.cluster.nameServers) {
		if err := knows(ctx, n.cluster.secure, nameServer, []string{n.address}); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the node as an operator would, with SIGTERM, and waits until it has
// ended; a broker takes up to 17 s. When ctx ends first the error is ctx's, and
// the node is still stopping. Nil when it doesn't run.
func (n *Node) Stop(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.send(signalStop); err != nil {
		return ignoreDone(err)
	}
	if n.paused.Swap(false) {
		if err := n.send(signalResume); err != nil {
			return ignoreDone(err)
		}
	}
	if err := n.process.Load().wait(ctx); err != nil {
		return fmt.Errorf("testcluster: stop %s: %w", n.name, err)
	}
	return nil
}

// Kill ends the node with SIGKILL, as a crash would, and waits until it has
// ended. Nil when it doesn't run.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.send(signalKill); err != nil {
		return ignoreDone(err)
	}
	_ = n.process.Load().wait(context.Background()) // a context that doesn't end
	n.paused.Store(false)
	return nil
}

// Pause freezes the node with SIGSTOP: its connections stay and nothing answers,
// as when a machine hangs.
func (n *Node) Pause() error { return n.freeze(signalPause, true) }

// Resume lets a paused node go on.
func (n *Node) Resume() error { return n.freeze(signalResume, false) }

func (n *Node) freeze(signal syscall.Signal, paused bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.send(signal); err != nil {
		return err
	}
	n.paused.Store(paused)
	return nil
}

func (n *Node) send(signal syscall.Signal) error {
	p := n.process.Load()
	if p == nil {
		return fmt.Errorf("testcluster: %s: %w", n.name, os.ErrProcessDone)
	}
	if err := p.signal(signal); err != nil {
		return fmt.Errorf("testcluster: signal %s: %w", n.name, err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Log returns the last 40 lines that the node wrote, over all of its runs.
func (n *Node) Log() string {
	text, err := os.ReadFile(n.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

func (n *Node) logFile() string { return filepath.Join(n.cluster.root, n.name, "log") }
