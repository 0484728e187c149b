package child

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/test/bench/bare"
	"github.com/rocketkit/rocketkit/test/peer/line"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

func (c *child) bareConsume(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	m := meter.New(l.Int("from"), l.Int("to"), l.Int("all"), mark)
	var seen int64
	err := bare.Pull(ctx, c.options.Broker, l.Get("topic"), l.Get("group"), int(l.Int("queues")), func(n int64) bool {
		m.Add(n)
		seen += n
		return seen >= l.Int("all")
	})
	if err != nil {
		return meter.Figures{}, fmt.Errorf("%d messages: %w", seen, err)
	}
	return m.Wait(ctx)
}

func (c *child) bareSend(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var sent atomic.Int64
	ended := make(chan error, 1)
	go func() {
		err := bare.Send(ctx, c.options.Broker, l.Get("topic"), l.Get("group"), int(l.Int("queues")), int(l.Int("callers")),
			int(l.Int("size")), func(n int64) { sent.Add(n) })
		stop(err)
		ended <- err
	}()
	f, err := meter.Stretch(ctx, time.Duration(l.Int("warm")), time.Duration(l.Int("stretch")), mark, sent.Load)
	stop(nil)
	return f, errors.Join(err, <-ended)
}

func bareWork(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	m := meter.New(l.Int("from"), l.Int("to"), l.Int("all"), mark)
	bare.Work(int(l.Int("workers")), l.Int("all"), time.Duration(l.Int("work")), func() { m.Add(1) })
	return m.Wait(ctx)
}
