package child

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/peer/line"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

// consume runs a consumer of a new group from a topic's beginning.
func (c *child) consume(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	if l.Get("warmup") == "" {
		if err := c.warm(); err != nil {
			return meter.Figures{}, err
		}
	}
	m := meter.New(l.Int("from"), l.Int("to"), l.Int("all"), mark)
	work := time.Duration(l.Int("work"))
	handle := func(context.Context, *rocketkit.Message) error {
		if work > 0 {
			time.Sleep(work)
		}
		m.Add(1)
		return nil
	}
	member, err := consumer.New(c.client, consumer.Config{
		Group: l.Get("group"), Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{l.Get("topic"): {Handler: handle, Workers: int(l.Int("workers"))}},
	})
	if err != nil {
		return meter.Figures{}, err
	}
	var f meter.Figures
	err = during(ctx, member, func(ctx context.Context) error {
		f, err = m.Wait(ctx)
		return err
	})
	return f, err
}

// during runs a consumer while something else runs. Whichever ends first ends the other.
func during(ctx context.Context, member *consumer.Consumer, run func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error, 1)
	go func() {
		err := rocketkit.Run(ctx, member)
		stop(errors.Join(errors.New("the consumer has ended"), err))
		ended <- err
	}()
	err := run(ctx)
	stop(nil)
	return errors.Join(err, <-ended)
}

// send has callers send one message after the other.
func (c *child) send(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	return c.sending(ctx, l, mark, int(l.Int("callers")), func(ctx context.Context, p *producer.Producer, m producer.Message, stored func(error)) {
		_, err := p.Send(ctx, m)
		stored(err)
	})
}

// sendAsync has one caller send without waiting.
func (c *child) sendAsync(ctx context.Context, l line.Line, mark func()) (meter.Figures, error) {
	return c.sending(ctx, l, mark, 1, func(ctx context.Context, p *producer.Producer, m producer.Message, stored func(error)) {
		p.SendAsync(ctx, m, func(_ producer.Receipt, err error) { stored(err) })
	})
}

func (c *child) sending(ctx context.Context, l line.Line, mark func(), callers int,
	send func(context.Context, *producer.Producer, producer.Message, func(error)),
) (meter.Figures, error) {
	if l.Get("warmup") == "" {
		if err := c.warm(); err != nil {
			return meter.Figures{}, err
		}
	}
	p, err := producer.New(c.client, producer.Config{Group: l.Get("group"), Linger: producer.Linger{Wait: time.Duration(l.Int("linger"))}})
	if err != nil {
		return meter.Figures{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var sent atomic.Int64
	stored := func(err error) {
		if err != nil {
			stop(err)
		}
		sent.Add(1)
	}
	var calling sync.WaitGroup
	m := producer.Message{Topic: l.Get("topic"), Body: bytes.Repeat([]byte{'x'}, int(l.Int("size")))}
	for range callers {
		calling.Go(func() {
			for ctx.Err() == nil {
				send(context.WithoutCancel(ctx), p, m, stored)
			}
		})
	}
	f, err := meter.Stretch(ctx, time.Duration(l.Int("warm")), time.Duration(l.Int("stretch")), mark, sent.Load)
	stop(nil)
	calling.Wait()
	return f, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
}
