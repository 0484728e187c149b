package conformance

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/tenant"
	"github.com/rocketkit/rocketkit/test/peer"
)

// libraries are Apache's that may run: without leave to run a real RocketMQ, Java needn't be there.
func libraries() []peer.Library {
	if os.Getenv(testcluster.RealVariable) != "1" {
		return []peer.Library{peer.ClientGo}
	}
	return peer.Libraries()
}

// sender is a producer of any library, working for a tenant with logical names.
type sender struct {
	name  string
	send  func(m peer.Message) (peer.Sent, error)
	batch func(batch []peer.Message) (peer.Sent, error)
}

// senders are one of each library. The Java client works with a namespace, client-go, whose namespaces are half done, with
// physical names.
func senders(t *testing.T, on target, tenant string, client *rocketkit.Client) []sender {
	t.Helper()
	// The others compress by zlib from 4 KiB on.
	p := produce(t, client, producer.Config{Group: "sender", Compression: producer.Compression{Algorithm: producer.Zlib}})
	all := []sender{{
		name: "rocketkit",
		send: func(m peer.Message) (peer.Sent, error) {
			r, err := p.Send(t.Context(), ours(m))
			return sentBy(r), err
		},
		batch: func(batch []peer.Message) (peer.Sent, error) {
			var messages []producer.Message
			for _, m := range batch {
				messages = append(messages, ours(m))
			}
			receipts, err := p.SendBatch(t.Context(), messages)
			return sentBy(receipts...), err
		},
	}}
	for _, library := range libraries() {
		p, topicPrefix := produceFor(t, library, on, tenant)
		all = append(all, sender{
			name: library.String(),
			send: func(m peer.Message) (peer.Sent, error) {
				m.Topic = topicPrefix + m.Topic
				return p.Send(t.Context(), m)
			},
			batch: func(batch []peer.Message) (peer.Sent, error) {
				batch = slices.Clone(batch)
				for i := range batch {
					batch[i].Topic = topicPrefix + batch[i].Topic
				}
				return p.SendBatch(t.Context(), batch)
			},
		})
	}
	return all
}

func produceFor(t *testing.T, library peer.Library, on target, tenant string) (p *peer.Producer, topicPrefix string) {
	t.Helper()
	if library == peer.Java {
		return library.Produce(t, peer.ProducerConfig{NameServers: on.servers, Namespace: tenant, Group: "sender"}), ""
	}
	return library.Produce(t, peer.ProducerConfig{NameServers: on.servers, Group: tenant + "%sender"}), tenant + "%"
}

func ours(m peer.Message) producer.Message {
	return producer.Message{
		Topic: m.Topic, Body: m.Body, Tag: m.Tag, Keys: m.Keys, ShardingKey: m.ShardingKey, DelayLevel: m.DelayLevel, Properties: m.Properties,
	}
}

func sentBy(receipts ...producer.Receipt) peer.Sent {
	if len(receipts) == 0 {
		return peer.Sent{}
	}
	first := receipts[0]
	s := peer.Sent{ID: first.ID, OffsetID: first.OffsetID, Broker: first.Queue.Broker, Queue: first.Queue.ID, Offset: first.Offset}
	for _, r := range receipts[1:] {
		s.ID, s.OffsetID = s.ID+","+r.ID, s.OffsetID+","+r.OffsetID
	}
	return s
}

// inbox keeps what a consumer got, by body.
type inbox struct {
	mu   sync.Mutex
	got  map[string][]peer.Received
	seen *tally
}

func newInbox() *inbox { return &inbox{got: map[string][]peer.Received{}, seen: newTally()} }

func (b *inbox) add(r peer.Received) {
	b.mu.Lock()
	b.got[string(r.Body)] = append(b.got[string(r.Body)], r)
	b.mu.Unlock()
	b.seen.add(string(r.Body))
}

func (b *inbox) all() map[string][]peer.Received {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.got)
}

// handle is a rocketkit handler that puts messages in.
func (b *inbox) handle(_ context.Context, m *rocketkit.Message) error {
	b.add(receivedBy(m))
	return nil
}

