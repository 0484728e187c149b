//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rocketkit/rocketkit/test/chaos/ledger"
	"github.com/rocketkit/rocketkit/test/peer"
)

// member is a consumer process.
type member interface {
	Queues(topic string) []peer.Queue
	Stop(ctx context.Context) error // in order
	Kill()
	Signal(s os.Signal) error
}

// library is one whose consumers are tried.
type library struct {
	name   string
	orders []ledger.Order
	start  func(ctx context.Context, cfg peer.ConsumerConfig, order ledger.Order, log io.Writer) (member, error)
}

const rocketkitName = "rocketkit"

// libraries are all that there are.
func libraries() []library {
	all := []library{{name: rocketkitName, orders: ourOrders(), start: startOurs}}
	for _, p := range peer.Libraries() {
		all = append(all, library{
			name: p.String(), orders: []ledger.Order{ledger.Unordered, ledger.ByQueue},
			start: func(ctx context.Context, cfg peer.ConsumerConfig, order ledger.Order, log io.Writer) (member, error) {
				cfg.Orderly = order == ledger.ByQueue
				c, err := p.StartConsumer(ctx, cfg, log)
				if err != nil {
					return nil, err // and no member that is a nil pointer
				}
				return c, nil
			},
		})
	}
	return all
}

// startOurs starts this program once more.
func startOurs(ctx context.Context, cfg peer.ConsumerConfig, order ledger.Order, log io.Writer) (member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("chaos: find the program that runs, to run it as a consumer: %w", err)
	}
	c, err := peer.StartConsumer(ctx, rocketkitName, []string{program, memberCommand, string(order)}, cfg, log)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// chosen are the libraries of a comma-separated list.
func chosen(list string) ([]library, error) {
	var some []library
	for _, name := range strings.Split(list, ",") {
		found := false
		for _, l := range libraries() {
			if l.name == strings.TrimSpace(name) {
				some, found = append(some, l), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-lib: there is no library %q: choose of rocketkit, client-go and java", name)
		}
	}
	return some, nil
}
