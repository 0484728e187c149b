// Package reader receives messages without a consumer group: the queues that the caller names, or all of a topic, from the
// offsets that the caller names. It is for routers, streaming jobs that keep positions in their own state, and tools.
//
//	r, err := reader.New(client, reader.Config{Topic: "orders", Positions: checkpoint, Start: reader.Earliest()})
//	for m, err := range r.Messages(ctx) {
//		if err != nil {
//			return err
//		}
//		apply(m)
//		if due() {
//			save(r.Positions()) // includes m
//		}
//	}
//
// Nothing is shared out and nothing is committed: several readers of a topic all get all of it, and brokers keep no trace
// of where a reader is. Whoever wants to go on there keeps [Reader.Positions] and gives them to the next Reader.
//
// A queue's messages come in the order of their offsets; between queues there is no order. A Reader has no goroutine of
// its own: the loop over [Reader.Messages] starts them, and none is left when it ends.
package reader
