package producer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

// membership puts the producer group into the Client's heartbeat, so that RocketMQ's tools list it. Sending needs no
// membership: nothing waits for it, and no failure of it reaches a caller.
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

// join joins once, in the background.
func (m *membership) join() {
	if m.begun.Load() || !m.begun.CompareAndSwap(false, true) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.joining.Go(func() {
		defer stop()
		// Another Producer of this Client and group is the same member to brokers; the last to leave unregisters it.
		err := m.view.Join(ctx, m.member)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.joined = err == nil
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