func receivedBy(m *rocketkit.Message) peer.Received {
	return peer.Received{
		Message: peer.Message{
			Topic: m.Topic(), Body: bytes.Clone(m.Body()), Tag: m.Tag(), Keys: m.Keys(), ShardingKey: m.ShardingKey(),
			Properties: maps.Collect(m.Properties()),
		},
		ID: m.ID(), OffsetID: m.OffsetID(), Broker: m.Queue().Broker, Queue: m.Queue().ID, Offset: m.Offset(), Attempt: m.Attempt(), Verdict: peer.OK,
	}
}

// consumeFor starts a push consumer of a tenant's topic, with the names that suit the library.
func consumeFor(t *testing.T, library peer.Library, on target, tenant string, cfg peer.ConsumerConfig) *peer.Consumer {
	t.Helper()
	cfg.NameServers = on.servers
	if library == peer.Java {
		cfg.Namespace = tenant
	} else {
		cfg.Group, cfg.Topic = tenant+"%"+cfg.Group, tenant+"%"+cfg.Topic
	}
	return library.Consume(t, cfg)
}

// await waits for a peer as patiently as tests wait for anything.
func await(t *testing.T, c *peer.Consumer, what string, done func([]peer.Received) bool) []peer.Received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	received, err := c.AwaitReceived(ctx, what, done)
	if err != nil {
		t.Fatalf("%v; so far %d messages", err, len(received))
	}
	return received
}

