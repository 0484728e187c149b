package admin_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// members has each master answer for the group red%billing.
func (f *fake) members(at map[string]*protocol.ConsumerConnection, running func(address string, ask protocol.GetRunningInfo) *frame.Frame) {
	f.fault = func(address string, req *frame.Frame) *frame.Frame {
		group, _ := req.Fields.Get("consumerGroup")
		switch req.Code {
		case protocol.ReqConsumerConnection:
			if at[address] == nil || group != "red%billing" {
				return refuse(protocol.CodeConsumerNotOnline, "the consumer group["+group+"] not online")
			}
			return at[address].Answer()
		case protocol.ReqRunningInfo:
			ask, err := protocol.ParseGetRunningInfo(req)
			if err != nil {
				return refuse(protocol.CodeSystemError, err.Error())
			}
			return running(address, ask)
		}
		return nil
	}
}

func connected(id, address string, language string, version int32) protocol.Connection {
	return protocol.Connection{ClientID: id, Address: address, Language: language, Version: version}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.members(map[string]*protocol.ConsumerConnection{
		masterA: {
			Connections: []protocol.Connection{connected("b@1", "10.1.0.2:5", "JAVA", 513), connected("a@1", "10.1.0.1:1", "GO", 493)},
			Subscriptions: map[string]protocol.SubscriptionData{
				"red%orders":          {Topic: "red%orders", Expression: "paid", ExpressionType: "TAG", Version: 1},
				"%RETRY%red%billing":  {Topic: "%RETRY%red%billing", Expression: "*", Version: 1},
				"blue%orders":         {Topic: "blue%orders", Expression: "*", Version: 1},
				"red%with spaces in ": {Topic: "red%with spaces in ", Expression: "*"},
			},
			Type: "CONSUME_PASSIVELY", Model: "CLUSTERING", From: "CONSUME_FROM_LAST_OFFSET",
		},
		masterB: {
			Connections: []protocol.Connection{connected("a@1", "10.1.0.1:2", "GO", 493)},
			Subscriptions: map[string]protocol.SubscriptionData{
				"red%orders": {Topic: "red%orders", Expression: "a > 1", ExpressionType: "SQL92", Version: 2},
			},
			Type: "CONSUME_PASSIVELY", Model: "CLUSTERING", From: "CONSUME_FROM_LAST_OFFSET",
		},
	}, nil)
	a := f.open(t, "red")
	got, err := a.Connections(t.Context(), "billing")
	want := admin.Connections{
		Group: "billing",
		Members: []admin.Member{
			{"a@1", "GO", "V5_4_0", map[string]string{"a": "10.1.0.1:1", "b": "10.1.0.1:2"}},
			{"b@1", "JAVA", "V5_5_0", map[string]string{"a": "10.1.0.2:5"}},
		},
		Subscriptions: []admin.Subscription{{"%RETRY%billing", "*", "TAG"}, {"orders", "a > 1", "SQL92"}},
		Type:          "CONSUME_PASSIVELY", Model: "CLUSTERING", From: "CONSUME_FROM_LAST_OFFSET",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := a.Connections(t.Context(), "audit"); err != nil || !reflect.DeepEqual(got, admin.Connections{Group: "audit"}) {
		t.Errorf("a group without members: %+v, %v", got, err)
	}
	for _, group := range []string{"", "red%billing", "CID_RMQ_SYS_x"} {
		if _, err := a.Connections(t.Context(), group); !errors.Is(err, rocketkit.ErrConfig) {
			t.Errorf("group %q: %v", group, err)
		}
	}

	f.down[masterB] = true
	got, err = f.open(t, "red").Connections(t.Context(), "billing")
	var partial *admin.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || partial.Failed[0].Target != "b" || len(got.Members) != 2 || len(got.Subscriptions) != 2 {
		t.Errorf("with a broker down: %+v, %v", got, err)
	}
}

func TestRunningInfo(t *testing.T) {
	t.Parallel()
	f := newFake()
	begun := time.UnixMilli(1_700_000_000_000)
	var asked []string
	answer := &protocol.ConsumerRunningInfo{
		Properties: map[string]string{"pool orders": "core=16 max=64 active=1 waiting=0"},
		Subscriptions: []protocol.SubscriptionData{
			{Topic: "red%orders", Expression: "*", ExpressionType: "TAG"}, {Topic: "%RETRY%red%billing", Expression: "*", ExpressionType: "TAG"},
		},
		Queues: map[protocol.Queue]protocol.QueueInfo{
			{Topic: "red%orders", Broker: "b", ID: 1}: {CommitOffset: 7, CachedMinOffset: 7, CachedMaxOffset: 12, CachedCount: 3, Locked: true, LastPullTime: begun.UnixMilli()},
			{Topic: "red%orders", Broker: "a", ID: 0}: {CommitOffset: -1, Dropped: true, LastConsumeTime: begun.UnixMilli()},
			{Topic: "blue%x", Broker: "a", ID: 0}:     {},
		},
		Statuses: map[string]protocol.ConsumeStatus{"red%orders": {PullRT: 1.5, PullTPS: 10, ConsumeRT: 2, OKTPS: 9, FailedTPS: 1, FailedMessages: 60}},
		UserInfo: map[string]string{"state": "running"},
		Stack:    "main.handler(\"x\")\n\t/src/main.go:1\n",
	}
	refusing := map[string]bool{}
	at := map[string]*protocol.ConsumerConnection{
		masterA: {Connections: []protocol.Connection{connected("a@1", "10.1.0.1:1", "GO", 493), connected("b@1", "10.1.0.1:1", "GO", 493)}},
		masterB: {Connections: []protocol.Connection{connected("a@1", "10.1.0.1:2", "GO", 493)}},
	}
	f.members(at, func(address string, ask protocol.GetRunningInfo) *frame.Frame {
		asked = append(asked, address)
		if ask.Group != "red%billing" || refusing[address] {
			return refuse(protocol.CodeConsumeTimeout, "consumer <red%billing> <"+ask.ClientID+"> Timeout")
		}
		info := *answer
		if !ask.Stack {
			info.Stack = ""
		}
		return info.Answer()
	})
	a := f.open(t, "red")
	got, err := a.RunningInfo(t.Context(), "billing", "a@1", true)
	want := admin.RunningInfo{
		ClientID: "a@1", Properties: answer.Properties, Info: answer.UserInfo, Stack: answer.Stack,
		Subscriptions: []admin.Subscription{{"%RETRY%billing", "*", "TAG"}, {"orders", "*", "TAG"}},
		Queues: []admin.RunningQueue{
			{Queue: rocketkit.Queue{Topic: "orders", Broker: "a", ID: 0}, Committed: -1, Dropped: true, LastHandled: begun},
			{Queue: rocketkit.Queue{Topic: "orders", Broker: "b", ID: 1}, Committed: 7, Min: 7, Max: 12, Cached: 3, Locked: true, LastPull: begun},
		},
		Topics: []admin.TopicTraffic{{"orders", 1500 * time.Microsecond, 2 * time.Millisecond, 10, 9, 1, 60}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if len(asked) != 1 {
		t.Errorf("asked on %v, once is enough", asked)
	}
	if got, err := a.RunningInfo(t.Context(), "billing", "a@1", false); err != nil || got.Stack != "" {
		t.Errorf("without stack: %q, %v", got.Stack, err)
	}

	refusing[masterA] = true // it has lost the connection, say: the other broker has one
	if got, err := a.RunningInfo(t.Context(), "billing", "a@1", false); err != nil || len(got.Queues) != 2 {
		t.Errorf("through the other broker: %+v, %v", got, err)
	}
	_, err = a.RunningInfo(t.Context(), "billing", "b@1", false)
	if code, _, ok := rocketkit.Code(err); !ok || code != int(protocol.CodeConsumeTimeout) || strings.Contains(err.Error(), "red%") || !strings.Contains(err.Error(), "b@1 in group billing") {
		t.Errorf("a member that doesn't answer: %v", err)
	}
	if _, err := a.RunningInfo(t.Context(), "billing", "c@1", false); !errors.Is(err, admin.ErrNoMember) {
		t.Errorf("no such member: %v", err)
	}
	f.down[masterB] = true
	var partial *admin.PartialError
	if _, err := f.open(t, "red").RunningInfo(t.Context(), "billing", "c@1", false); !errors.As(err, &partial) || errors.Is(err, admin.ErrNoMember) {
		t.Errorf("no such member as far as is known: %v", err)
	}
}
