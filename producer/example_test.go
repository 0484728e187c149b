package producer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/producer"
)

func Example() {
	cfg, err := rocketkit.FromEnv(os.LookupEnv)
	if err != nil {
		log.Fatal(err)
	}
	client, err := rocketkit.Open(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())

	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	receipt, err := p.Send(ctx, producer.Message{
		Topic: "orders",
		Tag:   "created",
		Keys:  []string{"order-4711"},
		Body:  []byte(`{"id": 4711}`),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored", receipt.ID, "in", receipt.Queue, "at", receipt.Offset)
}

// Messages with one sharding key keep their order: they go to one queue, and wait for its broker when that is away.
func ExampleProducer_Send_order() {
	var p *producer.Producer // see the package's example
	ctx := context.Background()

	for _, state := range []string{"created", "paid", "shipped"} {
		_, err := p.Send(ctx, producer.Message{Topic: "orders", ShardingKey: "order-4711", Body: []byte(state)})
		if err != nil {
			log.Fatal(err)
		}
	}
}

// A delayed message is stored at once and delivered later; level 3 is 10 s on a broker with RocketMQ's defaults.
func ExampleProducer_Send_delay() {
	var p *producer.Producer // see the package's example
	ctx := context.Background()

	_, err := p.Send(ctx, producer.Message{Topic: "reminders", DelayLevel: 3, Body: []byte("cart is still full")})
	if err != nil {
		log.Fatal(err)
	}
}

// A batch is stored whole or not at all, in one queue, with one request.
func ExampleProducer_SendBatch() {
	var p *producer.Producer // see the package's example
	ctx := context.Background()

	receipts, err := p.SendBatch(ctx, []producer.Message{
		{Topic: "clicks", Body: []byte("home")},
		{Topic: "clicks", Body: []byte("cart")},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range receipts {
		fmt.Println(r.Queue, r.Offset)
	}
}

// Send retries by itself until its context ends. Who keeps messages to send them later asks which are worth it.
func ExampleRetryable() {
	var p *producer.Producer // see the package's example
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()

	_, err := p.Send(ctx, producer.Message{Topic: "orders", Body: []byte("x")})
	switch {
	case err == nil:
	case producer.Retryable(err):
		log.Println("keep it for later:", err)
	case errors.Is(err, rocketkit.ErrNoRoute):
		log.Println("create the topic:", err)
	default:
		code, remark, _ := rocketkit.Code(err)
		log.Println("it will never be taken:", code, remark, err)
	}
}
