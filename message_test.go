package rocketkit_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func received(raw *protocol.Message, properties ...string) *rocketkit.Message {
	for i := 0; i < len(properties); i += 2 {
		raw.Properties = protocol.AppendProperty(raw.Properties, properties[i], properties[i+1])
	}
	m := rocketkit.Received(raw, "orders", rocketkit.Queue{Topic: "%RETRY%billing", Broker: "broker-a", ID: 3})
	return &m
}

func TestMessage(t *testing.T) {
	t.Parallel()
	m := received(&protocol.Message{
		Topic: "red%orders", QueueOffset: 41, CommitLogOffset: 0x1234, ReconsumeTimes: 2, Body: []byte("body"),
		BornMillis: 1_700_000_000_001, StoreMillis: 1_700_000_000_002,
		BornHost: netip.MustParseAddrPort("10.1.2.3:4567"), StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"),
	}, "TAGS", "paid", "KEYS", "k1  k2", "UNIQ_KEY", "unique", "__SHARDINGKEY", "shard", "mine", "value")
	for what, pair := range map[string][2]any{
		"topic":        {m.Topic(), "orders"},
		"body":         {string(m.Body()), "body"},
		"tag":          {m.Tag(), "paid"},
		"keys":         {fmt.Sprint(m.Keys()), "[k1 k2]"},
		"id":           {m.ID(), "unique"},
		"offset id":    {m.OffsetID(), "0A00000100002A9F0000000000001234"},
		"sharding key": {m.ShardingKey(), "shard"},
		"queue":        {m.Queue(), rocketkit.Queue{Topic: "%RETRY%billing", Broker: "broker-a", ID: 3}},
		"queue's text": {m.Queue().String(), "%RETRY%billing/broker-a/3"},
		"offset":       {m.Offset(), int64(41)},
		"attempt":      {m.Attempt(), 3},
		"born":         {m.BornTime().UnixMilli(), int64(1_700_000_000_001)},
		"stored":       {m.StoreTime().UnixMilli(), int64(1_700_000_000_002)},
		"born at":      {m.BornHost(), netip.MustParseAddrPort("10.1.2.3:4567")},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	if value, ok := m.Property("mine"); !ok || value != "value" {
		t.Errorf("property: %q, %v", value, ok)
	}
	if value, ok := m.Property("other"); ok || value != "" {
		t.Errorf("a property it doesn't have: %q, %v", value, ok)
	}
	want := map[string]string{"TAGS": "paid", "KEYS": "k1  k2", "UNIQ_KEY": "unique", "__SHARDINGKEY": "shard", "mine": "value"}
	if got := maps.Collect(m.Properties()); !maps.Equal(got, want) {
		t.Errorf("properties %v", got)
	}
	var names []string
	for name := range m.Properties() {
		if names = append(names, name); len(names) == 2 {
			break
		}
	}
	if !slices.Equal(names, []string{"TAGS", "KEYS"}) {
		t.Errorf("first properties %v", names)
	}
}

// TestBareMessage: one with nothing that a sender may leave out.
func TestBareMessage(t *testing.T) {
	t.Parallel()
	m := received(&protocol.Message{StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), CommitLogOffset: 1})
	if m.Tag() != "" || len(m.Keys()) != 0 || m.ShardingKey() != "" || len(m.Body()) != 0 || m.Attempt() != 1 {
		t.Errorf("%q %v %q %q %d", m.Tag(), m.Keys(), m.ShardingKey(), m.Body(), m.Attempt())
	}
	if m.ID() != m.OffsetID() || m.ID() == "" {
		t.Errorf("id %q, offset id %q", m.ID(), m.OffsetID())
	}
	for name := range m.Properties() {
		t.Errorf("has property %s", name)
	}
	if got := received(&protocol.Message{}, "SHARDING_KEY", "by client-go").ShardingKey(); got != "by client-go" {
		t.Errorf("rocketmq-client-go's sharding key: %q", got)
	}
}

// TestMessageIsLazy: no map of the properties is made, and looking one up costs its value's string at most.
func TestMessageIsLazy(t *testing.T) {
	m := received(&protocol.Message{}, "TAGS", "a tag that is long enough to need memory", "UNIQ_KEY", "id")
	if n := testing.AllocsPerRun(100, func() { _ = m.Tag() }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestMessageConcurrently(t *testing.T) {
	t.Parallel()
	m := received(&protocol.Message{Body: []byte("body")}, "TAGS", "t", "KEYS", "k", "UNIQ_KEY", "id")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				_, _, _, _ = m.Tag(), m.Keys(), m.ID(), m.Body()
				for range m.Properties() {
				}
			}
		})
	}
	group.Wait()
}

func TestCode(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("send: %w", &protocol.Error{Code: 16, Remark: "forbidden"})
	if code, remark, ok := rocketkit.Code(err); code != 16 || remark != "forbidden" || !ok {
		t.Errorf("%d, %q, %v", code, remark, ok)
	}
	for _, err := range []error{nil, errors.New("refused"), rocketkit.ErrNoRoute} {
		if _, _, ok := rocketkit.Code(err); ok {
			t.Errorf("%v has a code", err)
		}
	}
}

// TestPropertiesAreLogical: what brokers keep of names shows no tenant; a caller's own properties are left alone.
func TestPropertiesAreLogical(t *testing.T) {
	t.Parallel()
	var p []byte
	for _, pair := range [][2]string{{"RETRY_TOPIC", "red%orders"}, {"REAL_TOPIC", "%RETRY%red%billing"}, {"discount", "red%orders"}} {
		p = protocol.AppendProperty(p, pair[0], pair[1])
	}
	m := rocketkit.Received(&protocol.Message{Properties: p}, "orders", rocketkit.Queue{})
	want := map[string]string{"RETRY_TOPIC": "orders", "REAL_TOPIC": "%RETRY%billing", "discount": "red%orders"}
	for name, value := range m.Properties() {
		if got, _ := m.Property(name); value != want[name] || got != value {
			t.Errorf("%s is %q and %q, want %q", name, value, got, want[name])
		}
	}
}
