package pool

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkPool puts items as a pull loop does: so many at a time, and no more than 2,048 that haven't returned.
func BenchmarkPool(b *testing.B) {
	for _, batch := range []int{1, 32} {
		for _, workers := range []int{1, 16, 200} {
			b.Run(fmt.Sprintf("trivial/batch=%d/workers=%d", batch, workers), func(b *testing.B) {
				drive(b, Config{Core: workers}, batch, func() {})
			})
		}
		b.Run(fmt.Sprintf("trivial/batch=%d/workers=16to64", batch), func(b *testing.B) {
			drive(b, Config{Core: 16, Max: 64}, batch, func() {})
		})
	}
	b.Run("1ms/batch=32/workers=200", func(b *testing.B) {
		drive(b, Config{Core: 200}, 32, func() { time.Sleep(time.Millisecond) })
	})
}

func drive(b *testing.B, cfg Config, batch int, work func()) {
	b.Helper()
	b.ReportAllocs()
	credits := make(chan struct{}, 2048/batch)
	for range cap(credits) {
		credits <- struct{}{}
	}
	var returned atomic.Int64
	p := New(cfg, func(*int) {
		work()
		if returned.Add(1)%int64(batch) == 0 {
			credits <- struct{}{}
		}
	})
	items := make([]*int, batch)
	for left := b.N; left > 0; left -= batch {
		<-credits
		p.Put(items...)
	}
	for range cap(credits) {
		<-credits
	}
	p.Stop()
	if err := p.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
}
