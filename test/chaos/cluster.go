//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

// server is a broker or a name server that can be taken away. Start returns when it serves again: a broker answers and is
// known to the name server.
type server interface {
	Stop(ctx context.Context) error
	Kill() error
	Start(ctx context.Context) error
}

// cluster is what the consumers work on.
type cluster struct {
	nameServers        []string
	nameServer, broker server
	close              func() error
}

// startRocketMQ starts a real one: a name server and a broker.
func startRocketMQ(ctx context.Context, log io.Writer) (cluster, error) {
	c, err := testcluster.Start(ctx, testcluster.Config{Log: log})
	if err != nil {
		return cluster{}, err
	}
	return cluster{nameServers: c.NameServers(), nameServer: c.NameServer(0), broker: c.Broker(0), close: c.Close}, nil
}

// reset has a group go back, in all queues of a topic, to what was stored at a time (INVOKE_BROKER_TO_RESET_OFFSET 222),
// as mqadmin resetOffsetByTime does. It returns the first offset wanted again of each queue.
func reset(ctx context.Context, client *rocketkit.Client, group, topic string, to time.Time) (map[ledger.Place]int64, error) {
	view := client.Cluster()
	route, err := view.Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	from := map[ledger.Place]int64{}
	for _, broker := range route.Brokers() {
		address, err := view.Master(ctx, topic, broker)
		if err != nil {
			return nil, err
		}
		answer, err := view.Call(ctx, address, protocol.ResetOffset{Group: group, Topic: topic, Time: to.UnixMilli(), Force: true}.Frame())
		if err != nil {
			return nil, err
		}
		offsets, err := protocol.ParseResetOffset(answer)
		if err != nil {
			return nil, err
		}
		for q, offset := range offsets {
			from[ledger.Place{Broker: q.Broker, Queue: int(q.ID)}] = offset
		}
	}
	if len(from) == 0 {
		return nil, fmt.Errorf("the reset of %s moved no queue", group)
	}
	return from, nil
}
