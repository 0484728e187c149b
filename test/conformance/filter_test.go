package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
)

// sendBodies sends messages one after the other.
func sendBodies(t *testing.T, client *rocketkit.Client, topic string, bodies ...string) {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for _, body := range bodies {
		if _, err := p.Send(t.Context(), producer.Message{Topic: topic, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
}

// A broker that doesn't filter by properties makes Run fail, with the topic and the setting, before the group exists.
func TestSQLWithoutPropertyFilter(t *testing.T) { onEach(t, testSQLWithoutPropertyFilter) }

func testSQLWithoutPropertyFilter(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	err := runSQL(t, client, "billing", "amount > 5")
	if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "topic orders") || !strings.Contains(err.Error(), "enablePropertyFilter") {
		t.Errorf("Run returned %v", err)
	}
	if strings.Contains(err.Error(), client.Tenant()+"%") {
		t.Errorf("shows the tenant's prefix: %v", err)
	}
}

// runSQL runs a consumer that is to fail.
func runSQL(t *testing.T, client *rocketkit.Client, group, sql string) error {
	t.Helper()
	c, err := consumer.New(client, consumer.Config{Group: group, Topics: map[string]consumer.Topic{"orders": {SQL: sql, Handler: nothing}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return c.Run(ctx)
}

// With enablePropertyFilter a broker gives the messages whose properties the expression asks for, retries included, and
// passes over the others; it is asked whether it can read the expression.
func TestSQL(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{BrokerProperties: map[string]string{"enablePropertyFilter": "true"}})
	on := target{"real", cluster.NameServers()}
	client := on.open(t, "red")
	topic(t, client, "orders")

	err := runSQL(t, client, "careless", "amount >> 5")
	if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "topic orders") || !strings.Contains(err.Error(), `"amount >> 5"`) {
		t.Errorf("Run returned %v", err)
	}
	t.Log(err)

	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	const n = 200
	sendThem := func(from int) {
		for i := from; i < from+n; i++ {
			m := producer.Message{
				Topic: "orders", Body: fmt.Appendf(nil, "m-%d", i), Tag: []string{"created", "paid"}[i%2],
				Properties: map[string]string{"amount": fmt.Sprint(i % 10), "region": []string{"eu", "us", "asia"}[i%3]},
			}
			if _, err := p.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	wanted := func(i int) bool { return i%10 > 5 && i%3 != 2 && i%2 == 1 }
	sendThem(0)
	got := newTally()
	cfg := consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {
		SQL: "amount BETWEEN 6 AND 9 AND region IN ('eu', 'us') AND TAGS = 'paid'",
		Handler: func(_ context.Context, m *rocketkit.Message) error {
			if numberOf(string(m.Body()))%7 == 0 && m.Attempt() == 1 {
				return consumer.RetryIn(0, errors.New("once more"))
			}
			got.add(string(m.Body()))
			return nil
		},
	}}}
	check := func(upTo int) {
		t.Helper()
		want := 0
		for i := range upTo {
			if wanted(i) {
				want++
			}
		}
		got.awaitDistinct(t, want)
		eventually(t, "the others are passed over", func() bool { return committed(t, client, "billing", "orders") == int64(upTo) })
		for body, times := range got.all() {
			if times != 1 || !wanted(numberOf(body)) {
				t.Errorf("%s came %d times", body, times)
			}
		}
	}
	c := run(t, client, cfg)
	check(n)
	sendThem(n)
	check(2 * n)
	c.end(t)
	sendThem(2 * n)
	c = run(t, client, cfg) // with the same expression of a later version
	check(3 * n)
	c.end(t)

	// Another expression replaces the first; a group's subscription can go from SQL to tags.
	orders := cfg.Topics["orders"]
	for _, change := range []func(t *consumer.Topic){
		func(t *consumer.Topic) { t.SQL = "region = 'asia'" },
		func(t *consumer.Topic) { t.SQL, t.Tags = "", []string{"refunded"} },
	} {
		change(&orders)
		seen := newTally()
		orders.Handler = func(_ context.Context, m *rocketkit.Message) error {
			region, _ := m.Property("region")
			seen.add(region + m.Tag())
			return nil
		}
		cfg.Topics = map[string]consumer.Topic{"orders": orders}
		c := run(t, client, cfg)
		for _, tag := range []string{"created", "refunded"} {
			for _, region := range []string{"eu", "asia"} {
				if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Tag: tag, Body: []byte("x-0"), Properties: map[string]string{"region": region}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		seen.awaitDistinct(t, 2)
		c.end(t)
		for kind := range seen.all() {
			if orders.SQL != "" && !strings.HasPrefix(kind, "asia") || orders.SQL == "" && !strings.HasSuffix(kind, "refunded") {
				t.Errorf("with %q, %v it got %s", orders.SQL, orders.Tags, kind)
			}
		}
	}
}
