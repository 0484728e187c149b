package admin_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// keep is a message that a broker has.
func keep(topic, store, id, keys, body string, at, stored int64) protocol.Message {
	properties := protocol.AppendProperty(nil, protocol.PropertyUniqueKey, id)
	properties = protocol.AppendProperty(properties, protocol.PropertyKeys, keys)
	return protocol.Message{
		Topic: topic, Body: []byte(body), Properties: properties, CommitLogOffset: at, StoreMillis: stored,
		StoreHost: netip.MustParseAddrPort(store), BornHost: netip.MustParseAddrPort("10.9.9.9:1"),
	}
}

// finding has the fake's brokers answer lookups with whatever they hold, as if all keys had one hash.
func finding(held map[string][]protocol.Message) func(string, *frame.Frame) *frame.Frame {
	return func(address string, req *frame.Frame) *frame.Frame {
		switch req.Code {
		case protocol.ReqQueryMessage:
			f := &frame.Frame{}
			for _, m := range held[address] {
				f.Body = append(f.Body, protocol.EncodeMessage(nil, &m)...)
			}
			if len(f.Body) == 0 {
				return refuse(protocol.CodeQueryNotFound, "can not find message, maybe time range not correct")
			}
			return f
		case protocol.ReqViewMessage:
			if at, _ := req.Fields.Int64("offset"); len(held[address]) > 0 && at == held[address][0].CommitLogOffset {
				return &frame.Frame{Body: protocol.EncodeMessage(nil, &held[address][0])}
			}
			return refuse(protocol.CodeSystemError, "can not find message by the offset")
		}
		return nil
	}
}

func lookedUp(t *testing.T, held map[string][]protocol.Message) (*fake, *admin.Admin) {
	t.Helper()
	f := newFake()
	a := f.open(t, "red")
	if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.fault = finding(held)
	f.mu.Unlock()
	return f, a
}

// TestForeignAddressIsNotDialed: an offset id names an address. Only brokers of the topic are asked, and what they send
// for it counts only when it is that message, of that topic.
func TestForeignAddressIsNotDialed(t *testing.T) {
	t.Parallel()
	own := keep("red%orders", masterA, "id-1", "k", "one", 100, 1)
	other := keep("blue%orders", masterB, "id-2", "k", "two", 100, 1)
	liar := keep("red%orders", "10.6.6.6:10911", "id-3", "k", "three", 300, 1)
	f, a := lookedUp(t, map[string][]protocol.Message{masterA: {own}, masterB: {other}, replicaA: {own}})
	if m, err := a.Message(t.Context(), "orders", own.OffsetID()); err != nil || string(m.Body()) != "one" || m.CommitLogOffset != 100 || m.StoreHost.String() != masterA {
		t.Errorf("%+v, %v", m, err)
	}
	if asked := f.sent(protocol.ReqViewMessage); !slices.Equal(asked, []string{masterA}) {
		t.Errorf("asked %v", asked)
	}
	for what, id := range map[string]string{
		"another address": liar.OffsetID(), "another tenant's": other.OffsetID(),
		"beside it": strings.Replace(own.OffsetID(), "64", "65", 1),
	} {
		if m, err := a.Message(t.Context(), "orders", id); !errors.Is(err, admin.ErrNotFound) {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, asked := range f.asked {
		if strings.HasPrefix(asked.address, "10.6.") {
			t.Errorf("%s was asked", asked.address)
		}
	}
}

// TestFindings: brokers find by hashes and know all tenants; what comes back is the tenant's, of that key and time, the
// newest first; a replica stands in for its master.
func TestFindings(t *testing.T) {
	t.Parallel()
	f, a := lookedUp(t, map[string][]protocol.Message{
		masterA: {
			keep("red%orders", masterA, "id-1", "k x", "one", 1, 1000), keep("red%orders", masterA, "id-2", "kk", "same hash", 2, 1000),
			keep("blue%orders", masterA, "id-1", "k", "another tenant's", 3, 1000),
		},
		masterB: {keep("red%orders", masterB, "id-1", "k", "again", 1, 2000), keep("red%orders", masterB, "id-4", "k", "late", 2, 9000)},
	})
	bodies := func(list []admin.StoredMessage) (all []string) {
		for _, m := range list {
			all = append(all, string(m.Body()))
		}
		return all
	}
	found, err := a.MessagesByKey(t.Context(), "orders", "k", time.UnixMilli(1000), time.UnixMilli(2000), 0)
	if err != nil || !slices.Equal(bodies(found), []string{"again", "one"}) {
		t.Errorf("%q, %v", bodies(found), err)
	}
	if found[0].Queue() != (rocketkit.Queue{Topic: "orders", Broker: "b"}) {
		t.Errorf("in %v", found[0].Queue())
	}
	if found, err := a.MessagesByKey(t.Context(), "orders", "k", time.Time{}, time.Time{}, 1); err != nil || !slices.Equal(bodies(found), []string{"late"}) {
		t.Errorf("%q, %v", bodies(found), err)
	}
	if m, err := a.Message(t.Context(), "orders", "id-1"); err != nil || string(m.Body()) != "one" {
		t.Errorf("of two with one id: %s, %v", m.Body(), err)
	}

	f.mu.Lock()
	f.down[masterB] = true
	f.mu.Unlock()
	client := f.client(t, "red") // without a connection to it
	a = admin.New(client)
	found, err = a.MessagesByKey(t.Context(), "orders", "k", time.Time{}, time.Time{}, 0)
	var partial *admin.PartialError
	if !errors.As(err, &partial) || partial.Failed[0].Target != "b" || !slices.Equal(bodies(found), []string{"one"}) {
		t.Errorf("with a broker away: %q, %v", bodies(found), err)
	}
	if m, err := a.Message(t.Context(), "orders", "id-1"); err != nil || string(m.Body()) != "one" {
		t.Errorf("found on the other: %v", err)
	}
	if _, err := a.Message(t.Context(), "orders", "id-4"); !errors.As(err, &partial) || errors.Is(err, admin.ErrNotFound) {
		t.Errorf("on the broker that is away: %v", err)
	}
}

// TestLookupArguments: what can't be right is refused before anything is sent.
func TestLookupArguments(t *testing.T) {
	t.Parallel()
	f := newFake()
	a := f.open(t, "red")
	none := time.Time{}
	for what, err := range map[string]error{
		"no id":         second(a.Message(t.Context(), "orders", "")),
		"space in id":   second(a.Message(t.Context(), "orders", "a b")),
		"bad topic":     second(a.Message(t.Context(), "blue%orders", "id")),
		"shared topic":  second(a.Message(t.Context(), "RMQ_SYS_TRANS_HALF_TOPIC", "id")),
		"no key":        second(a.MessagesByKey(t.Context(), "orders", "", none, none, 0)),
		"two keys":      second(a.MessagesByKey(t.Context(), "orders", "a b", none, none, 0)),
		"too many":      second(a.MessagesByKey(t.Context(), "orders", "k", none, none, admin.MaxFound+1)),
		"negative":      second(a.MessagesByKey(t.Context(), "orders", "k", none, none, -1)),
		"time reversed": second(a.MessagesByKey(t.Context(), "orders", "k", time.Unix(2, 0), time.Unix(1, 0), 0)),
	} {
		if !errors.Is(err, rocketkit.ErrConfig) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %v", f.asked)
	}
}

func second[T any](_ T, err error) error { return err }
