package bare

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

// Poll asks a name server for a key's value as so many Clients would, each on a connection of its own, once in every, 20 % more
// or less. It hands the time that each answer took to answered, which is called by many goroutines. It returns when ctx ends, or one of the pollers
// fails.
func Poll(ctx context.Context, nameServer, namespace, key string, pollers int, every time.Duration, answered func(took time.Duration)) error {
	polling, polled := errgroup.WithContext(ctx)
	for range pollers {
		polling.Go(func() error {
			return poll(polled, nameServer, protocol.GetKV{Namespace: namespace, Key: key}, every, answered)
		})
	}
	err := polling.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func poll(ctx context.Context, nameServer string, get protocol.GetKV, every time.Duration, answered func(time.Duration)) error {
	// Clients don't start all at once.
	if err := meter.Pause(ctx, time.Duration(rand.Float64()*float64(every))); err != nil {
		return err
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", nameServer)
	if err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() }) // it ends the read
	defer stop()
	defer func() { _ = nc.Close() }()
	r := bufio.NewReader(nc)
	for opaque := int32(1); ; opaque++ {
		began := time.Now()
		if err := ask(nc, r, get, opaque); err != nil {
			return err
		}
		answered(time.Since(began))
		if err := meter.Pause(ctx, time.Duration((0.8+0.4*rand.Float64())*float64(every))); err != nil {
			return err
		}
	}
}

func ask(nc net.Conn, r *bufio.Reader, get protocol.GetKV, opaque int32) error {
	f := get.Frame()
	f.Opaque = opaque
	text, err := frame.Append(nil, f)
	if err != nil {
		return err
	}
	if _, err := nc.Write(text); err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	answer, err := frame.Read(r)
	if err != nil {
		return ended(err)
	}
	_, found, err := protocol.ParseGetKV(answer)
	if err == nil && !found {
		err = fmt.Errorf("bare: the name server has no %s in %s", get.Key, get.Namespace)
	}
	return err
}
