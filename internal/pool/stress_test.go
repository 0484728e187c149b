package pool

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// Puts, changes of size and returning items in any order: whenever nothing moves, either nothing waits or all workers are busy,
// items have started in order, and no more started than the size then allowed.
func TestNoItemWaitsForAnIdleWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// A bubble has no deadline, so rapid is kept from asking for it.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			release := make(chan struct{})
			var started atomic.Int64
			size := rapid.IntRange(0, 6).Draw(t, "size")
			p := New(Config{Core: size}, func(i int) {
				started.Add(1)
				<-release
			})
			put, returned := 0, 0
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				before := int(started.Load()) - returned
				switch rapid.IntRange(0, 3).Draw(t, "step") {
				case 0, 1:
					for range rapid.IntRange(1, 9).Draw(t, "items") {
						p.Put(put)
						put++
					}
				case 2:
					size = rapid.IntRange(0, 12).Draw(t, "resize")
					p.Resize(size, 0)
				default:
					for range rapid.IntRange(0, before).Draw(t, "return") {
						release <- struct{}{}
						returned++
					}
				}
				synctest.Wait()
				s, now := p.Stats(), int(started.Load())
				if s.Active != now-returned || s.Waiting != put-now || s.Workers != size {
					t.Fatalf("%+v with %d put, %d started, %d returned and a size of %d", s, put, now, returned, size)
				}
				if s.Waiting > 0 && s.Active < size {
					t.Fatalf("%+v: items wait though workers are free", s)
				}
				if s.Active > max(size, before) {
					t.Fatalf("%+v: %d ran before", s, before)
				}
			}
			rest := p.Stop()
			close(release)
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			for k, i := range rest {
				if i != int(started.Load())+k {
					t.Fatalf("item %d came back at place %d behind %d that started", i, k, started.Load())
				}
			}
		})
	})
}

// Under load from several sides and with sizes from 1 to 256, every item runs once, and never more at once than any size allowed.
func TestResizeUnderLoad(t *testing.T) {
	t.Parallel()
	const putters, each = 4, 25_000
	runs := make([]atomic.Int32, putters*each)
	var left atomic.Int64
	left.Store(putters * each)
	p := New(Config{Core: 1}, func(i int) {
		if i%16 == 0 {
			runtime.Gosched()
		}
		runs[i].Add(1)
		left.Add(-1)
	})
	var putting sync.WaitGroup
	for k := range putters {
		putting.Go(func() {
			for i := 0; i < each; {
				n := min(1+rand.IntN(32), each-i)
				batch := make([]int, n)
				for b := range batch {
					batch[b] = k*each + i + b
				}
				p.Put(batch...)
				i += n
			}
		})
	}
	for _, size := range []int{256, 1, 64, 2, 0, 256, 1} {
		p.Resize(size, 0)
		for goal := left.Load() - putters*each/10; size > 0 && left.Load() > max(goal, 0); {
			runtime.Gosched()
		}
	}
	putting.Wait()
	p.Resize(256, 0)
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
}

// Stop in the middle of everything: what ran and what came back are all, once.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	for range 200 {
		var ran, refused atomic.Int64
		p := New(Config{Core: 4}, func(int) { ran.Add(1) })
		var putting sync.WaitGroup
		for range 3 {
			putting.Go(func() {
				for range 100 {
					if !p.Put(1, 2, 3) {
						refused.Add(3)
					}
				}
			})
		}
		for range rand.IntN(20) {
			runtime.Gosched()
		}
		rest := int64(len(stop(t, p)))
		after := ran.Load()
		putting.Wait()
		if ran.Load() != after || ran.Load()+rest+refused.Load() != 900 {
			t.Fatalf("%d ran, %d of them after Wait, %d came back, %d were refused, of 900", ran.Load(), ran.Load()-after, rest, refused.Load())
		}
	}
}
