package mqtest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// Example sends an order to a consumer that doesn't want it, and looks at the dead letter. In a test, New closes the
// cluster by itself.
func Example() {
	cluster, err := mqtest.Start(mqtest.Config{
		Topics: map[string]int{"orders": 1},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())

	c, err := consumer.New(client, consumer.Config{
		Group: "billing",
		Topics: map[string]consumer.Topic{"orders": {
			Handler: func(_ context.Context, m *rocketkit.Message) error {
				return consumer.DeadLetter(errors.New("no such customer"))
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	<-c.Ready() // a new group consumes what is sent from then on

	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())
	if _, err := p.Send(ctx, producer.Message{Topic: "orders", Body: []byte("two books")}); err != nil {
		log.Fatal(err)
	}
	if err := cluster.WaitDeadLetters(ctx, "billing", 1); err != nil {
		log.Fatal(err)
	}
	for _, m := range cluster.DeadLetters("billing") {
		fmt.Printf("%s, of topic %s\n", m.Body(), m.Topic())
	}
	stop()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
	// Output:
	// two books, of topic orders
}

// ExampleCluster_Inject lets the broker be busy for one send, which the producer repeats.
func ExampleCluster_Inject() {
	cluster, err := mqtest.Start(mqtest.Config{
		Topics: map[string]int{"orders": 1},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	busy := cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Code: 2, Times: 1}) // SYSTEM_BUSY

	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(context.Background())
	if _, err := p.Send(context.Background(), producer.Message{Topic: "orders", Body: []byte("two books")}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(busy.Count(), "send failed,", len(cluster.Messages("orders")), "message is there")
	// Output:
	// 1 send failed, 1 message is there
}
