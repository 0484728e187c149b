package producer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

// membership puts the producer group into the Client's heartbeat, so that RocketMQ's tools list it and brokers know where
// replies go. Sending needs no membership: it waits for no heartbeat, and no failure of one reaches a caller.
type membership struct {
	view   *cluster.View
	member cluster.Member
	begun  atomic.Bool

	mu      sync.Mutex
	stop    context.CancelFunc // ends the joining
	left    bool
	joined  bool
	joining sync.WaitGroup
}

// join joins once, and has brokers told in the background.
func (m *membership) join() {
	if m.begun.Load() || !m.begun.CompareAndSwap(false, true) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		return
	}
	// Another Producer of this Client and group is the same member to brokers; the last to leave unregisters it.
	m.joined = m.view.Enlist(m.member) == nil
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.joining.Go(func() {
		defer stop()
		m.view.Beat(ctx)
	})
}

// leave leaves once, if it has joined.
func (m *membership) leave(ctx context.Context) {
	m.mu.Lock()
	m.left = true
	if m.stop != nil {
		m.stop()
	}
	m.mu.Unlock()
	joined := make(chan struct{})
	go func() { m.joining.Wait(); close(joined) }()
	select {
	case <-joined:
	case <-ctx.Done():
		return // the group stays listed until the Client is closed
	}

	m.mu.Lock()
	listed := m.joined
	m.joined = false
	m.mu.Unlock()
	if !listed {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, m.view.RequestTimeout())
	defer cancel()
	if err := m.view.Leave(ctx, m.member); err != nil && !errors.Is(err, remoting.ErrClosed) {
		m.view.Log().Info("producer not unregistered, brokers forget it after 2 minutes", "error", err)
	}
}
