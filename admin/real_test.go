package admin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// shared gives an Admin on the shared cluster, for a tenant of the test's own, and the client below it.
func shared(t *testing.T, tenant string) (*testcluster.Cluster, *rocketkit.Client, *admin.Admin) {
	t.Helper()
	cluster := rocketmq.Cluster(t)
	client := dial(t, cluster, tenant)
	return cluster, client, admin.New(client)
}

func dial(t *testing.T, cluster *testcluster.Cluster, tenant string) *rocketkit.Client {
	t.Helper()
	client, err := rocketkit.Open(rocketkit.Config{
		NameServers: cluster.NameServers(), Tenant: tenant, Logger: slog.New(slog.DiscardHandler),
	})
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

// store sends a message as the wire does it, to one queue, and returns when it was stored.
func store(t *testing.T, client *rocketkit.Client, topic string, queue admin.QueueRange, body string) {
	t.Helper()
	view := client.Cluster()
	address, err := view.Master(t.Context(), topic, queue.Queue.Broker)
	if err != nil {
		t.Fatal(err)
	}
	req := protocol.SendMessage{
		ProducerGroup: "sender", Topic: topic, QueueID: int32(queue.Queue.ID), BornTime: time.Now().UnixMilli(), Body: []byte(body),
	}.Frame()
	if _, err := view.Invoke(t.Context(), address, req); err != nil {
		t.Fatal(err)
	}
}

func TestRealTopic(t *testing.T) {
	t.Parallel()
	cluster, client, a := shared(t, "topics")
	ctx := t.Context()
	if err := a.CreateTopic(ctx, admin.TopicConfig{Name: "orders", ReadQueues: 4, Attributes: map[string]string{"message.type": "DELAY"}}); err != nil {
		t.Fatal(err)
	}
	ranges, err := a.TopicOffsets(ctx, "orders")
	if err != nil || len(ranges) != 8 {
		t.Fatalf("%d queues, %v", len(ranges), err)
	}
	for _, r := range ranges {
		store(t, client, "topics%orders", r, "right after")
	}
	names, err := a.ListTopics(ctx)
	if err != nil || !reflect.DeepEqual(names, admin.TopicNames{Topics: []string{"orders"}}) {
		t.Errorf("list: %+v, %v", names, err)
	}
	if err := a.CreateTopic(ctx, admin.TopicConfig{Name: "orders", WriteQueues: 5}); !errors.Is(err, admin.ErrExists) {
		t.Errorf("create with other settings: %v", err)
	}
	if err := a.UpdateTopic(ctx, admin.TopicConfig{Name: "orders", Permission: admin.ReadOnly, Brokers: []string{"broker-1"}}); err != nil {
		t.Error(err)
	}
	if err := a.UpdateTopic(ctx, admin.TopicConfig{Name: "orders", WriteQueues: 2}); err != nil {
		t.Error(err)
	}
	attributes := map[string]string{"message.type": "DELAY"}
	if strings.HasPrefix(cluster.Version(), "4.") {
		attributes = nil
	}
	topic, err := a.Topic(ctx, "orders")
	want := admin.Topic{Name: "orders", Brokers: []admin.TopicSettings{
		{Broker: "broker-0", ReadQueues: 4, WriteQueues: 2, Permission: admin.ReadWrite, Attributes: attributes},
		{Broker: "broker-1", ReadQueues: 4, WriteQueues: 2, Permission: admin.ReadOnly, Attributes: attributes},
	}}
	if err != nil || !reflect.DeepEqual(topic, want) {
		t.Errorf("got  %+v, %v\nwant %+v", topic, err, want)
	}
	if err := a.UpdateTopic(ctx, admin.TopicConfig{Name: "ordres", WriteQueues: 2}); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("update of a missing topic: %v", err)
	}
	for range 2 {
		if err := a.DeleteTopic(ctx, "orders"); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.TopicOffsets(ctx, "orders"); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("after: %v", err)
	}
	printed, err := cluster.Admin(ctx, "topicList")
	if err != nil || strings.Contains(printed, "topics%orders") || !strings.Contains(printed, "SCHEDULE_TOPIC_XXXX") {
		t.Errorf("mqadmin topicList: %v\n%s", err, printed)
	}
}

