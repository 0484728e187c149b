package engine

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/pool"
)

// TestBatcherKeepsItsWord, whatever comes when: every message is handed out once and batches are in order, no batch is too large, and
// with a worker to spare none is half-full before its first message has waited, nor any message kept longer.
func TestBatcherKeepsItsWord(t *testing.T) {
	t.Parallel()
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			size, wait := 1+rand.IntN(8), time.Duration(rand.IntN(3)*rand.IntN(50))*time.Millisecond
			q := &queue{topic: &topic{budget: budget{shared: &allowance{}}}}
			w := newWindow(0)
			var b *batcher
			arrived, next := map[uint64]time.Time{}, uint64(0)
			var mu sync.Mutex
			var seen []uint64
			workers := pool.New(pool.Config{Core: 1000}, func(struct{}) {
				batch := b.take()
				mu.Lock()
				defer mu.Unlock()
				for i, one := range batch {
					waited := time.Since(arrived[one.ticket])
					if i == 0 && len(batch) < size && waited < wait {
						t.Errorf("a batch of %d went out after %v: size %d, wait %v", len(batch), waited, size, wait)
					}
					if waited > wait {
						t.Errorf("message %d was kept for %v: size %d, wait %v", one.ticket, waited, size, wait)
					}
					if one.ticket != batch[0].ticket+uint64(i) {
						t.Errorf("message %d is at place %d of a batch that begins with %d", one.ticket, i, batch[0].ticket)
					}
					seen = append(seen, one.ticket)
				}
				if len(batch) > size {
					t.Errorf("a batch of %d, want up to %d", len(batch), size)
				}
				b.settled(len(batch))
			})
			b = newBatcher(size, wait, func() { workers.Put(struct{}{}) })
			for range rand.IntN(40) {
				tasks := make([]task, rand.IntN(12))
				first := w.extend(make([]int64, len(tasks)), 0)
				for i := range tasks {
					tasks[i] = task{queue: q, window: w, ticket: first + uint64(i)}
					mu.Lock()
					arrived[next] = time.Now()
					mu.Unlock()
					next++
				}
				b.add(tasks)
				time.Sleep(time.Duration(rand.IntN(2)*rand.IntN(40)) * time.Millisecond)
				synctest.Wait()
			}
			time.Sleep(wait)
			synctest.Wait()
			slices.Sort(seen)
			if all := len(seen); uint64(all) != next || len(slices.Compact(seen)) != all {
				t.Errorf("%d handed out of %d: %v", all, next, seen)
			}
			if waiting, active := b.counts(); waiting != 0 || active != 0 || b.called != 0 || b.due != 0 {
				t.Errorf("at the end %d wait, %d active, %d tokens, %d due", waiting, active, b.called, b.due)
			}
			b.stop()
			workers.Stop()
		})
	}
}
