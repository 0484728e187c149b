package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/peer"
)

// An operator learns of a mixed group who its members are, and of each what it is doing.
func TestConnectionsAndRunningInfo(t *testing.T) { onEach(t, testConnectionsAndRunningInfo) }

func testConnectionsAndRunningInfo(t *testing.T, on target) {
	testcluster.Require(t) // for the Java client
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	a := admin.New(client)
	topic(t, client, "orders")
	found(t, client, "billing", "orders")
	if c, err := a.Connections(t.Context(), "billing"); err != nil || len(c.Members) != 0 {
		t.Errorf("before there are any: %+v, %v", c, err)
	}
	got := newTally()
	members := map[string]member{"GO": joinOurs(t, on, tenant, got), "JAVA": joinPeer(t, on, tenant, peer.Java, got)}
	rest(t, members)

	c, err := a.Connections(t.Context(), "billing")
	if err != nil || len(c.Members) != len(members) || c.Type != "CONSUME_PASSIVELY" || c.Model != "CLUSTERING" {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, m := range c.Members {
		if members[m.Language].id == nil || members[m.Language].id() != m.ClientID || !strings.HasPrefix(m.Version, "V") || len(m.Addresses) != 1 {
			t.Errorf("member %+v", m)
		}
	}
	if want := []admin.Subscription{{Topic: "%RETRY%billing", Expression: "*", Type: "TAG"}, {Topic: "orders", Expression: "*", Type: "TAG"}}; !slices.Equal(c.Subscriptions, want) {
		t.Errorf("subscriptions %+v, want %+v", c.Subscriptions, want)
	}
	send(t, client, "orders", "m", 100)
	got.awaitDistinct(t, 100)
	for language, m := range members {
		info, err := a.RunningInfo(t.Context(), "billing", m.id(), true)
		if err != nil {
			t.Fatal(err)
		}
		var queues []int
		for _, q := range info.Queues {
			if q.Queue.Topic == "orders" {
				queues = append(queues, q.Queue.ID)
			}
		}
		if !slices.Equal(queues, m.queues()) && !slices.Equal(queues, slices.Sorted(slices.Values(m.queues()))) {
			t.Errorf("%s: queues %v, want %v", language, queues, m.queues())
		}
		if len(info.Subscriptions) != 2 || info.Properties["PROP_CONSUME_TYPE"] != "CONSUME_PASSIVELY" || info.Stack == "" {
			t.Errorf("%s: %+v", language, info)
		}
		if pool := info.Properties["pool orders"]; language == "GO" && !strings.HasPrefix(pool, "core=16 max=16 active=") {
			t.Errorf("pool %q", pool)
		}
	}
	if _, err := a.RunningInfo(t.Context(), "billing", "nobody@1", false); !errors.Is(err, admin.ErrNoMember) {
		t.Errorf("a member that isn't: %v", err)
	}
	members["JAVA"].leave()
	eventually(t, "the Java member gone", func() bool {
		c, err := a.Connections(t.Context(), "billing")
		return err == nil && len(c.Members) == 1 && c.Members[0].Language == "GO"
	})
}

// tools are RocketMQ's own, on the real cluster, and one consumer they are tried on.
type tools struct {
	*testing.T
	on     target
	tenant string
	client *rocketkit.Client
}

func newTools(t *testing.T) *tools {
	t.Parallel()
	on := target{"real", rocketmq.Cluster(t).NameServers()}
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	return &tools{t, on, tenant, client}
}

// mqadmin runs a command for the group and returns what it printed, which must hold certain texts.
func (o *tools) mqadmin(wants []string, args ...string) string {
	o.Helper()
	text, err := rocketmq.Cluster(o.T).Admin(o.Context(), append(args, "-g", o.tenant+"%billing")...)
	if err != nil {
		o.Fatal(err)
	}
	for _, want := range wants {
		if !regexp.MustCompile(want).MatchString(text) {
			o.Errorf("mqadmin %v printed no %s:\n%s", args, want, text)
		}
	}
	if strings.Contains(text, "Exception") {
		o.Errorf("mqadmin %v failed:\n%s", args, text)
	}
	if testing.Verbose() {
		o.Logf("mqadmin %s\n%s", strings.Join(args, " "), text)
	}
	return text
}

// send sends one message.
func (o *tools) send(body string) producer.Receipt {
	o.Helper()
	p, err := producer.New(o.client, producer.Config{Group: "sender"})
	if err != nil {
		o.Fatal(err)
	}
	defer p.Close(o.Context())
	receipt, err := p.Send(o.Context(), producer.Message{Topic: "orders", Body: []byte(body), Tag: "paid"})
	if err != nil {
		o.Fatal(err)
	}
	return receipt
}

func TestToolConsumerConnection(t *testing.T) {
	o := newTools(t)
	run(t, o.client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: nothing, Tags: []string{"paid", "sent"}}}})
	o.mqadmin([]string{
		regexp.QuoteMeta(o.client.ID()) + ` +127\.0\.0\.1:\d+ +GO +V5_4_0`,
		o.tenant + `%orders +.*paid\|\|sent`, `%RETRY%` + o.tenant + `%billing +.*\*`,
		"ConsumeType: CONSUME_PASSIVELY", "MessageModel: CLUSTERING", "ConsumeFromWhere: CONSUME_FROM_LAST_OFFSET",
	}, "consumerConnection")
}

