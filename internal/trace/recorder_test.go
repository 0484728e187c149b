package trace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/internal/trace"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/reader"
)

// rig is a cluster in memory and a client that traces.
type rig struct {
	*testing.T
	cluster *mqtest.Cluster
	client  *rocketkit.Client
	log     *logged
}

// logged is what was logged. Safe for concurrent use.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newRig(t *testing.T, topics map[string]int) *rig {
	t.Helper()
	r := &rig{T: t, log: &logged{}}
	r.cluster = mqtest.New(t, mqtest.Config{Topics: topics, Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	cfg := r.cluster.Config()
	cfg.Tenant, cfg.Trace.On = "red", true
	var err error
	if r.client, err = rocketkit.Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.client.Close(context.Background()) })
	return r
}

func (r *rig) producer() *producer.Producer {
	r.Helper()
	p, err := producer.New(r.client, producer.Config{Group: "shop"})
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// consume runs a consumer while during does, and then ends it.
func (r *rig) consume(topic consumer.Topic, name string, during func()) {
	r.Helper()
	c, err := consumer.New(r.client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{name: topic}})
	if err != nil {
		r.Fatal(err)
	}
	ctx, stop := context.WithCancel(r.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	<-c.Ready()
	during()
	stop()
	if err := <-done; err != nil {
		r.Error(err)
	}
}

// records reads the tenant's trace topic until it holds n records, and returns them, split into fields, with the keys of
// the messages they were in.
func (r *rig) records(n int) (records [][]string, keys []string) {
	r.Helper()
	in, err := reader.New(r.client, reader.Config{Topic: rocketkit.DefaultTenantTraceTopic, Start: reader.Earliest()})
	if err != nil {
		r.Fatal(err)
	}
	ctx, stop := context.WithTimeout(r.Context(), time.Minute)
	defer stop()
	for m, err := range in.Messages(ctx) {
		if err != nil {
			r.Fatal(err)
		}
		keys = append(keys, m.Keys()...)
		for record := range strings.SplitSeq(strings.TrimSuffix(string(m.Body()), "\x02"), "\x02") {
			records = append(records, strings.Split(record, "\x01"))
		}
		if len(records) >= n {
			return records, keys
		}
	}
	r.Fatalf("%d records, want %d: %q", len(records), n, records)
	return nil, nil
}

func both() map[string]int { return map[string]int{"red%orders": 1, "red%TRACE_TOPIC": 1} }

// What is sent has a record for each message, whose names are logical; a delayed one is marked as such.
func TestSendsAreTraced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		p := r.producer()
		one, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("hello"), Tag: "paid", Keys: []string{"k1", "k2"}})
		if err != nil {
			t.Fatal(err)
		}
		late, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x"), DelayLevel: 1})
		if err != nil {
			t.Fatal(err)
		}
		batch, err := p.SendBatch(t.Context(), []producer.Message{{Topic: "orders", Body: []byte("a")}, {Topic: "orders", Body: []byte("b")}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), producer.Message{Topic: "nowhere", Body: []byte("x")}); err == nil {
			t.Fatal("sent to nowhere")
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, keys := r.records(4)
		for i, want := range []struct {
			receipt         producer.Receipt
			tag, keys, kind string
			bytes           string
		}{
			{one, "paid", "k1 k2", "0", "5"}, {late, "null", "null", "3", "1"}, {batch[0], "null", "null", "0", "1"}, {batch[1], "null", "null", "0", "1"},
		} {
			fields := []string{
				"Pub", got[i][1], "DefaultRegion", "shop", "orders", want.receipt.ID, want.tag, want.keys, "192.0.2.101:10911",
				want.bytes, "0", want.kind, want.receipt.OffsetID, "true",
			}
			if !slices.Equal(got[i], fields) {
				t.Errorf("record %q, want %q", got[i], fields)
			}
			if !slices.Contains(keys, want.receipt.ID) {
				t.Errorf("%s is no key of %q", want.receipt.ID, keys)
			}
		}
		if len(got) != 4 || !slices.Contains(keys, "k2") {
			t.Errorf("%d records under %q", len(got), keys)
		}
	})
}

