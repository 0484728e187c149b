package producer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// Example sends one message. It runs on an in-process cluster; a service has its Config from rocketkit.FromEnv instead.
func Example() {
	cluster, client := start("orders")
	defer cluster.Close()
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
	fmt.Println(receipt.Status, "at offset", receipt.Offset, "of", receipt.Queue.Topic)
	// Output:
	// SEND_OK at offset 0 of orders
}

// ExampleProducer_Send_order sends messages that belong together with one sharding key: they keep their order, because
// they go to one queue.
func ExampleProducer_Send_order() {
	_, p, stop := startProducer("orders")
	defer stop()
	queues := map[rocketkit.Queue]bool{}
	for _, state := range []string{"created", "paid", "shipped"} {
		receipt, err := p.Send(context.Background(), producer.Message{
			Topic: "orders", ShardingKey: "order-4711", Body: []byte(state),
		})
		if err != nil {
			log.Fatal(err)
		}
		queues[receipt.Queue] = true
		fmt.Println(state, "at offset", receipt.Offset)
	}
	fmt.Println("queues:", len(queues))
	// Output:
	// created at offset 0
	// paid at offset 1
	// shipped at offset 2
	// queues: 1
}

// ExampleProducer_Send_delay sends a message that is stored at once and delivered later; level 1 is 1 s on a broker with
// RocketMQ's defaults.
func ExampleProducer_Send_delay() {
	cluster, p, stop := startProducer("reminders")
	defer stop()
	if _, err := p.Send(context.Background(), producer.Message{
		Topic: "reminders", DelayLevel: 1, Body: []byte("the cart is still full"),
	}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("deliverable at once:", len(cluster.Messages("reminders")))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := cluster.WaitMessages(ctx, "reminders", 1); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("later: %s\n", cluster.Messages("reminders")[0].Body())
	// Output:
	// deliverable at once: 0
	// later: the cart is still full
}

// ExampleProducer_SendBatch stores a batch, whole or not at all, in one queue, with one request.
func ExampleProducer_SendBatch() {
	_, p, stop := startProducer("clicks")
	defer stop()
	receipts, err := p.SendBatch(context.Background(), []producer.Message{
		{Topic: "clicks", Body: []byte("home")},
		{Topic: "clicks", Body: []byte("cart")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipts[0].Offset, receipts[1].Offset, receipts[0].Queue == receipts[1].Queue)
	// Output:
	// 0 1 true
}

// ExampleProducer_Transact takes an order into a database, here a map, and tells others of it, both or neither. Check is
// what brokers ask about orders whose process was killed before it could say.
func ExampleProducer_Transact() {
	cluster, client := start("orders")
	defer cluster.Close()
	defer client.Close(context.Background())

	var database sync.Map
	check := func(_ context.Context, m *rocketkit.Message) error {
		// An order that isn't there is made void, lest a local step that is late takes it after all.
		if state, _ := database.LoadOrStore(m.Keys()[0], "void"); state == "void" {
			return producer.Rollback(nil)
		}
		return nil
	}
	p, err := producer.New(client, producer.Config{Group: "checkout", Check: check})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, credit := range []bool{true, false} {
		_, err = p.Transact(ctx, producer.Message{Topic: "orders", Keys: []string{"order-4711"}, Body: []byte("two books")},
			func(context.Context) error {
				if !credit {
					return producer.Rollback(errors.New("no credit"))
				}
				database.Store("order-4711", "taken")
				return nil
			})
		switch {
		case errors.Is(err, producer.ErrRolledBack):
			fmt.Println("refused")
		case errors.Is(err, producer.ErrLeftToCheck):
			fmt.Println("to be seen")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println("taken")
		}
	}
	fmt.Println("delivered:", len(cluster.Messages("orders")))
	// Output:
	// taken
	// refused
	// delivered: 1
}

// ExampleRetryable tells apart what is worth sending again later. Send itself retries until its context ends.
func ExampleRetryable() {
	_, p, stop := startProducer("orders")
	defer stop()
	_, err := p.Send(context.Background(), producer.Message{Topic: "odrers", Body: []byte("two books")})
	switch {
	case err == nil:
	case producer.Retryable(err):
		fmt.Println("keep it for later")
	case errors.Is(err, rocketkit.ErrNoRoute):
		fmt.Println("there is no such topic")
	default:
		code, remark, _ := rocketkit.Code(err)
		fmt.Println("it will never be taken:", code, remark)
	}
	// Output:
	// there is no such topic
}

// ExampleProducer_Request asks, and a consumer answers.
func ExampleProducer_Request() {
	cluster, client := start("price-questions")
	defer cluster.Close()
	defer client.Close(context.Background())
	p, err := producer.New(client, producer.Config{Group: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())

	answers, err := consumer.New(client, consumer.Config{
		Group: "prices",
		Topics: map[string]consumer.Topic{"price-questions": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			_, err := p.Reply(ctx, m, producer.Message{Body: []byte(string(m.Body()) + " costs 3.50")})
			return err
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rocketkit.Run(ctx, answers) }()
	<-answers.Ready()

	asked, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := p.Request(asked, producer.Message{Topic: "price-questions", Body: []byte("coffee")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(reply.Body()))
	stop()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
	// Output:
	// coffee costs 3.50
}

// start gives an in-process cluster with a topic, and a client of it.
func start(topic string) (*mqtest.Cluster, *rocketkit.Client) {
	cluster, err := mqtest.Start(mqtest.Config{
		Topics: map[string]int{topic: 4},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	return cluster, client
}

// startProducer gives a producer too, and what closes all three.
func startProducer(topic string) (*mqtest.Cluster, *producer.Producer, func()) {
	cluster, client := start(topic)
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		log.Fatal(err)
	}
	return cluster, p, func() {
		ctx := context.Background()
		if err := errors.Join(p.Close(ctx), client.Close(ctx), cluster.Close()); err != nil {
			log.Fatal(err)
		}
	}
}

// ExampleProducer_Recall takes a message back before its time has come.
func ExampleProducer_Recall() {
	_, p, stop := startProducer("reminders")
	defer stop()
	ctx := context.Background()
	receipt, err := p.Send(ctx, producer.Message{
		Topic: "reminders", Delay: 24 * time.Hour, Body: []byte("the cart is still full"),
	})
	if err != nil {
		log.Fatal(err)
	}
	id, err := p.Recall(ctx, "reminders", receipt.RecallHandle)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("recalled:", id == receipt.ID)
	// Output:
	// recalled: true
}

// ExampleProducer_SendOneWay sends what may get lost, to a queue of its own choice.
func ExampleProducer_SendOneWay() {
	cluster, p, stop := startProducer("clicks")
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	queues, err := p.Queues(ctx, "clicks")
	if err != nil {
		log.Fatal(err)
	}
	if err := p.SendOneWay(ctx, producer.Message{Topic: "clicks", Queue: queues[3], Body: []byte("home")}); err != nil {
		log.Fatal(err)
	}
	if err := cluster.WaitMessages(ctx, "clicks", 1); err != nil {
		log.Fatal(err)
	}
	m := cluster.Messages("clicks")[0]
	fmt.Printf("%s in queue %d\n", m.Body(), m.Queue().ID)
	// Output:
	// home in queue 3
}

// ExampleProducer_Stats shows what operators see of a send that failed.
func ExampleProducer_Stats() {
	_, p, stop := startProducer("orders")
	defer stop()
	for _, topic := range []string{"orders", "odrers"} {
		_, _ = p.Send(context.Background(), producer.Message{Topic: topic, Body: []byte("two books")}) // looked at below
	}
	s := p.Stats()
	fmt.Println("sent", s.Sent, "failed", s.Failed)
	for _, f := range s.Failures {
		fmt.Println(f.Topic, "after", f.Attempts, "attempt:", f.Error)
	}
	// Output:
	// sent 1 failed 1
	// odrers after 1 attempt: send odrers: no name server knows this topic: create it first, or check its name and tenant
}
