package clientgo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"

	"github.com/rocketkit/rocketkit/clientgo"
)

// Each member of a broadcasting group receives everything, goes on where it was, and keeps that in client-go's file.
func TestBroadcastPositions(t *testing.T) {
	t.Setenv("rocketmq.client.localOffsetStoreDir", t.TempDir())
	_, client := cluster(t)
	p := produce(t, client)
	send(t, p, 3)
	for round := range 2 {
		handle, calls := recorder(succeed)
		c := start(t, client, handle, consumer.WithConsumerModel(consumer.BroadCasting))
		for range 3 {
			next(t, calls)
		}
		if round == 0 {
			shutdown(t, c)
			send(t, p, 3)
			continue
		}
		eventually(t, "the difference is gone", func() bool { return c.GetOffsetDiffMap()["orders"] == 0 })
		if len(calls) > 0 {
			t.Errorf("%d came again", len(calls))
		}
		shutdown(t, c)
	}
	file := filepath.Join(os.Getenv("rocketmq.client.localOffsetStoreDir"), client.ID(), "red%billing", "offset.json")
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), `{\"topic\":\"red%orders\",\"brokerName\":`) {
		t.Errorf("file: %s, %v", content, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := clientgo.NewPushConsumer(client, consumer.WithGroupName("billing"), consumer.WithConsumerModel(consumer.BroadCasting)); err == nil ||
		!strings.Contains(err.Error(), "remove the file") {
		t.Errorf("with a broken file: %v", err)
	}
}

// A broadcasting consumer goes on where one stopped that still ran when it was made.
func TestBroadcastAfterAnother(t *testing.T) {
	t.Setenv("rocketmq.client.localOffsetStoreDir", t.TempDir())
	_, client := cluster(t)
	p := produce(t, client)
	send(t, p, 3)
	handle, calls := recorder(succeed)
	first := start(t, client, handle, consumer.WithConsumerModel(consumer.BroadCasting))
	for range 3 {
		next(t, calls)
	}
	second, err := clientgo.NewPushConsumer(client, consumer.WithGroupName("billing"),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithConsumerModel(consumer.BroadCasting))
	if err != nil {
		t.Fatal(err)
	}
	shutdown(t, first)
	handle, calls = recorder(succeed)
	if err := second.Subscribe("orders", consumer.MessageSelector{}, handle); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	send(t, p, 1)
	next(t, calls)
	time.Sleep(100 * time.Millisecond) // long enough for what must not happen
	shutdown(t, second)
	if len(calls) > 0 {
		t.Errorf("%d came again", len(calls))
	}
}
