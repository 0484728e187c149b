package conformance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/reader"
)

// readAll reads until n messages have come and gives how often each did, by body.
func readAll(t *testing.T, r *reader.Reader, n int) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := map[string]int{}
	for m, err := range r.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if got[string(m.Body())]++; len(got) == n {
			return got
		}
	}
	t.Fatalf("%d messages of %d: %+v", len(got), n, r.Stats())
	return nil
}

func newReader(t *testing.T, client *rocketkit.Client, cfg reader.Config) *reader.Reader {
	t.Helper()
	cfg.Topic = "orders"
	r, err := reader.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func eachOnce(t *testing.T, got map[string]int, want []string) {
	t.Helper()
	for _, body := range want {
		if got[body] != 1 {
			t.Errorf("%s came %d times", body, got[body])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d messages, want %d", len(got), len(want))
	}
}

// A reader gets all there is, goes on from a checkpoint without a gap or a repetition, gets what is sent while it waits,
// and leaves no group and no offset behind.
func TestReader(t *testing.T) { onEach(t, testReader) }

func testReader(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	groups := groupsOf(t, client)
	sent := send(t, client, "orders", "a", 500)
	first := newReader(t, client, reader.Config{Start: reader.Earliest()})
	got := readAll(t, first, 123)
	second := newReader(t, client, reader.Config{Positions: first.Positions()})
	maps.Copy(got, readAll(t, second, 377))
	eachOnce(t, got, sent)

	latest := newReader(t, client, reader.Config{})
	more := make(chan []string, 1)
	go func() {
		<-latest.Ready()
		more <- send(t, client, "orders", "b", 100)
	}()
	eachOnce(t, readAll(t, latest, 100), <-more)
	for _, q := range latest.Stats().Queues {
		if q.Position != latest.Positions()[q.Queue] || q.Max == 0 {
			t.Errorf("%+v", q)
		}
	}
	if after := groupsOf(t, client); !slices.Equal(after, groups) {
		t.Errorf("groups were %v and are %v", groups, after)
	}
	for _, q := range queuesOf(t, client, "orders") {
		if offset, found := rawOffset(t, client, "TOOLS_CONSUMER", q); found {
			t.Errorf("%s: an offset is stored: %d", q, offset)
		}
	}
}

func groupsOf(t *testing.T, client *rocketkit.Client) []string {
	t.Helper()
	groups, err := admin.New(client).ListGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

func queuesOf(t *testing.T, client *rocketkit.Client, topic string) []protocol.Queue {
	t.Helper()
	physical, err := client.Cluster().Names.Topic(topic)
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Cluster().Routes().Get(t.Context(), physical)
	if err != nil {
		t.Fatal(err)
	}
	return r.Read
}

// rawOffset is what a group, by its physical name, has committed of a queue.
func rawOffset(t *testing.T, client *rocketkit.Client, group string, q protocol.Queue) (offset int64, found bool) {
	t.Helper()
	view := client.Cluster()
	address, err := view.Master(t.Context(), q.Topic, q.Broker)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), view.RequestTimeout())
	defer cancel()
	answer, err := view.Call(ctx, address, protocol.QueryOffset{Group: group, Topic: q.Topic, QueueID: q.ID, BrokerName: q.Broker}.Frame())
	if err != nil {
		t.Fatal(err)
	}
	if offset, found, err = protocol.ParseQueryOffset(answer); err != nil {
		t.Fatal(err)
	}
	return offset, found && (offset > 0 || answer.Version >= 413) // brokers before 5.0 say 0 for none
}

// Tags are filtered by the broker, without a subscription that a heartbeat has told it, and positions pass over the rest.
func TestReaderTags(t *testing.T) { onEach(t, testReaderTags) }

func testReaderTags(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	var want []string
	for i := range 300 {
		m := producer.Message{Topic: "orders", Tag: []string{"paid", "open", "lost"}[i%3], Body: fmt.Appendf(nil, "%d", i)}
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if i%3 < 2 {
			want = append(want, string(m.Body))
		}
	}
	r := newReader(t, client, reader.Config{Start: reader.Earliest(), Tags: []string{"paid", "open"}})
	eachOnce(t, readAll(t, r, 200), want)
	none := newReader(t, client, reader.Config{Start: reader.Earliest(), Tags: []string{"never"}})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		n := 0
		for range none.Messages(ctx) {
			n++
		}
		done <- n
	}()
	eventually(t, "positions at the end", func() bool {
		sum := int64(0)
		for _, at := range none.Positions() {
			sum += at
		}
		return sum == 300
	})
	stop()
	if n := <-done; n != 0 {
		t.Errorf("%d turns of a loop without messages", n)
	}
}

// A position that the queue doesn't have is moved into it, and the reader is told.
func TestReaderIsMoved(t *testing.T) { onEach(t, testReaderIsMoved) }

