package producer

import (
	"sync"
	"sync/atomic"
)

// gate counts who is inside until it is closed and the last has left. It takes no lock, as every Send passes it twice.
type gate struct {
	state atomic.Int64 // who is inside; closedBit when closed
	once  sync.Once
	idle  chan struct{} // closed when the gate is closed and nobody is inside
}

const closedBit = 1 << 62

// enter counts the caller in, or tells that the gate is closed.
func (g *gate) enter() bool {
	if g.state.Add(1)&closedBit == 0 {
		return true
	}
	g.leave()
	return false
}

// enterWith counts one more in for somebody who is inside, whether or not the gate is closed.
func (g *gate) enterWith() { g.state.Add(1) }

func (g *gate) leave() {
	if g.state.Add(-1) == closedBit {
		g.once.Do(func() { close(g.idle) })
	}
}

// close lets nobody in any more. It may be called again.
func (g *gate) close() {
	if g.state.Or(closedBit)&^closedBit == 0 {
		g.once.Do(func() { close(g.idle) })
	}
}

func (g *gate) inside() int64 { return g.state.Load() &^ closedBit }