func TestRealGroup(t *testing.T) {
	t.Parallel()
	cluster, client, a := shared(t, "groups")
	ctx := t.Context()
	if err := a.CreateGroup(ctx, admin.GroupConfig{Name: "billing", MaxRetries: 3}); err != nil {
		t.Fatal(err)
	}
	// What an operator has set by other means.
	brokers, err := a.Brokers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	config := protocol.NewGroupConfig("groups%billing")
	config.RetryMaxTimes, config.ConsumeTimeoutMinutes, config.SlowBrokerID = 3, 44, 5
	config.Attributes = map[string]string{"+priority.factor": "50"}
	config.RetryPolicy = []byte(`{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":1000,"max":9000,"multiplier":3}}`)
	if strings.HasPrefix(cluster.Version(), "4.") || cluster.Version() == "5.3.3" {
		config.Attributes = nil
	}
	if _, err := client.Cluster().Invoke(ctx, brokers[0].Addresses[0], protocol.CreateGroup{Config: config}.Frame()); err != nil {
		t.Fatal(err)
	}
	before := groupOn(t, client, brokers[0].Addresses[0], "groups%billing")
	if err := a.UpdateGroup(ctx, admin.GroupConfig{Name: "billing", Consume: admin.Off}); err != nil {
		t.Fatal(err)
	}
	after := groupOn(t, client, brokers[0].Addresses[0], "groups%billing")
	if before.ConsumeTimeoutMinutes != 44 && !strings.HasPrefix(cluster.Version(), "4.") {
		t.Errorf("the broker didn't take the settings: %+v", before)
	}
	before.ConsumeEnable = false
	if fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) {
		t.Errorf("got  %+v\nwant %+v", after, before)
	}
	got, err := a.Group(ctx, "billing")
	want := admin.Group{Name: "billing", Brokers: []admin.GroupSettings{
		{Broker: "broker-0", MaxRetries: 3, RetryQueues: 1}, {Broker: "broker-1", MaxRetries: 3, RetryQueues: 1},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if names, err := a.ListGroups(ctx); err != nil || !reflect.DeepEqual(names, []string{"billing"}) {
		t.Errorf("list: %v, %v", names, err)
	}
	if _, err := a.Group(ctx, "biling"); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("missing: %v", err)
	}
	for range 2 {
		if err := a.DeleteGroup(ctx, "billing", admin.Retry, admin.DeadLetters); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Group(ctx, "billing"); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("after: %v", err)
	}
}

func groupOn(t *testing.T, client *rocketkit.Client, address, group string) protocol.GroupConfig {
	t.Helper()
	answer, err := client.Cluster().Invoke(t.Context(), address, protocol.ListGroups{}.Frame())
	if err != nil {
		t.Fatal(err)
	}
	table, err := protocol.ParseListGroups(answer)
	if err != nil {
		t.Fatal(err)
	}
	return table[group]
}

