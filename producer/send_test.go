package producer_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

func TestSendWritesWhatJavaWould(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"", "red"} {
		prefix := ""
		if tenant != "" {
			prefix = tenant + "%"
		}
		f := cluster(t, prefix+"orders", 4, "a")
		p := f.producer(tenant, producer.Config{Group: "checkout"})
		m := producer.Message{
			Topic: "orders", Body: []byte("body"), Tag: "paid", Keys: []string{"k1", "k2"}, ShardingKey: "order-1",
			Properties: map[string]string{"city": "Köln"}, DelayLevel: 3,
		}
		was := m
		was.Keys, was.Properties, was.Body = slices.Clone(m.Keys), maps.Clone(m.Properties), slices.Clone(m.Body)
		r, err := p.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m, was) {
			t.Errorf("Send changed the message to %+v", m)
		}
		want := producer.Receipt{ID: r.ID, OffsetID: "a#0", Queue: rocketkit.Queue{Topic: "orders", Broker: "a", ID: 2}}
		if r != want || len(r.ID) != 32 || r.Status.String() != "SEND_OK" {
			t.Errorf("receipt %+v %v, want %+v", r, r.Status, want)
		}
		s := f.storedNow()[0]
		for key, want := range map[string]string{
			"a": prefix + "checkout", "b": prefix + "orders", "c": "TBW102", "d": "4", "e": "2", "f": "0", "h": "0",
			"j": "0", "k": "false", "m": "false", "n": "a",
		} {
			if got, _ := s.fields.Get(key); got != want {
				t.Errorf("header field %s is %q, want %q", key, got, want)
			}
		}
		if got, want := maps.Collect(s.props.All()), map[string]string{
			"UNIQ_KEY": r.ID, "TAGS": "paid", "KEYS": "k1 k2", "__SHARDINGKEY": "order-1", "DELAY": "3", "city": "Köln",
		}; !maps.Equal(got, want) {
			t.Errorf("properties %v, want %v", got, want)
		}
		if string(s.body) != "body" {
			t.Errorf("body %q", s.body)
		}
		again, err := p.Send(t.Context(), m)
		if err != nil || again.ID == r.ID {
			t.Errorf("sent again: %+v, %v; want another id", again, err)
		}
	}
}

func TestQueuesAreTakenInTurn(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 3, "a", "b")
	p := f.producer("", producer.Config{})
	for range 12 {
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	queues := map[string]int{}
	for _, s := range f.storedNow() {
		queues[s.broker+string(rune('0'+s.queue))]++
	}
	if want := map[string]int{"a0": 2, "a1": 2, "a2": 2, "b0": 2, "b1": 2, "b2": 2}; !maps.Equal(queues, want) {
		t.Errorf("12 messages went to %v, want %v", queues, want)
	}
}

func TestShardingKeysQueueIsJavas(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 4, "b", "a") // 8 queues in Java's order: a0 … a3, b0 … b3
	p := f.producer("", producer.Config{})
	for key, want := range map[string]rocketkit.Queue{
		"a":                  {Topic: "orders", Broker: "a", ID: 1},
		"user:4711":          {Topic: "orders", Broker: "a", ID: 2},
		"order-42":           {Topic: "orders", Broker: "b", ID: 1}, // 1234255197 mod 8 = 5
		"polygenelubricants": {Topic: "orders", Broker: "a", ID: 0},
	} {
		for range 3 {
			r, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x"), ShardingKey: key})
			if err != nil || r.Queue != want {
				t.Errorf("key %q went to %v, %v; want %v", key, r.Queue, err, want)
			}
		}
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for code, want := range map[int32]struct {
		status producer.Status
		name   string
	}{
		0:  {producer.Stored, "SEND_OK"},
		10: {producer.FlushDiskTimeout, "FLUSH_DISK_TIMEOUT"},
		11: {producer.ReplicaMissing, "SLAVE_NOT_AVAILABLE"},
		12: {producer.FlushSlaveTimeout, "FLUSH_SLAVE_TIMEOUT"},
	} {
		f := cluster(t, "orders", 1, "a")
		f.answer = func(sent) (int32, string) { return code, "" }
		r, err := f.producer("", producer.Config{}).Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x")})
		if err != nil || r.Status != want.status || !strings.Contains(r.Status.String(), want.name) {
			t.Errorf("code %d: status %v (%d), %v; want %s", code, r.Status, r.Status, err, want.name)
		}
		if n := len(f.seen()); n != 1 {
			t.Errorf("code %d: sent %d times; it was stored", code, n)
		}
	}
}