func testReaderIsMoved(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	send(t, client, "orders", "a", 80)
	eventually(t, "all offsets", func() bool {
		sum := int64(0)
		offsets, err := admin.New(client).TopicOffsets(t.Context(), "orders")
		for _, q := range offsets {
			sum += q.Max
		}
		return err == nil && sum == 80
	})
	offsets, err := admin.New(client).TopicOffsets(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	beyond := offsets[0]
	moves := make(chan reader.Move, 1)
	r := newReader(t, client, reader.Config{
		Queues: []rocketkit.Queue{beyond.Queue}, Positions: map[rocketkit.Queue]int64{beyond.Queue: 1000},
		Moved: func(m reader.Move) { moves <- m },
	})
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	go func() {
		defer close(moves)
		for m, err := range r.Messages(ctx) {
			t.Error(m, err)
		}
	}()
	if m, ok := <-moves; !ok || m != (reader.Move{Queue: beyond.Queue, From: 1000, To: beyond.Max}) {
		t.Errorf("moved %+v, want to %d", m, beyond.Max)
	}
	stop()
	<-moves
}

// Where groups have to be created, a reader needs none; it reads on through a broker's crash, and from a replica while the
// master is away.
func TestReaderThroughCrash(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{Replicas: 1, BrokerProperties: map[string]string{
		"autoCreateSubscriptionGroup": "false",
		"slaveReadEnable":             "true", // or replicas answer SYSTEM_BUSY
	}})
	on := target{"real", cluster.NameServers()}
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	nobody := newReader(t, client, reader.Config{Group: "nobody"})
	for _, err := range nobody.Messages(t.Context()) {
		if code, _, _ := rocketkit.Code(err); code != int(protocol.CodeGroupNotExist) {
			t.Errorf("a group that doesn't exist: %v", err)
		}
	}
	r := newReader(t, client, reader.Config{Start: reader.Earliest()})
	bodies := make(chan string, 1000)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		var failed error
		next := map[rocketkit.Queue]int64{}
		for m, err := range r.Messages(ctx) {
			if failed = err; err != nil {
				break
			}
			if m.Offset() != next[m.Queue()] {
				t.Errorf("%s: offset %d came, want %d", m.Queue(), m.Offset(), next[m.Queue()])
			}
			next[m.Queue()] = m.Offset() + 1
			bodies <- string(m.Body())
		}
		done <- failed
	}()
	sent := send(t, client, "orders", "a", 200)
	got := map[string]int{}
	await := func(n int) {
		t.Helper()
		for limit := time.After(patience); len(got) < n; {
			select {
			case body := <-bodies:
				got[body]++
			case <-limit:
				t.Fatalf("%d of %d: %+v", len(got), n, r.Stats())
			}
		}
	}
	await(200)
	eventually(t, "the replica has all", func() bool { return maxOn(t, client, 1) >= 200 && knowsTopic(t, client, 1) })
	if err := cluster.Broker(0).Kill(); err != nil {
		t.Fatal(err)
	}
	fromReplica := newReader(t, client, reader.Config{Start: reader.Earliest()})
	readAll(t, fromReplica, 200)
	if err := cluster.Broker(0).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent = append(sent, send(t, client, "orders", "b", 200)...)
	await(400)
	for _, body := range sent { // the producer may have stored one again, having got no answer from a broker that starts
		if got[body] == 0 {
			t.Errorf("%s didn't come", body)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// maxOn adds up the ends of the topic's queues on one node of their broker.
func maxOn(t *testing.T, client *rocketkit.Client, node int64) (sum int64) {
	t.Helper()
	view := client.Cluster()
	for _, q := range queuesOf(t, client, "orders") {
		r, err := view.Routes().Refresh(t.Context(), q.Topic)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := view.Invoke(t.Context(), r.Nodes(q.Broker)[node], protocol.MaxOffset{Topic: q.Topic, QueueID: q.ID, BrokerName: q.Broker}.Frame())
		if err != nil {
			return -1
		}
		n, err := protocol.ParseMaxOffset(answer)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// knowsTopic tells whether a replica has its master's topics, which it fetches each 10 s, apart from the messages.
func knowsTopic(t *testing.T, client *rocketkit.Client, node int64) bool {
	t.Helper()
	view := client.Cluster()
	q := queuesOf(t, client, "orders")[0]
	r, err := view.Routes().Get(t.Context(), q.Topic)
	if err != nil {
		t.Fatal(err)
	}
	_, err = view.Invoke(t.Context(), r.Nodes(q.Broker)[node], protocol.PullMessage{
		Group: "TOOLS_CONSUMER", Topic: q.Topic, QueueID: q.ID, MaxMessages: 1,
		SysFlag: protocol.PullSubscription, Subscription: protocol.AllTags, BrokerName: q.Broker,
	}.Frame())
	return !protocol.HasCode(err, protocol.CodeTopicNotExist)
}
