package mqtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestWaitConsumed(t *testing.T) {
	bubble(t, Config{Brokers: 2, Topics: map[string]int{"orders": 2}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.join("g", "orders")
		cl.send("orders", "x")
		wait := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return c.WaitConsumed(ctx, "g", "orders")
		}
		missing := func(want string) {
			t.Helper()
			err := wait()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
				t.Fatalf("%v; want %q", err, want)
			}
		}
		missing("orders broker-a/0: nothing committed of 1")
		m := cl.messages("g", "orders", 0)[0]
		cl.ok(protocol.SendBack{Group: "g", Offset: m.CommitLogOffset, DelayLevel: 5}.Frame())
		commit := func(topic string) {
			cl.ok(protocol.UpdateOffset{Group: "g", Topic: topic, Offset: 1}.Frame())
		}
		commit("orders")
		missing("1 messages on broker-a wait for a retry or delay, the next for 5")
		time.Sleep(time.Minute)
		missing("%RETRY%g broker-a/0: nothing committed of 1")
		time.AfterFunc(500*time.Millisecond, func() {
			_, _ = cl.remote.Call(context.Background(), cl.address("broker-a"),
				protocol.UpdateOffset{Group: "g", Topic: "%RETRY%g", Offset: 1}.Frame())
		})
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitConsumed(canceled(), "g", "refunds"); !strings.Contains(err.Error(), "refunds doesn't exist") {
			t.Fatal(err)
		}
	})
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestAWaitWithoutADeadlineEnds(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		begin := time.Now()
		err := c.WaitMessages(context.Background(), "orders", 1)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != longestWait {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { c.Close() })
		if err := c.WaitMembers(context.Background(), "g", 1); err == nil {
			t.Fatal("no error from a closed cluster")
		}
	})
}

func TestTenantsView(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		red, err := c.Tenant("red")
		if err != nil {
			t.Fatal(err)
		}
		if cfg := red.Config(); cfg.Tenant != "red" || len(cfg.NameServers) != 1 {
			t.Fatalf("%+v", cfg)
		}
		if _, err := c.Tenant("Red!"); err == nil {
			t.Fatal("a bad name was taken")
		}
		if err := red.CreateTopic("orders", 1); err != nil {
			t.Fatal(err)
		}
		if err := c.CreateTopic("blue%orders", 1); err != nil {
			t.Fatal(err)
		}
		cl.join("red%g", "red%orders")
		cl.send("red%orders", "x")
		cl.ok(protocol.SendBack{Group: "red%g", DelayLevel: -1, Offset: cl.messages("red%g", "red%orders", 0)[0].CommitLogOffset}.Frame())
		if topics := red.Topics(); !slices.Equal(topics, []string{"%DLQ%g", "%RETRY%g", "orders"}) {
			t.Error(topics)
		}
		if groups := red.Groups(); !slices.Equal(groups, []string{"g"}) {
			t.Error(groups)
		}
		if err := red.WaitDeadLetters(context.Background(), "g", 1); err != nil {
			t.Fatal(err)
		}
		if err := red.WaitMembers(context.Background(), "g", 1); err != nil {
			t.Fatal(err)
		}
		dead := red.DeadLetters("g")
		if len(dead) != 1 || dead[0].Topic() != "orders" || dead[0].Queue().Topic != "%DLQ%g" || string(dead[0].Body()) != "x" || dead[0].Attempt() != 2 {
			t.Fatalf("%+v", dead)
		}
		queue := rocketkit.Queue{Topic: "orders", Broker: "broker-a"}
		if o := red.Offsets("g", "orders")[queue]; o != (Offset{Committed: -1, Max: 1}) {
			t.Fatal(o)
		}
		if err := red.WaitConsumed(canceled(), "g", "orders"); err == nil || strings.Contains(err.Error(), "red") {
			t.Fatal(err)
		}
		if ids := red.Members("g"); len(ids) != 1 {
			t.Fatal(ids)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for field, cfg := range map[string]Config{
		"NameServers":     {NameServers: 27},
		"Brokers":         {Brokers: -1},
		"Topics":          {Topics: map[string]int{"a b": 1}},
		"orders":          {Topics: map[string]int{"orders": -1}},
		"MaxMessageBytes": {MaxMessageBytes: -1},
		"DelayLevels":     {DelayLevels: []time.Duration{-1}},
		"Transaction":     {TransactionTimeout: -1},
	} {
		if _, err := Start(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestRocketkitsClientWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, Config{Topics: map[string]int{"red%orders": 2}})
		red, err := c.Tenant("red")
		if err != nil {
			t.Fatal(err)
		}
		client, err := rocketkit.Open(red.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		if !c.links.of(c.links.add(c).next().AddrPort()).is("10.0.0.1@mqtest-2") {
			t.Error("links aren't found by their address")
		}
		route, err := client.Cluster().Route(t.Context(), "red%orders")
		if err != nil {
			t.Fatal(route, err)
		}
	})
}