func TestRealOffsets(t *testing.T) {
	t.Parallel()
	cluster, client, a := shared(t, "offsets")
	ctx := t.Context()
	if err := a.CreateTopic(ctx, admin.TopicConfig{Name: "orders", ReadQueues: 1}); err != nil {
		t.Fatal(err)
	}
	if err := a.CreateGroup(ctx, admin.GroupConfig{Name: "billing"}); err != nil {
		t.Fatal(err)
	}
	first, empty := queue("orders", "broker-0", 0), queue("orders", "broker-1", 0)
	var middle time.Time
	for i := range 6 {
		if i == 3 {
			middle = time.Now()
		}
		store(t, client, "offsets%orders", admin.QueueRange{Queue: first}, fmt.Sprint(i))
		for now := time.Now().UnixMilli(); time.Now().UnixMilli() < now+3; { // so that no two messages share a millisecond
			time.Sleep(time.Millisecond)
		}
	}
	for _, c := range []struct {
		at   time.Time
		want int64
	}{{time.UnixMilli(0), 0}, {middle, 3}, {time.Now(), 6}, {time.Now().Add(time.Hour), 6}} {
		found, err := a.SearchOffsets(ctx, "orders", c.at)
		if err != nil || found[first] != c.want || found[empty] != 0 || len(found) != 2 {
			t.Errorf("search at %v: %v, %v, want %d", c.at, found, err, c.want)
		}
	}
	offsets, err := a.Offsets(ctx, "billing", "orders")
	if err != nil || len(offsets) != 2 || offsets[0].Min != 0 || offsets[0].Max != 6 || offsets[0].Newest.Before(middle) || !offsets[1].Newest.IsZero() {
		t.Fatalf("got %+v, %v", offsets, err)
	}
	if offsets[0].HasCommitted != strings.HasPrefix(cluster.Version(), "4.") {
		t.Errorf("nothing is committed: %+v", offsets[0])
	}
	if err := a.SetOffsets(ctx, "billing", map[rocketkit.Queue]int64{first: 4, empty: 0}); err != nil {
		t.Fatal(err)
	}
	offsets, err = a.Offsets(ctx, "billing", "orders")
	if err != nil || offsets[0].Committed != 4 || !offsets[0].HasCommitted || !offsets[1].HasCommitted {
		t.Fatalf("got %+v, %v", offsets, err)
	}
	if lag, known := offsets[0].Lag(); lag != 2 || !known {
		t.Errorf("lag %d, %t", lag, known)
	}
	if strings.HasPrefix(cluster.Version(), "4.") {
		return // it takes any group's offsets, and resets differently
	}
	if err := a.SetOffsets(ctx, "biling", map[rocketkit.Queue]int64{first: 4}); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("missing group: %v", err)
	}
	address, err := client.Cluster().Master(ctx, "offsets%orders", "broker-0")
	if err != nil {
		t.Fatal(err)
	}
	reset := protocol.ResetOffset{Group: "offsets%billing", Topic: "offsets%orders", Time: 0, Force: true}
	if _, err := client.Cluster().Invoke(ctx, address, reset.Frame()); err != nil {
		t.Fatal(err)
	}
	if err := a.SetOffsets(ctx, "billing", map[rocketkit.Queue]int64{first: 5}); !errors.Is(err, admin.ErrResetPending) {
		t.Errorf("over a pending reset: %v", err)
	}
}

func TestRealKV(t *testing.T) {
	t.Parallel()
	cluster, _, a := shared(t, "kv")
	ctx := t.Context()
	kv := a.KV("rocketkit-test")
	if table, err := kv.List(ctx); err != nil || len(table) != 0 {
		t.Errorf("before: %v, %v", table, err)
	}
	const value = `{"a":"ä \" \\ 漢"}`
	if err := kv.Put(ctx, "k", value); err != nil {
		t.Fatal(err)
	}
	for _, address := range cluster.NameServers() {
		if got, found, err := kv.At(address).Get(ctx, "k"); got != value || !found || err != nil {
			t.Errorf("%s: %q, %t, %v", address, got, found, err)
		}
		if table, err := kv.At(address).List(ctx); err != nil || table["k"] != value {
			t.Errorf("%s: %v, %v", address, table, err)
		}
	}
	for range 2 {
		if err := kv.Delete(ctx, "k"); err != nil {
			t.Error(err)
		}
	}
	if _, found, err := kv.Get(ctx, "k"); found || err != nil {
		t.Errorf("after: %t, %v", found, err)
	}
}

