package bare

import (
	"sync"
	"time"
)

// Work has workers take items from a channel and sleep over each, and returns when all items are done. It calls done
// after each.
func Work(workers int, items int64, work time.Duration, done func()) {
	queue := make(chan struct{}, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range queue {
				time.Sleep(work)
				done()
			}
		})
	}
	for range items {
		queue <- struct{}{}
	}
	close(queue)
	group.Wait()
}