// stop ends a peer in order.
func stop(t *testing.T, p interface{ Stop(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// local are properties that client libraries add to what they received.
func local() []string { return []string{"MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME"} }

// Messages of each library reach consumers of each with all they carry: alone, large, delayed and in batches.
func TestMessagesCrossBetweenLibraries(t *testing.T) {
	var mu sync.Mutex
	names := map[string]map[string]string{} // of properties, by message and target
	onEach(t, func(t *testing.T, on target) {
		tenant := tenantOf(t, "")
		client := on.open(t, tenant)
		topic(t, client, "orders")
		boxes := map[string]*inbox{"rocketkit": newInbox()}
		run(t, client, consumer.Config{
			Group: "by-rocketkit", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {Handler: boxes["rocketkit"].handle}},
		})
		for _, library := range libraries() {
			box := newInbox()
			boxes[library.String()] = box
			consumeFor(t, library, on, tenant, peer.ConsumerConfig{Group: "by-" + library.String(), Topic: "orders", Earliest: true, On: box.add})
		}
		sent := map[string]parcel{}
		for _, s := range senders(t, on, tenant, client) {
			for _, p := range sendAllKinds(t, s) {
				sent[string(p.Body)] = p
			}
		}
		for name, box := range boxes {
			box.seen.awaitDistinct(t, len(sent))
			for body, got := range box.all() {
				if len(got) != 1 {
					t.Errorf("%s got %.20q %d times", name, body, len(got))
				}
				p := sent[body]
				p.batchID = p.batched && p.by == peer.Java.String() && on.before("5.5")
				p.check(t, name, got[0])
			}
		}
		agree(t, boxes)
		mu.Lock()
		defer mu.Unlock()
		for body, got := range boxes["rocketkit"].all() {
			if names[body] == nil {
				names[body] = map[string]string{}
			}
			names[body][on.name] = strings.Join(slices.Sorted(maps.Keys(got[0].Properties)), " ")
		}
	})
	for body, by := range names {
		if len(by) == 2 && by["real"] != by["mqtest"] {
			t.Errorf("properties of %.20q: real %q, mqtest %q", body, by["real"], by["mqtest"])
		}
	}
}

// parcel is a message, and what its sender was told.
type parcel struct {
	peer.Message
	told peer.Sent
	by   string
	noID bool // the library tells no ids

	batched bool // in one request with others
	batchID bool // the broker gives each message of a batch the batch's id over its own
}

// sendAllKinds sends one message of each kind and a batch. The bodies are like nobody else's.
func sendAllKinds(t *testing.T, s sender) []parcel {
	t.Helper()
	var binary []byte
	for i := range 256 {
		binary = append(binary, byte(i))
	}
	singles := []peer.Message{
		{Body: []byte("full"), Tag: "created", Keys: []string{"k1", "k-2"}, ShardingKey: "customer-7", Properties: map[string]string{"from": "Zürich, 東京 & =%+"}},
		{Body: []byte("bare")},
		{Body: append([]byte("binary "), binary...)},
		{Body: bytes.Repeat([]byte("large "), 5000), Tag: "large"}, // goes compressed
		{Body: []byte("delayed"), Tag: "later", DelayLevel: 1},
	}
	var parcels []parcel
	for _, m := range singles {
		m.Topic, m.Body = "orders", append([]byte(s.name+" "), m.Body...)
		told, err := s.send(m)
		if err != nil {
			t.Fatalf("%s: %.30q: %v", s.name, m.Body, err)
		}
		parcels = append(parcels, parcel{Message: m, told: told, by: s.name})
	}
	var batch []peer.Message
	for i := range 3 {
		batch = append(batch, peer.Message{
			Topic: "orders", Body: fmt.Appendf(nil, "%s batch %d", s.name, i), Tag: "batch", Keys: []string{fmt.Sprint("b", i)},
			Properties: map[string]string{"n": fmt.Sprint(i)},
		})
	}
	told, err := s.batch(batch)
	if err != nil {
		t.Fatalf("%s: batch: %v", s.name, err)
	}
	ids, offsetIDs := strings.Split(told.ID, ","), strings.Split(told.OffsetID, ",")
	for i, m := range batch {
		p := parcel{Message: m, told: told, by: s.name, batched: true, noID: s.name == peer.ClientGo.String()} // it gives batches none
		p.told.Offset += int64(i)
		if len(offsetIDs) != len(batch) || !p.noID && len(ids) != len(batch) {
			t.Fatalf("%s: a batch of %d was told the ids %q and %q", s.name, len(batch), told.ID, told.OffsetID)
		}
		p.told.OffsetID = offsetIDs[i]
		if !p.noID {
			p.told.ID = ids[i]
		}
		parcels = append(parcels, p)
	}
	return parcels
}

// check compares what a consumer got with what was sent.
func (p parcel) check(t *testing.T, by string, got peer.Received) {
	t.Helper()
	if p.Body == nil {
		t.Errorf("%s got %.40q, which nobody sent", by, got.Body)
		return
	}
	complain := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%.30q, sent by %s, received by %s: %s is %v, want %v", p.Body, p.by, by, what, got, want)
		}
	}
	complain("tag", got.Tag, p.Tag)
	complain("keys", got.Keys, p.Keys)
	complain("attempt", got.Attempt, 1)
	complain("queue", got.Queue, p.told.Queue)
	complain("broker", got.Broker, p.told.Broker)
	for name, value := range p.Properties {
		complain("property "+name, got.Properties[name], value)
	}
	if by == "rocketkit" { // the others look where their own library keeps it
		complain("sharding key", got.ShardingKey, p.ShardingKey)
	}
	want := p.told.ID
	if p.noID {
		want = p.told.OffsetID
	}
	if !p.batchID {
		complain("id", got.ID, want)
	}
	if p.DelayLevel == 0 { // the broker tells where it waits
		complain("offset id", got.OffsetID, p.told.OffsetID)
		complain("offset", got.Offset, p.told.Offset)
	}
}

// agree checks that all consumers got the same of each message, the properties included.
func agree(t *testing.T, boxes map[string]*inbox) {
	t.Helper()
	first := boxes["rocketkit"].all()
	for name, box := range boxes {
		for body, got := range box.all() {
			if len(first[body]) == 0 {
				continue // has been said
			}
			a, b := first[body][0], got[0]
			for _, property := range local() {
				delete(b.Properties, property)
			}
			if physical, ok := b.Properties[protocol.PropertyRealTopic]; ok {
				_, b.Properties[protocol.PropertyRealTopic] = tenant.Split(physical) // rocketkit shows the logical name
			}
			if a.ID != b.ID || a.OffsetID != b.OffsetID || a.Queue != b.Queue || a.Offset != b.Offset || !maps.Equal(a.Properties, b.Properties) {
				t.Errorf("%.30q: rocketkit got %s %s %d/%d %v, %s %s %s %d/%d %v", body, a.ID, a.OffsetID, a.Queue, a.Offset, a.Properties,
					name, b.ID, b.OffsetID, b.Queue, b.Offset, b.Properties)
			}
		}
	}
}

