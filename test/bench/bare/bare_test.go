package bare_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/bench/bare"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const queues = 4

func start(t *testing.T) (cluster *mqtest.Cluster, broker string) {
	cluster = mqtest.New(t, mqtest.Config{TCP: true, Topics: map[string]int{"orders": queues}})
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	master, err := client.Cluster().Master(t.Context(), "orders", "broker-a")
	if err != nil {
		t.Fatal(err)
	}
	return cluster, master
}

func TestPullCountsEveryMessage(t *testing.T) {
	t.Parallel()
	cluster, broker := start(t)
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	p, err := producer.New(client, producer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	const all = 1000
	for range all / 50 {
		if _, err := p.SendBatch(t.Context(), make50()); err != nil {
			t.Fatal(err)
		}
	}
	var seen int64
	err = bare.Pull(t.Context(), broker, "orders", "g", queues, func(n int64) bool { seen += n; return seen >= all })
	if err != nil || seen != all {
		t.Errorf("it counted %d of %d messages: %v", seen, all, err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("enough"))
	defer cancel()
	if err := bare.Pull(ctx, broker, "orders", "g", queues, func(int64) bool { return false }); err == nil || err.Error() != "enough" {
		t.Errorf("with nothing more to come it ended with %v", err)
	}
}

func make50() []producer.Message {
	var messages []producer.Message
	for range 50 {
		messages = append(messages, producer.Message{Topic: "orders", Body: make([]byte, 100)})
	}
	return messages
}

func TestSendStoresWhatItCounts(t *testing.T) {
	t.Parallel()
	cluster, broker := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sent atomic.Int64
	err := bare.Send(ctx, broker, "orders", "g", queues, 8, 100, func(n int64) {
		if sent.Add(n) == 500 {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if stored, n := len(cluster.Messages("orders")), int(sent.Load()); stored < n || stored > n+8 {
		t.Errorf("%d were counted, %d are stored", n, stored)
	}
	if err := bare.Send(t.Context(), broker, "no-such-topic", "g", queues, 8, 100, func(int64) {}); err == nil {
		t.Error("a topic that doesn't exist was sent to without an error")
	}
}

func TestWorkDoesAll(t *testing.T) {
	t.Parallel()
	var done atomic.Int64
	bare.Work(8, 100, time.Millisecond, func() { done.Add(1) })
	if done.Load() != 100 {
		t.Errorf("%d of 100 were done", done.Load())
	}
}

func TestPollAsksAgainAndAgain(t *testing.T) {
	t.Parallel()
	cluster, _ := start(t)
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	if err := admin.New(client).KV("settings").Put(t.Context(), "billing", "{}"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var answers atomic.Int64
	enough := errors.New("enough")
	err = bare.Poll(ctx, cluster.Addresses()[0], "settings", "billing", 3, time.Millisecond, func(time.Duration) {
		if answers.Add(1) == 100 {
			cancel(enough)
		}
	})
	if !errors.Is(err, enough) {
		t.Errorf("after %d answers: %v", answers.Load(), err)
	}
	err = bare.Poll(t.Context(), cluster.Addresses()[0], "settings", "refunds", 3, time.Millisecond, func(time.Duration) {})
	if err == nil || !strings.Contains(err.Error(), "refunds") {
		t.Errorf("for a key that isn't there: %v", err)
	}
}
