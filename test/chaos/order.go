//go:build unix

package main

import (
	"fmt"

	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

// ourOrders are the orders that rocketkit's consumer keeps; there is a row for each where a scenario has it.
func ourOrders() []ledger.Order {
	return []ledger.Order{ledger.Unordered, ledger.ByQueue, ledger.ByKey}
}

// keep has a topic keep an order.
func keep(t *consumer.Topic, order ledger.Order) error {
	switch order {
	case ledger.Unordered:
	case ledger.ByQueue:
		t.Order = consumer.OrderQueue
	case ledger.ByKey:
		t.Order = consumer.OrderKey
	default:
		return fmt.Errorf("rocketkit keeps no order by %s", order)
	}
	return nil
}
