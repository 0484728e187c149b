package clientgo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/clientgo"
	"github.com/rocketkit/rocketkit/mqtest"
)

// A retry of a message that its selector has bound to a queue has its id: what is stored twice is known by that.
func TestRetriesKeepTheID(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			testRetriesKeepTheID(t, n)
		})
	}
}

func testRetriesKeepTheID(t *testing.T, n int) {
	t.Helper()
	c, client := cluster(t)
	for _, request := range []int{mqtest.RequestSend, mqtest.RequestSendBatch} {
		c.Inject(mqtest.Fault{Request: request, Break: mqtest.Silence, After: true, Times: 1})
	}
	p := produce(t, client, producer.WithQueueSelector(producer.NewHashQueueSelector()), producer.WithSendMsgTimeout(300*time.Millisecond))
	messages := make([]*primitive.Message, n)
	for i := range messages {
		messages[i] = primitive.NewMessage("orders", []byte("x")).WithShardingKey("k")
	}
	result, err := p.SendSync(t.Context(), messages...)
	if err != nil {
		t.Fatal(err)
	}
	stored := c.Messages("red%orders")
	if len(stored) != 2*n {
		t.Fatalf("stored %d", len(stored))
	}
	ids := strings.Split(result.MsgID, ",")
	for i := range stored {
		if id := stored[i].ID(); id != ids[i%n] {
			t.Errorf("message %d: id %s, want %s", i, id, ids[i%n])
		}
	}
}

// A trace's context that a service has put into a message itself stays, as it does with package producer.
func TestACallersContextStays(t *testing.T) {
	t.Parallel()
	c := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 1}})
	cfg := c.Config()
	cfg.TracerProvider = sdktrace.NewTracerProvider()
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	const own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	m := primitive.NewMessage("orders", []byte("x"))
	m.WithProperty("traceparent", own)
	if _, err := produce(t, client).SendSync(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var all []string
	for name, value := range c.Messages("orders")[0].Properties() {
		if name == "traceparent" {
			all = append(all, value)
		}
	}
	if len(all) != 1 || all[0] != own {
		t.Errorf("stored %q", all)
	}
}

// slow is a listener whose local transaction takes longer than sending may.
type slow struct{ listener }

func (slow) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	time.Sleep(time.Second)
	return primitive.CommitMessageState
}

// A local transaction may take longer than sending.
func TestSlowLocalTransaction(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p, err := clientgo.NewTransactionProducer(client, slow{}, producer.WithGroupName("checkout"),
		producer.WithRetry(0), producer.WithSendMsgTimeout(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer shutdown(t, p)
	result, err := p.SendMessageInTransaction(t.Context(), primitive.NewMessage("orders", []byte("x")))
	if err != nil || result.State != primitive.CommitMessageState {
		t.Errorf("%v, %v", result, err)
	}
}

// A transaction whose message can't be stored ends with the time that sending may take, and isn't executed.
func TestTransactionNotStored(t *testing.T) {
	t.Parallel()
	c, client := cluster(t)
	c.Inject(mqtest.Fault{Request: mqtest.RequestSend, Break: mqtest.Silence})
	p, err := clientgo.NewTransactionProducer(client, slow{}, producer.WithGroupName("checkout"),
		producer.WithRetry(0), producer.WithSendMsgTimeout(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer shutdown(t, p)
	if result, err := p.SendMessageInTransaction(t.Context(), primitive.NewMessage("orders", []byte("x"))); result != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", result, err)
	}
}