// A push consumer of Apache's filters, retries, dead-letters, and goes on where it stopped.
func TestPushConsumersOfOthers(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		for _, library := range libraries() {
			t.Run(library.String(), func(t *testing.T) { testPushConsumer(t, on, library) })
		}
	})
}

func testPushConsumer(t *testing.T, on target, library peer.Library) {
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	found(t, client, "billing", "orders")
	cfg := peer.ConsumerConfig{Group: "billing", Topic: "orders", Earliest: true, Tags: []string{"keep", "Aa"}, FailEvery: 3, DeadEvery: 5}
	c := consumeFor(t, library, on, tenant, cfg)
	const kept, skipped, more = 30, 7, 20
	sendTagged(t, client, "skip", "s", skipped) // first, as what is skipped at a queue's end is committed only 20 s later
	ids := sendTagged(t, client, "keep", "a", kept)
	// Of 30, each 5th is dead at once, and of the others each 3rd comes a second time.
	const dead, retried = 6, 8
	received := await(t, c, "all and the second attempts", func(r []peer.Received) bool { return len(r) >= kept+retried })
	verdicts := map[string]int{}
	for _, r := range received {
		verdicts[fmt.Sprintf("%s %d", r.Verdict, r.Attempt)]++
		if id := ids[string(r.Body)]; r.ID != id || r.Tag != "keep" || !strings.HasSuffix(r.Topic, "orders") {
			t.Errorf("got %q of %q with tag %q and id %s, sent as %s", r.Body, r.Topic, r.Tag, r.ID, id)
		}
	}
	if want := map[string]int{"ok 1": kept - dead - retried, "dead 1": dead, "retry 1": retried, "ok 2": retried}; !maps.Equal(verdicts, want) {
		t.Errorf("verdicts and attempts %v, want %v", verdicts, want)
	}
	letters := newInbox()
	eventually(t, "dead-letter topic", func() bool { return exists(t, client, "%DLQ%billing") })
	run(t, client, consumer.Config{
		Group: "undertaker", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"%DLQ%billing": {Handler: letters.handle}},
	})
	letters.seen.awaitDistinct(t, dead)
	for body, letter := range letters.all() {
		if letter[0].ID != ids[body] || letter[0].Tag != "keep" {
			t.Errorf("dead letter %q has id %s and tag %q, sent as %s", body, letter[0].ID, letter[0].Tag, ids[body])
		}
	}
	if library == peer.ClientGo {
		// It sends its last commits one-way and closes the connection, by which a broker may lose them.
		eventually(t, "offsets committed", func() bool { return committed(t, client, "billing", "orders") == kept+skipped })
	}
	stop(t, c)

	sendTagged(t, client, "Aa", "b", more)
	cfg.FailEvery, cfg.DeadEvery = 0, 0
	c = consumeFor(t, library, on, tenant, cfg)
	received = await(t, c, "what came meanwhile", func(r []peer.Received) bool { return len(r) >= more })
	stop(t, c)
	for _, r := range received {
		if !strings.HasPrefix(string(r.Body), "b-") || r.Attempt != 1 {
			t.Errorf("after a restart: %q, attempt %d", r.Body, r.Attempt)
		}
	}
	if n := len(c.Received()); n != more {
		t.Errorf("after a restart it got %d messages, want %d", n, more)
	}
}

// found makes a group with a retry topic. Apache's clients would look for a new group's only 20 to 40 s later.
func found(t *testing.T, client *rocketkit.Client, group, topic string) {
	t.Helper()
	run(t, client, consumer.Config{
		Group: group, Start: consumer.Earliest(), Topics: map[string]consumer.Topic{topic: {Handler: nothing}},
	}).end(t)
	eventually(t, "retry topic", func() bool { return exists(t, client, "%RETRY%"+group) })
}

// sendTagged sends messages with a tag and returns their ids by body.
func sendTagged(t *testing.T, client *rocketkit.Client, tag, prefix string, n int) map[string]string {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	ids := map[string]string{}
	for i := range n {
		body := fmt.Sprintf("%s-%d", prefix, i)
		receipt, err := p.Send(t.Context(), producer.Message{Topic: "orders", Tag: tag, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		ids[body] = receipt.ID
	}
	return ids
}
