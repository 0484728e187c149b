package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
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

// ExampleSettings resizes the pool of a service that runs, and sees it follow.
func ExampleSettings() {
	cluster, err := mqtest.Start(mqtest.Config{NameServers: 3, Topics: map[string]int{"orders": 4}})
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
	service, err := consumer.New(client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{
		"orders": {Workers: 2, Handler: func(context.Context, *rocketkit.Message) error { return nil }},
	}})
	if err != nil {
		log.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- service.Run(running) }()
	<-service.Ready()

	settings := admin.New(client).Settings("billing")
	written, err := settings.Write(ctx, admin.SettingsDraft{
		Spec: json.RawMessage(`{"topics": {"orders": {"workers": 16, "maxWorkers": 32}}}`), By: "the night shift",
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	err = settings.Watch(ctx, written.Document.Rev, written.Began, func(p admin.SettingsProgress) {
		pool := p.Info.Pools()[0]
		fmt.Println(p.Progress, "within 3s:", p.Took < 3*time.Second)
		fmt.Println(pool.Topic, "has", pool.Core, "to", pool.Max, "workers, by", p.Settings.By)
	})
	if err != nil {
		log.Fatal(err)
	}
	stop()
	<-ended
	// Output:
	// applied within 3s: true
	// orders has 16 to 32 workers, by the night shift
}
