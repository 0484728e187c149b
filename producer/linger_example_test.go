package producer_test

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/producer"
)

// ExampleLinger has many callers share requests. Each gets the outcome of its own message.
func ExampleLinger() {
	cluster, client := start("orders")
	defer cluster.Close()
	defer client.Close(context.Background())
	p, err := producer.New(client, producer.Config{Linger: producer.Linger{Wait: 5 * time.Millisecond}})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())

	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if _, err := p.Send(ctx, producer.Message{Topic: "orders", Body: fmt.Appendf(nil, "order %d", i)}); err != nil {
				log.Print(err)
			}
		})
	}
	callers.Wait()
	fmt.Println(len(cluster.Messages("orders")), "messages")
	// Output:
	// 100 messages
}

// ExampleProducer_SendAsync sends without waiting; Close waits for all that is under way.
func ExampleProducer_SendAsync() {
	cluster, p, stop := startProducer("orders")
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, state := range []string{"created", "paid", "shipped"} {
		m := producer.Message{Topic: "orders", ShardingKey: "order-4711", Body: []byte(state)}
		p.SendAsync(ctx, m, func(r producer.Receipt, err error) {
			if err != nil {
				log.Print(err)
				return
			}
			fmt.Println(state, "at offset", r.Offset)
		})
	}
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(cluster.Messages("orders")), "messages")
	// Output:
	// created at offset 0
	// paid at offset 1
	// shipped at offset 2
	// 3 messages
}
