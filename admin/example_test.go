package admin_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// ExampleAdmin_MessagesByKey finds an order's messages, and one of them again by its id.
func ExampleAdmin_MessagesByKey() {
	cluster, err := mqtest.Start(mqtest.Config{Topics: map[string]int{"orders": 4}})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	defer client.Close(ctx)
	p, err := producer.New(client, producer.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(ctx)
	if _, err := p.Send(ctx, producer.Message{Topic: "orders", Tag: "paid", Keys: []string{"order-4711"}, Body: []byte("3.50")}); err != nil {
		log.Fatal(err)
	}

	a := admin.New(client)
	found, err := a.MessagesByKey(ctx, "orders", "order-4711", time.Now().Add(-time.Hour), time.Time{}, 0)
	if err != nil {
		log.Fatal(err)
	}
	m, err := a.Message(ctx, "orders", found[0].ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(found), "found:", m.Tag(), string(m.Body()), "at offset", m.Offset(), "on", m.Queue().Broker)
	// Output:
	// 1 found: paid 3.50 at offset 0 on broker-a
}
