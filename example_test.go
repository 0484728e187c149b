package rocketkit_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// ExampleClient_For serves a second tenant over the same sockets. The code that sends is the same; the broker keeps the
// tenants' topics apart.
func ExampleClient_For() {
	cluster, err := mqtest.Start(mqtest.Config{
		Topics: map[string]int{"red%orders": 1, "blue%orders": 1},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	cfg := cluster.Config() // a service has it from rocketkit.FromEnv
	cfg.Tenant = "red"
	red, err := rocketkit.Open(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer red.Close(context.Background())
	blue, err := red.For("blue", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, client := range []*rocketkit.Client{red, blue} {
		p, err := producer.New(client, producer.Config{Group: "checkout"})
		if err != nil {
			log.Fatal(err)
		}
		defer p.Close(context.Background())
		receipt, err := p.Send(context.Background(), producer.Message{Topic: "orders", Body: []byte("from " + client.Tenant())})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s sent to %s\n", client.Tenant(), receipt.Queue.Topic)
	}
	for _, topic := range []string{"red%orders", "blue%orders"} {
		for _, m := range cluster.Messages(topic) {
			fmt.Printf("%s holds %q\n", topic, m.Body())
		}
	}
	// Output:
	// red sent to orders
	// blue sent to orders
	// red%orders holds "from red"
	// blue%orders holds "from blue"
}

// ExampleFromEnv reads the settings from a map as it would from os.LookupEnv; what is wrong names its variable.
func ExampleFromEnv() {
	environment := map[string]string{"ROCKETKIT_NAMESRV": "10.0.0.1:9876;10.0.0.2:9876", "ROCKETKIT_TENANT": "Red"}
	lookup := func(name string) (string, bool) { value, ok := environment[name]; return value, ok }

	_, err := rocketkit.FromEnv(lookup)
	fmt.Println(err != nil)

	environment["ROCKETKIT_TENANT"] = "red"
	cfg, err := rocketkit.FromEnv(lookup)
	fmt.Println(cfg.NameServers, cfg.Tenant, err)
	// Output:
	// true
	// [10.0.0.1:9876 10.0.0.2:9876] red <nil>
}

func ExampleTrace() {
	client, err := rocketkit.Open(rocketkit.Config{
		NameServers: []string{"127.0.0.1:9876"},
		Tenant:      "red",
		Trace:       rocketkit.Trace{On: true}, // or ROCKETKIT_TRACE=true
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close(context.Background())
	fmt.Println("traced to", client.Trace().Topic)
	// Output: traced to TRACE_TOPIC
}
