package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// Example is a service that sends and consumes. It runs on an in-process cluster; a service has its Config from
// rocketkit.FromEnv instead.
func Example() {
	cluster := start()
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer client.Close(context.Background())

	c, err := consumer.New(client, consumer.Config{
		Group: "billing",
		Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{
			"orders": {Workers: 4, Handler: func(_ context.Context, m *rocketkit.Message) error {
				fmt.Printf("%s %s: %s\n", m.Topic(), m.Keys()[0], m.Body())
				stop() // a service runs until it is interrupted
				return nil
			}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	send(client, producer.Message{Topic: "orders", Keys: []string{"order-7"}, Body: []byte("two books")})
	if err := rocketkit.Run(ctx, c); err != nil {
		log.Fatal(err)
	}
	// Output:
	// orders order-7: two books
}

// ExampleRetryIn has a message delivered again a second later.
func ExampleRetryIn() {
	cluster := start()
	defer cluster.Close()
	consumeUntil(cluster, "orders", "billing", func(_ context.Context, m *rocketkit.Message) error {
		if m.Attempt() == 1 {
			fmt.Println("the ledger is busy")
			return consumer.RetryIn(time.Second, errors.New("the ledger is busy"))
		}
		fmt.Printf("attempt %d: %s\n", m.Attempt(), m.Body())
		return nil
	}, producer.Message{Topic: "orders", Body: []byte("two books")})
	// Output:
	// the ledger is busy
	// attempt 2: two books
}

// ExampleDeadLetter gives a message up at once. What lies in the dead-letter topic can be consumed like any topic, here
// by a group of its own.
func ExampleDeadLetter() {
	cluster := start()
	defer cluster.Close()
	consumeUntil(cluster, "orders", "billing", func(context.Context, *rocketkit.Message) error {
		return consumer.DeadLetter(errors.New("no such customer"))
	}, producer.Message{Topic: "orders", Body: []byte("two books")})

	consumeUntil(cluster, "%DLQ%billing", "undertaker", func(_ context.Context, m *rocketkit.Message) error {
		fmt.Printf("dead letter: %s\n", m.Body())
		return nil
	})
	// Output:
	// dead letter: two books
}

// ExampleOrder keeps the order of each account's entries, and handles those of different accounts at the same time. A
// failing entry is retried before the account's next.
func ExampleOrder() {
	cluster := start()
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	for _, entry := range []string{"opened", "paid in", "closed"} { // each is sent when the one before it is stored
		send(client, producer.Message{Topic: "orders", ShardingKey: "account-7", Body: []byte(entry)})
	}

	ctx, stop := context.WithCancel(context.Background())
	book := func(_ context.Context, m *rocketkit.Message) error {
		if string(m.Body()) == "paid in" && m.Attempt() == 1 {
			return consumer.RetryIn(50*time.Millisecond, errors.New("the ledger is busy"))
		}
		fmt.Printf("%s %s, attempt %d\n", m.ShardingKey(), m.Body(), m.Attempt())
		if string(m.Body()) == "closed" {
			stop()
		}
		return nil
	}
	c, err := consumer.New(client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: book, Order: consumer.OrderKey}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := rocketkit.Run(ctx, c); err != nil {
		log.Fatal(err)
	}
	// Output:
	// account-7 opened, attempt 1
	// account-7 paid in, attempt 2
	// account-7 closed, attempt 1
}

// ExampleBatching books orders several at once: one that can't be booked goes to the dead letters alone.
func ExampleBatching() {
	cluster := start()
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	ctx, stop := context.WithCancel(context.Background())
	book := func(_ context.Context, b *consumer.Batch) error {
		var orders []string
		for i, m := range b.Messages() {
			if string(m.Body()) == "nothing" {
				b.Set(i, consumer.DeadLetter(errors.New("there is nothing to book")))
				continue
			}
			orders = append(orders, string(m.Body()))
		}
		slices.Sort(orders)
		fmt.Printf("booked %d of %d: %s\n", len(orders), b.Len(), strings.Join(orders, ", "))
		stop()     // a service runs until it is interrupted
		return nil // for all that have no verdict of their own
	}
	c, err := consumer.New(client, consumer.Config{
		Group: "billing",
		Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{
			"orders": {Workers: 2, Batch: consumer.Batching{Handler: book, Size: 3, Wait: time.Minute}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, order := range []string{"two books", "nothing", "a pen"} {
		send(client, producer.Message{Topic: "orders", Body: []byte(order)})
	}
	if err := rocketkit.Run(ctx, c); err != nil {
		log.Fatal(err)
	}
	fmt.Println("dead letters:", len(cluster.DeadLetters("billing")))
	// Output:
	// booked 2 of 3: a pen, two books
	// dead letters: 1
}

// ExampleJSON takes messages as values; what can't be decoded goes to the dead letters.
func ExampleJSON() {
	cluster := start()
	defer cluster.Close()
	type order struct {
		Item  string `json:"item"`
		Count int    `json:"count"`
	}
	onOrder := func(_ context.Context, m *rocketkit.Message, o order) error {
		fmt.Printf("%s: %d of %s\n", m.Topic(), o.Count, o.Item)
		return nil
	}
	consumeUntil(cluster, "orders", "billing", consumer.JSON(onOrder),
		producer.Message{Topic: "orders", Body: []byte(`{"item": "book", "count": 2}`)},
		producer.Message{Topic: "orders", Body: []byte(`{"item": "book", "count": "two"}`)},
	)
	fmt.Printf("dead letter: %s\n", cluster.DeadLetters("billing")[0].Body())
	// Output:
	// orders: 2 of book
	// dead letter: {"item": "book", "count": "two"}
}

// start gives an in-process cluster with the topic "orders".
func start() *mqtest.Cluster {
	cluster, err := mqtest.Start(mqtest.Config{
		Topics: map[string]int{"orders": 4},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	return cluster
}

func send(client *rocketkit.Client, messages ...producer.Message) {
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())
	for _, m := range messages {
		if _, err := p.Send(context.Background(), m); err != nil {
			log.Fatal(err)
		}
	}
}

// consumeUntil sends messages and runs a consumer until its group has consumed the topic, retries included.
func consumeUntil(cluster *mqtest.Cluster, topic, group string, handler consumer.Handler, messages ...producer.Message) {
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	send(client, messages...)
	c, err := consumer.New(client, consumer.Config{
		Group: group, Start: consumer.Earliest(), Topics: map[string]consumer.Topic{topic: {Handler: handler}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	go func() {
		defer stop()
		<-c.Ready()
		if err := cluster.WaitConsumed(ctx, group, topic); err != nil {
			log.Print(err)
		}
	}()
	if err := rocketkit.Run(ctx, c); err != nil {
		log.Fatal(err)
	}
}