func TestRealSettings(t *testing.T) {
	t.Parallel()
	cluster, _, a := shared(t, "settings")
	ctx := t.Context()
	s := a.Settings("billing")
	if state, err := s.Read(ctx); err != nil || state.Current.Rev != 0 {
		t.Errorf("before: %+v, %v", state, err)
	}
	if _, err := a.SettingsGroups(ctx); err != nil { // there may not even be the namespace
		t.Error(err)
	}
	if _, err := s.Write(ctx, workers("1"), nil); err != nil {
		t.Fatal(err)
	}
	written, err := s.Write(ctx, admin.SettingsDraft{Spec: []byte(`{"note":"ä \" \\\\ 漢 <&>"}`), By: "ann"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.KV(dynconf.Namespace).At(cluster.NameServers()[1]).Delete(ctx, "settings%billing"); err != nil {
		t.Fatal(err)
	}
	state, err := s.Read(ctx)
	if err != nil || string(state.Current.Spec) != string(written.Document.Spec) || state.Servers[1].Rev != 0 || state.Previous.Rev == 0 {
		t.Errorf("%+v, %v", state, err)
	}
	if state, err = s.Repair(ctx); err != nil || state.Servers[1].Rev != written.Document.Rev {
		t.Errorf("repaired: %+v, %v", state, err)
	}
	if groups, err := a.SettingsGroups(ctx); err != nil || !slices.Equal(groups, []string{"billing"}) {
		t.Errorf("%v, %v", groups, err)
	}
}

func TestRealTenantsSeeTheirOwn(t *testing.T) {
	t.Parallel()
	_, _, east := shared(t, "east")
	_, _, west := shared(t, "west")
	_, _, none := shared(t, "")
	ctx := t.Context()
	if err := errors.Join(
		east.CreateTopic(ctx, admin.TopicConfig{Name: "orders"}),
		east.CreateGroup(ctx, admin.GroupConfig{Name: "billing"}),
	); err != nil {
		t.Fatal(err)
	}
	for _, a := range []*admin.Admin{west, none} {
		if names, err := a.ListTopics(ctx); err != nil || !reflect.DeepEqual(names, admin.TopicNames{}) {
			t.Errorf("topics: %+v, %v", names, err)
		}
		if names, err := a.ListGroups(ctx); err != nil || len(names) != 0 {
			t.Errorf("groups: %v, %v", names, err)
		}
		if err := errors.Join(a.DeleteTopic(ctx, "orders"), a.DeleteGroup(ctx, "billing")); err != nil {
			t.Error(err)
		}
	}
	if topic, err := east.Topic(ctx, "orders"); err != nil || len(topic.Brokers) != 2 {
		t.Errorf("%+v, %v", topic, err)
	}
	if group, err := east.Group(ctx, "billing"); err != nil || len(group.Brokers) != 2 {
		t.Errorf("%+v, %v", group, err)
	}
}

// One cluster of its own, because it stops servers.
func TestRealServersDown(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{NameServers: 2, Replicas: 1})
	a := admin.New(dial(t, cluster, "down"))
	ctx := t.Context()
	if err := a.CreateTopic(ctx, admin.TopicConfig{Name: "before"}); err != nil {
		t.Fatal(err)
	}
	brokers, err := a.Brokers(ctx)
	want := map[int64]string{0: cluster.Broker(0).Address(), 1: cluster.Replica(0, 1).Address()}
	if err != nil || len(brokers) != 1 || !reflect.DeepEqual(brokers[0].Addresses, want) {
		t.Errorf("got %+v, %v, want %v", brokers, err, want)
	}
	lost := cluster.NameServer(0)
	if err := lost.Kill(); err != nil {
		t.Fatal(err)
	}
	kv := a.KV("rocketkit-test")
	var partial *admin.PartialError
	if err := kv.Put(ctx, "k", "v"); !errors.As(err, &partial) || len(partial.Failed) != 1 || partial.Failed[0].Address != lost.Address() || len(partial.Done) != 1 {
		t.Errorf("put with a name server down: %v", err)
	}
	if err := a.CreateTopic(ctx, admin.TopicConfig{Name: "meanwhile"}); err != nil {
		t.Errorf("create with a name server down: %v", err)
	}
	if err := a.DeleteTopic(ctx, "before"); !errors.As(err, &partial) || len(partial.Done) != 3 || partial.Failed[0].Address != lost.Address() {
		t.Errorf("delete with a name server down: %v", err)
	}
	if err := lost.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(kv.Put(ctx, "k", "v"), a.DeleteTopic(ctx, "before"), a.DeleteTopic(ctx, "meanwhile")); err != nil {
		t.Errorf("again: %v", err)
	}
	if value, _, err := kv.At(lost.Address()).Get(ctx, "k"); value != "v" || err != nil {
		t.Errorf("repeating heals: %q, %v", value, err)
	}
	if names, err := a.ListTopics(ctx); err != nil || len(names.Topics) != 0 {
		t.Errorf("left: %+v, %v", names, err)
	}
}
