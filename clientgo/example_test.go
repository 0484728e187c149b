package clientgo_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/clientgo"
	"github.com/rocketkit/rocketkit/mqtest"
)

// Example sends and receives with client-go's types. Where it says clientgo, it said rocketmq before. It runs on an
// in-process cluster; a service has its Config from rocketkit.FromEnv.
func Example() {
	client, stop := example()
	defer stop()

	c, err := clientgo.NewPushConsumer(client,
		consumer.WithGroupName("billing"),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	)
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	onOrder := func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			fmt.Printf("%s %s: %s\n", m.GetTags(), m.GetKeys(), m.Body)
		}
		close(done)
		return consumer.ConsumeSuccess, nil
	}
	if err := c.Subscribe("orders", consumer.MessageSelector{}, onOrder); err != nil {
		log.Fatal(err)
	}
	if err := c.Start(); err != nil {
		log.Fatal(err)
	}

	p, err := clientgo.NewProducer(client, producer.WithGroupName("checkout"))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(); err != nil {
		log.Fatal(err)
	}
	m := primitive.NewMessage("orders", []byte("two books")).WithTag("created").WithKeys([]string{"order-4711"})
	if _, err := p.SendSync(context.Background(), m); err != nil {
		log.Fatal(err)
	}
	<-done
	if err := errors.Join(c.Shutdown(), p.Shutdown()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// created order-4711: two books
}

// ExampleNewPushConsumer_refused shows what becomes of an option that can't be carried over.
func ExampleNewPushConsumer_refused() {
	client, stop := example()
	defer stop()
	_, err := clientgo.NewPushConsumer(client,
		consumer.WithGroupName("billing"),
		consumer.WithInstance("billing-1"),
	)
	fmt.Println(errors.Is(err, rocketkit.ErrConfig), err)
	// Output:
	// true clientgo: consumer.WithInstance: is the rocketkit.Client's: leave it out, and set rocketkit.Config.Instance: invalid configuration
}

// example gives a client of an in-process cluster.
func example() (*rocketkit.Client, func()) {
	cluster, err := mqtest.Start(mqtest.Config{Topics: map[string]int{"orders": 4}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	return client, func() {
		if err := errors.Join(client.Close(context.Background()), cluster.Close()); err != nil {
			log.Fatal(err)
		}
	}
}
