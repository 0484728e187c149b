package producer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

const (
	minFindPause = 100 * time.Millisecond
	maxFindPause = 2 * time.Second
)

// membership puts the producer group into the Client's heartbeat, so that RocketMQ's tools list it and brokers know where
// replies go. Sending needs no membership: it waits for no heartbeat, and no failure of one reaches a caller.
type membership struct {
	view   *cluster.View
	member cluster.Member
	begun  atomic.Bool
	checks bool   // check-backs are served: all brokers are to know the group
	end    func() // the serving of check-backs; nil without

	mu      sync.Mutex
	stop    context.CancelFunc // ends the joining
	left    bool
	joined  bool
	joining sync.WaitGroup
}

// serve has the group's check-backs answered, and joins.
func (m *membership) serve(k cluster.Checker) {
	m.checks, m.end = true, m.view.ServeChecks(m.member.Group, k)
	m.join()
}

// findMasters asks the name servers for all brokers, until they have answered.
func (m *membership) findMasters(ctx context.Context) {
	for pause := minFindPause; ; pause = min(2*pause, maxFindPause) {
		if err := m.view.FindMasters(ctx); err == nil || errors.Is(err, remoting.ErrClosed) {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// join joins once. The group is listed when it returns, for a Request of another goroutine too; brokers hear of it in the
// background.
func (m *membership) join() {
	if m.begun.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left || m.begun.Load() {
		return
	}
	defer m.begun.Store(true)
	// Another Producer of this Client and group is the same member to brokers; the last to leave unregisters it.
	m.joined = m.view.Enlist(m.member) == nil
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.joining.Go(func() {
		defer stop()
		if m.checks {
			m.findMasters(ctx)
		}
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
	end := m.end
	m.end = nil
	m.mu.Unlock()
	if end != nil {
		defer end()
	}
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