// A handler's call has a record before and one after for each message, joined by the call's id, which tell the outcome.
func TestHandlersAreTraced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		sender := r.producer()
		want := map[string]string{} // body: the records after its calls, as success and code
		ids := map[string]string{}
		for body, codes := range map[string]string{
			"fine": "true/0", "fails once": "false/4 true/0", "panics once": "false/2 true/0", "is late": "false/1 true/0", "dropped": "false/4",
		} {
			receipt, err := sender.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte(body), Keys: []string{"k"}})
			if err != nil {
				t.Fatal(err)
			}
			want[receipt.ID], ids[receipt.ID] = codes, body
		}
		if err := sender.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var ended sync.WaitGroup
		ended.Add(len(want))
		r.consume(consumer.Topic{Timeout: 10 * time.Second, Handler: func(ctx context.Context, m *rocketkit.Message) error {
			switch body := string(m.Body()); {
			case body == "dropped":
				ended.Done()
				return consumer.Drop(errors.New("no use"))
			case m.Attempt() > 1 || body == "fine":
				ended.Done()
				return nil
			case body == "panics once":
				panic("account is nil")
			case body == "is late":
				<-ctx.Done()
				return ctx.Err()
			}
			return errors.New("no such account")
		}}, "orders", ended.Wait)

		got, _ := r.records(5 + 2*8)
		after := map[string][]string{}
		before := map[string][]string{} // by request id
		for _, f := range got {
			switch f[0] {
			case "SubBefore":
				if f[2] != "DefaultRegion" || f[3] != "billing" || f[6] != fmt.Sprint(len(after[f[5]])) || f[7] != "k" || before[f[4]] != nil {
					t.Errorf("%s: record %q", ids[f[5]], f)
				}
				before[f[4]] = f
			case "SubAfter":
				if b := before[f[1]]; b == nil || b[5] != f[2] || f[5] != "k" || f[8] != "billing" || (ids[f[2]] == "is late") != (f[3] == "10000") && f[4] == "false" {
					t.Errorf("%s: record %q after %q", ids[f[2]], f, b)
				}
				after[f[2]] = append(after[f[2]], f[4]+"/"+f[6])
			}
		}
		for id, codes := range want {
			if got := strings.Join(after[id], " "); got != codes {
				t.Errorf("%s: %s, want %s", ids[id], got, codes)
			}
		}
	})
}

// The messages of a batch share its call, and have their own outcomes.
func TestBatchHandlersAreTraced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		p := r.producer()
		receipts, err := p.SendBatch(t.Context(), []producer.Message{{Topic: "orders", Body: []byte("a")}, {Topic: "orders", Body: []byte("b")}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		handled := make(chan struct{}, 1)
		r.consume(consumer.Topic{Batch: consumer.Batching{Size: 2, Wait: time.Second, Handler: func(_ context.Context, b *consumer.Batch) error {
			b.Set(1, consumer.Drop(nil))
			handled <- struct{}{}
			return nil
		}}}, "orders", func() { <-handled })
		got, _ := r.records(2 + 4)
		var calls []string
		for _, f := range got {
			if f[0] == "SubBefore" {
				calls = append(calls, f[4])
			}
			if f[0] == "SubAfter" && (f[4] == "true") != (f[2] == receipts[0].ID) {
				t.Errorf("record %q", f)
			}
		}
		if len(calls) != 2 || calls[0] != calls[1] {
			t.Errorf("calls %q, want one", calls)
		}
	})
}

// What is decided later of a message is traced as Java does: the end of a transaction, and a recall.
func TestEndsAreTraced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		recorder := trace.New(r.client, "shop")
		for i, end := range []hook.End{hook.Commit, hook.Rollback, hook.Undecided, hook.Recall} {
			recorder.Ended(&hook.Ended{
				End: end, Group: "shop", Topic: "orders", ID: fmt.Sprint("id", i), Tag: "paid", TransactionID: fmt.Sprint("tx", i),
				Address: "a:1", Checked: i == 1,
			})
		}
		recorder.Close(t.Context())
		got, _ := r.records(4)
		for i, state := range []string{"COMMIT_MESSAGE", "ROLLBACK_MESSAGE", "UNKNOW"} {
			want := []string{
				"EndTransaction", got[i][1], "DefaultRegion", "shop", "orders", fmt.Sprint("id", i), "paid", "null", "a:1", "2",
				fmt.Sprint("tx", i), state, fmt.Sprint(i == 1),
			}
			if !slices.Equal(got[i], want) {
				t.Errorf("record %q, want %q", got[i], want)
			}
		}
		if want := []string{"Recall", got[3][1], "DefaultRegion", "shop", "orders", "id3", "true"}; !slices.Equal(got[3], want) {
			t.Errorf("record %q, want %q", got[3], want)
		}
	})
}
