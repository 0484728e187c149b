package pool

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// growing is a pool whose items return when they are told to, and what has become of it.
type growing struct {
	*Pool[time.Time] // its items are when they were put

	release       chan struct{}
	started, late atomic.Int64 // late: those that had waited for GrowAfter

	core, most    int
	put, returned int
}

func newGrowing(core, most int) *growing {
	g := &growing{release: make(chan struct{}), core: core, most: max(core, most)}
	g.Pool = New(Config{Core: core, Max: most}, func(put time.Time) {
		if time.Since(put) >= growAfter {
			g.late.Add(1)
		}
		g.started.Add(1)
		<-g.release
	})
	return g
}

func (g *growing) running() int { return int(g.started.Load()) - g.returned }

func (g *growing) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.workers
}

// step does one thing that may happen to a pool.
func (g *growing) step(t *rapid.T) {
	switch rapid.IntRange(0, 5).Draw(t, "step") {
	case 0, 1:
		for range rapid.IntRange(1, 9).Draw(t, "items") {
			g.Put(time.Now())
			g.put++
		}
	case 2:
		g.core = rapid.IntRange(0, 6).Draw(t, "core")
		g.most = max(g.core, rapid.IntRange(0, 12).Draw(t, "most"))
		g.Resize(g.core, g.most)
	case 3:
		for range rapid.IntRange(0, g.running()).Draw(t, "return") {
			g.release <- struct{}{}
			g.returned++
		}
	case 4:
		time.Sleep(time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond)
	default:
		time.Sleep(time.Duration(rapid.IntRange(1, 100).Draw(t, "s")) * time.Second)
	}
	synctest.Wait()
}

// Whatever happens to a pool that may grow: an item waits for core workers to be busy, one that has waited too long for as
// many as there may be; nothing else makes it grow; and it has core workers again after a minute without work.
func TestGrowthIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// A bubble has no deadline, so rapid is kept from asking for it.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			g := newGrowing(rapid.IntRange(0, 4).Draw(t, "core"), rapid.IntRange(0, 9).Draw(t, "most"))
			defer func() {
				g.Stop()
				close(g.release)
				_ = g.Wait(context.Background())
			}()
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				running, late, workers := g.running(), g.late.Load(), g.size()
				g.step(t)
				s := g.Stats()
				if s.Core != g.core || s.Max != g.most || s.Active != g.running() || s.Waiting != g.put-int(g.started.Load()) {
					t.Fatalf("%+v with %d put, %d started, %d returned", s, g.put, g.started.Load(), g.returned)
				}
				if s.Active > max(g.most, running) {
					t.Fatalf("%+v: %d ran before", s, running)
				}
				if s.Waiting > 0 && s.Active < g.core {
					t.Fatalf("%+v: items wait though workers are free", s)
				}
				if s.Waiting > 0 && s.Active < g.most && time.Since(s.Oldest) >= growAfter {
					t.Fatalf("%+v: an item has waited for %v", s, time.Since(s.Oldest))
				}
				if grown := g.size() - max(workers, g.core); grown > int(g.late.Load()-late) {
					t.Fatalf("%+v: grew by %d, but only %d items had waited too long", s, grown, g.late.Load()-late)
				}
			}
			g.Resize(g.core, max(g.most, 1))
			for g.returned < g.put {
				time.Sleep(growAfter)
				synctest.Wait()
				for range g.running() {
					g.release <- struct{}{}
					g.returned++
				}
			}
			time.Sleep(shrinkAfter)
			synctest.Wait()
			if g.size() > g.core {
				t.Fatalf("%d workers, core %d, after a minute without work", g.size(), g.core)
			}
		})
	})
}

// A pool that grows and shrinks all the time, under load from several sides, runs every item once and no more at once than
// any size allowed.
func TestGrowthUnderLoad(t *testing.T) {
	t.Parallel()
	const putters, each, most = 4, 10_000, 40
	runs := make([]atomic.Int32, putters*each)
	var left, active, peak atomic.Int64
	left.Store(putters * each)
	p := New(Config{Core: 1, Max: most, GrowAfter: 20 * time.Microsecond, ShrinkAfter: 50 * time.Microsecond}, func(i int) {
		for now := active.Add(1); now > peak.Load(); {
			peak.Store(now)
		}
		switch {
		case i%500 == 0:
			time.Sleep(100 * time.Microsecond)
		case i%7 == 0:
			runtime.Gosched()
		}
		active.Add(-1)
		runs[i].Add(1)
		left.Add(-1)
	})
	var putting sync.WaitGroup
	for k := range putters {
		putting.Go(func() {
			for i := range each {
				p.Put(k*each + i)
				if rand.IntN(1000) == 0 {
					time.Sleep(200 * time.Microsecond) // long enough for workers to go
				}
				if rand.IntN(2000) == 0 {
					p.Resize(1+rand.IntN(3), most-rand.IntN(10))
				}
			}
		})
	}
	putting.Wait()
	p.Resize(1, most)
	for left.Load() > 0 {
		runtime.Gosched()
	}
	if rest := stop(t, p); len(rest) > 0 {
		t.Errorf("%d items came back though all have run", len(rest))
	}
	for i := range runs {
		if n := runs[i].Load(); n != 1 {
			t.Fatalf("item %d ran %d times", i, n)
		}
	}
	if peak.Load() > most {
		t.Errorf("%d ran at once", peak.Load())
	}
}
