package consumer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf"
)

// ExampleConsumer_Tune gives a topic more workers, and stops its handlers for a while, in a program that runs.
func ExampleConsumer_Tune() {
	cluster := start()
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	c, err := consumer.New(client, consumer.Config{
		Group:  "billing",
		Topics: map[string]consumer.Topic{"orders": {Handler: bookIt, Workers: 4, MaxWorkers: 16}},
	})
	if err != nil {
		log.Fatal(err)
	}
	show := func() {
		t := c.Stats().Topics["orders"]
		fmt.Printf("%d to %d workers, paused: %t (%s)\n", t.Workers, t.MaxWorkers, t.Paused, t.From.Workers)
	}
	show()
	if err := c.Tune("orders", consumer.Change{Workers: 32}); err != nil { // in force at once; no handler is interrupted
		log.Fatal(err)
	}
	show()
	if err := c.PauseTopic("orders"); err != nil { // what is there waits, retries too, and so does what comes
		log.Fatal(err)
	}
	show()
	// Output:
	// 4 to 16 workers, paused: false (code)
	// 32 to 32 workers, paused: false (tune)
	// 32 to 32 workers, paused: true (tune)
}

// ExampleSettings follows a settings document while it runs. A service has it from the name servers, to which
// operators write with the command rocketkit; here it is in memory.
func ExampleSettings() {
	cluster := start()
	defer cluster.Close()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	source := dynconf.NewMemory()
	c, err := consumer.New(client, consumer.Config{
		Group: "billing", Settings: source,
		Topics: map[string]consumer.Topic{"orders": {Handler: bookIt, Workers: 4}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	write := func(rev int64, spec string) {
		id := dynconf.ID{Group: "billing"}
		text, err := dynconf.Document{Rev: rev, At: time.Now(), By: "deploy", Spec: json.RawMessage(spec)}.Encode(id, nil)
		if err != nil {
			log.Fatal(err)
		}
		source.Set(id, text)
	}
	shown := func(done func(s consumer.SettingsStats) bool) {
		for !done(c.Stats().Settings) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		s := c.Stats()
		fmt.Printf("revision %d: %d workers, error %q\n", s.Settings.Rev, s.Topics["orders"].Workers, s.Settings.Error)
	}
	go func() {
		defer stop()
		write(1, `{"topics": {"orders": {"workers": 32}}}`)
		shown(func(s consumer.SettingsStats) bool { return s.Rev == 1 })
		write(2, `{"topics": {"orders": {"workers": "many"}}}`) // it changes nothing
		shown(func(s consumer.SettingsStats) bool { return s.Error != "" })
	}()
	if err := rocketkit.Run(ctx, c); err != nil {
		log.Fatal(err)
	}
	// Output:
	// revision 1: 32 workers, error ""
	// revision 1: 32 workers, error "topics.orders.workers: is no number: \"many\""
}

func bookIt(context.Context, *rocketkit.Message) error { return nil }