func TestSendBatch(t *testing.T) {
	t.Parallel()
	f := cluster(t, "red%orders", 4, "a")
	p := f.producer("red", producer.Config{Group: "checkout"})
	messages := []producer.Message{
		{Topic: "orders", Body: []byte("one"), Tag: "t1", ShardingKey: "a"},
		{Topic: "orders", Body: []byte("two"), Keys: []string{"k"}, ShardingKey: "a"},
		{Topic: "orders", Body: []byte("three"), Properties: map[string]string{"n": "3"}, ShardingKey: "a"},
	}
	if _, err := p.SendBatch(t.Context(), messages[:1]); err != nil {
		t.Fatal(err)
	}
	receipts, err := p.SendBatch(t.Context(), messages)
	if err != nil || len(receipts) != 3 {
		t.Fatalf("%d receipts, %v", len(receipts), err)
	}
	s := f.storedNow()[1]
	if got, _ := s.fields.Get("m"); !s.batch || got != "true" || s.topic != "red%orders" || len(s.props) != 0 {
		t.Errorf("batch %t, field m %q, topic %q, properties %q", s.batch, got, s.topic, s.props)
	}
	stored, err := protocol.DecodeBatchMessages(s.body)
	if err != nil || len(stored) != 3 {
		t.Fatalf("%d messages in the batch, %v", len(stored), err)
	}
	for i, r := range receipts {
		want := producer.Receipt{
			ID: r.ID, OffsetID: "a#" + string(rune('1'+i)), Offset: int64(1 + i),
			Queue: rocketkit.Queue{Topic: "orders", Broker: "a", ID: 1},
		}
		id, _ := stored[i].Properties.Get("UNIQ_KEY")
		if r != want || id != r.ID || string(stored[i].Body) != string(messages[i].Body) {
			t.Errorf("message %d: receipt %+v, stored %q with id %s; want %+v", i, r, stored[i].Body, id, want)
		}
	}
	if receipts[0].ID == receipts[1].ID {
		t.Error("two messages have one id")
	}
	if receipts, err := p.SendBatch(t.Context(), nil); receipts != nil || err != nil {
		t.Errorf("an empty batch gives %v, %v", receipts, err)
	}
}

func TestBrokersListTheGroupUntilClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "red%orders", 1, "a")
		p := f.producer("red", producer.Config{Group: "checkout"})
		synctest.Wait()
		if n := f.count(&f.dials); n != 0 {
			t.Errorf("New dialed %d times", n)
		}
		for range 2 {
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The heartbeat of a new connection and that of the joining may both name the group.
		if want := []string{"join red%checkout", "leave red%checkout"}; !slices.Equal(slices.Compact(f.members), want) {
			t.Errorf("the broker heard %q, want %q", f.members, want)
		}
	})
}

func TestManySendersAtOnce(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 4, "a", "b")
	f.setRoute("refunds", 4, "b")
	var busy sync.Map
	f.answer = func(s sent) (int32, string) {
		id, _ := s.props.Get("UNIQ_KEY")
		if _, again := busy.LoadOrStore(id, true); !again && len(id)%2 == 0 && s.queue == 1 {
			return protocol.CodeSystemBusy, "busy"
		}
		return 0, ""
	}
	p := f.producer("", producer.Config{})
	var wg sync.WaitGroup
	ids := make([][]string, 16)
	for w := range ids {
		wg.Go(func() {
			for i := range 50 {
				topic := []string{"orders", "refunds"}[i%2]
				r, err := p.Send(t.Context(), producer.Message{Topic: topic, Body: []byte("x")})
				if err != nil {
					t.Error(err)
					return
				}
				ids[w] = append(ids[w], r.ID)
			}
		})
	}
	wg.Wait()
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	all := slices.Concat(ids...)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 800 || len(f.storedNow()) != 800 {
		t.Errorf("%d ids and %d messages stored, want 800", n, len(f.storedNow()))
	}
}
