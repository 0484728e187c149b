//go:build unix

package main

import (
	"errors"

	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

// ourOrders are the orders that rocketkit's consumer keeps; there is a row for each where a scenario has it.
func ourOrders() []ledger.Order { return []ledger.Order{ledger.Unordered} }

// keep has a topic keep an order.
func keep(_ *consumer.Topic, order ledger.Order) error {
	if order != ledger.Unordered {
		return errors.New("rocketkit keeps no order by " + string(order))
	}
	return nil
}