// The tool prints each topic's pool and what holds a queue back; with -s the stack of the handler that holds the oldest
// message comes first.
func TestToolConsumerStatus(t *testing.T) {
	o := newTools(t)
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	defer close(release)
	c := run(t, o.client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {
		Workers: 16, MaxWorkers: 64, Handler: func(_ context.Context, m *rocketkit.Message) error {
			if string(m.Body()) == "stuck" {
				bookedForever(entered, release)
			}
			return nil
		},
	}}})
	o.send("good")
	eventually(t, "one handled", func() bool { return c.Stats().Topics["orders"].Handled == 1 })
	stuck := o.send("stuck")
	<-entered
	eventually(t, "held", func() bool { return held(c, stuck.Queue) != "" })
	wants := []string{
		`pool orders +: core=16 max=64 active=1 waiting=0`, `PROP_THREADPOOL_CORE_SIZE +: 16`, `PROP_CONSUME_TYPE +: CONSUME_PASSIVELY`,
		fmt.Sprintf(`%s%%orders +broker-0 +%d +%d`, o.tenant, stuck.Queue.ID, stuck.Offset),
	}
	if !o.on.before("5") { // earlier tools print nothing of it
		wants = append(wants, `state +: running`, `held `+stuck.Queue.String()+` +: handler of message `+stuck.ID,
			`topic orders +: handled=1 failed=0 cached=1; last .*: 1 returned, .*; longest running: message `+stuck.ID)
	}
	o.mqadmin(wants, "consumerStatus", "-i", o.client.ID())
	wants = append(wants, `(?s)#Consumer jstack#\s+handler of message `+stuck.ID+`[^\n]*\n[^\n]*[^#]*#[^\n]*bookedForever.*all goroutines of the process`)
	o.mqadmin(wants, "consumerStatus", "-s", "-i", o.client.ID())
	o.mqadmin([]string{regexp.QuoteMeta(o.client.ID()) + ` +V5_4_0`, "Same subscription in the same group of consumer", "Rebalance OK"}, "consumerStatus")
}

//go:noinline
func bookedForever(entered chan<- struct{}, release <-chan struct{}) {
	entered <- struct{}{}
	<-release
}

func held(c *running, queue rocketkit.Queue) string {
	for _, q := range c.Stats().Topics["orders"].Queues {
		if q.Queue == queue {
			return q.HeldBy
		}
	}
	return ""
}

func TestToolConsumerProgress(t *testing.T) {
	o := newTools(t)
	release := make(chan struct{})
	defer close(release)
	got := newTally()
	run(t, o.client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {
		Handler: func(_ context.Context, m *rocketkit.Message) error {
			if got.add(string(m.Body())); string(m.Body()) == "stuck" {
				<-release
			}
			return nil
		},
	}}})
	send(t, o.client, "orders", "m", 40)
	stuck := o.send("stuck")
	got.awaitDistinct(t, 41)
	eventually(t, "all but one committed", func() bool {
		offsets, err := admin.New(o.client).Offsets(t.Context(), "billing", "orders")
		behind := int64(0)
		for _, offset := range offsets {
			lag, _ := offset.Lag()
			behind += lag
		}
		return err == nil && behind == 1
	})
	o.mqadmin([]string{
		fmt.Sprintf(`%s%%orders +broker-0 +%d +%d +%d +`, o.tenant, stuck.Queue.ID, stuck.Offset+1, stuck.Offset),
		`%RETRY%` + o.tenant + `%billing`, `Diff Total: 1\b`,
	}, "consumerProgress")
}

// A tool has one member handle a message again: it is told what the handler said, and nothing else follows.
func TestToolDirectConsume(t *testing.T) {
	o := newTools(t)
	got := newTally()
	wrapped := newTally()
	c := run(t, o.client, consumer.Config{
		Group: "billing",
		Middleware: []consumer.Middleware{func(next consumer.Handler) consumer.Handler {
			return func(ctx context.Context, m *rocketkit.Message) error {
				wrapped.add(string(m.Body()))
				return next(ctx, m)
			}
		}},
		Topics: map[string]consumer.Topic{"orders": {Handler: func(ctx context.Context, m *rocketkit.Message) error {
			if got.add(string(m.Body())); got.count(string(m.Body())) == 1 {
				return nil
			}
			if _, ok := ctx.Deadline(); !ok || m.Topic() != "orders" || m.Tag() != "paid" {
				t.Errorf("message of %s, tagged %s; deadline %t", m.Topic(), m.Tag(), ok)
			}
			switch string(m.Body()) {
			case "fails":
				return errors.New("no such account")
			case "panics":
				panic("account is nil")
			}
			return nil
		}}},
	})
	for body, wants := range map[string][]string{
		"works":  {"consumeResult=CR_SUCCESS", "order=false", "autoCommit=true", `spentTimeMills=\d`},
		"fails":  {"consumeResult=CR_LATER", "remark=no such account"},
		"panics": {"consumeResult=CR_THROW_EXCEPTION", "remark=handler panicked: account is nil"},
	} {
		sent := o.send(body)
		eventually(t, body+" handled", func() bool { return got.count(body) == 1 })
		args := []string{"queryMsgById", "-d", o.client.ID(), "-i", sent.OffsetID}
		if !o.on.before("5") { // earlier tools don't know the option
			args = append(args, "-t", o.tenant+"%orders")
		}
		o.mqadmin(wants, args...)
		if got.count(body) != 2 || wrapped.count(body) != 2 {
			t.Errorf("%s: handled %d times, %d through the middleware", body, got.count(body), wrapped.count(body))
		}
	}
	if s := c.Stats().Topics["orders"]; s.Handled != 3 || s.Failed != 0 {
		t.Errorf("it counts as consumed: %+v", s)
	}
}
