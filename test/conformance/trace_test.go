package conformance

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/reader"
)

// tracing gives a Client that traces.
func (on target) tracing(t *testing.T, tenant string) *rocketkit.Client {
	t.Helper()
	cfg := on.config(t, tenant)
	cfg.Trace.On = true
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

// traced sends one message, which is handled, after it has failed so many times, and returns its receipt.
func traced(t *testing.T, client *rocketkit.Client, name string, fails int) producer.Receipt {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := p.Send(t.Context(), producer.Message{Topic: name, Body: []byte("hello"), Tag: "paid", Keys: []string{"k1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := newTally()
	c := run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{name: {
		Handler: func(_ context.Context, m *rocketkit.Message) error {
			if m.Attempt() <= fails {
				return consumer.RetryIn(time.Second, errors.New("not yet"))
			}
			got.add(m.ID())
			return nil
		},
	}}})
	got.awaitDistinct(t, 1)
	c.end(t)
	return receipt
}

// records reads n records of a tenant's trace, as fields.
func records(t *testing.T, client *rocketkit.Client, n int) (all [][]string) {
	t.Helper()
	r, err := reader.New(client, reader.Config{Topic: client.Trace().Topic, Start: reader.Earliest()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for m, err := range r.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		for record := range strings.SplitSeq(strings.TrimSuffix(string(m.Body()), "\x02"), "\x02") {
			all = append(all, strings.Split(record, "\x01"))
		}
		if len(all) >= n {
			return all
		}
	}
	t.Fatalf("%d records, want %d: %q", len(all), n, all)
	return nil
}

// Two tenants trace the same code on the same names over one Client's sockets: each has its own trace, in logical names,
// and nothing of the other's is in it.
func TestTracesOfTenantsDoNotCross(t *testing.T) { onEach(t, testTracesOfTenantsDoNotCross) }

func testTracesOfTenantsDoNotCross(t *testing.T, on target) {
	red := on.tracing(t, tenantOf(t, "-r"))
	blue, err := red.For(tenantOf(t, "-b"), nil)
	if err != nil {
		t.Fatal(err)
	}
	tenants := map[string]*rocketkit.Client{"red": red, "blue": blue}
	sent := map[string]producer.Receipt{}
	for name, client := range tenants {
		topic(t, client, "orders")
		topic(t, client, rocketkit.DefaultTenantTraceTopic)
		sent[name] = traced(t, client, "orders", 0)
	}
	for name, client := range tenants {
		ids := map[string]int{"Pub": 5, "SubBefore": 5, "SubAfter": 2} // where the message's id stands
		for _, record := range records(t, client, 3) {
			if id := record[ids[record[0]]]; id != sent[name].ID {
				t.Errorf("%s: a record of %s, want %s: %q", name, id, sent[name].ID, record)
			}
			if strings.Contains(strings.Join(record, " "), "%") {
				t.Errorf("%s: physical names in %q", name, record)
			}
		}
	}
}

// RocketMQ's own tool shows who has sent and handled a message, of a tenant and without one.
func TestToolQueryTrace(t *testing.T) {
	t.Parallel()
	on := target{"real", rocketmq.Cluster(t).NameServers()}
	if on.before("5") {
		t.Skip("earlier tools don't know the option for the trace's topic")
	}
	for what, tenant := range map[string]string{"of a tenant": tenantOf(t, ""), "without a tenant": ""} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			client := on.tracing(t, tenant)
			name, traceTopic := "orders", tenant+"%"+rocketkit.DefaultTenantTraceTopic
			if tenant != "" {
				topic(t, client, rocketkit.DefaultTenantTraceTopic)
			} else {
				name, traceTopic = tenantOf(t, ""), rocketkit.DefaultTraceTopic
			}
			topic(t, client, name)
			receipt := traced(t, client, name, 1)
			var text string
			wants := []string{`Pub +shop +\S+ +\S+ \S+ +\d+ms +success`, `Sub +billing +\S+ +\S+ \S+ +\d+ms +failed`, `Sub +billing +\S+ +\S+ \S+ +\d+ms +success`}
			eventually(t, "the index has it", func() bool {
				var err error
				if text, err = rocketmq.Cluster(t).Admin(t.Context(), "queryMsgTraceById", "-i", receipt.ID, "-t", traceTopic); err != nil {
					t.Fatal(err)
				}
				return strings.Contains(text, "failed") && strings.Count(text, "success") == 2
			})
			for _, want := range wants {
				if !regexp.MustCompile(want).MatchString(text) {
					t.Errorf("mqadmin printed no %s:\n%s", want, text)
				}
			}
		})
	}
}
