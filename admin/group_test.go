package admin_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestCreateGroup(t *testing.T) {
	t.Parallel()
	f := newFake()
	a := f.open(t, "red")
	if _, err := a.Group(t.Context(), "billing"); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("before: %v", err)
	}
	config := admin.GroupConfig{Name: "billing", MaxRetries: admin.NoRetries, Consume: admin.Off}
	for range 2 {
		if err := a.CreateGroup(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.sent(protocol.ReqCreateGroup); !slices.Equal(got, []string{masterA, masterB}) {
		t.Errorf("sent to %v, want each master once", got)
	}
	got, err := a.Group(t.Context(), "billing")
	want := admin.Group{Name: "billing", Brokers: []admin.GroupSettings{{Broker: "a", RetryQueues: 1}, {Broker: "b", RetryQueues: 1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	err = a.CreateGroup(t.Context(), admin.GroupConfig{Name: "billing", MaxRetries: 5})
	if !errors.Is(err, admin.ErrExists) || !strings.Contains(err.Error(), "at most 0 retries, not 5") {
		t.Errorf("with other settings: %v", err)
	}
}

// What this package doesn't know of a group is what a newer broker's operator has set.
func TestUpdateGroupKeepsTheRest(t *testing.T) {
	t.Parallel()
	f := newFake()
	before := map[string]any{
		"groupName": "red%billing", "consumeEnable": true, "consumeFromMinEnable": false, "consumeBroadcastEnable": false,
		"consumeMessageOrderly": true, "retryQueueNums": 3.0, "retryMaxTimes": 7.0, "brokerId": 0.0, "whichBrokerWhenConsumeSlowly": 2.0,
		"notifyConsumerIdsChangedEnable": false, "groupSysFlag": 4.0, "consumeTimeoutMinute": 30.0,
		"groupRetryPolicy": map[string]any{"type": "CUSTOMIZED"}, "madeUpLater": []any{"x"}, "attributes": map[string]any{"k": "v"},
	}
	f.brokers[masterA].groups["red%billing"] = before
	a := f.open(t, "red")
	if err := a.UpdateGroup(t.Context(), admin.GroupConfig{Name: "billing", MaxRetries: 2, Consume: admin.Off}); err != nil {
		t.Fatal(err)
	}
	before["retryMaxTimes"], before["consumeEnable"] = 2.0, false
	delete(before, "attributes") // the request's are changes
	if got := f.brokers[masterA].groups["red%billing"]; !reflect.DeepEqual(got, before) {
		t.Errorf("got  %v\nwant %v", got, before)
	}
	if got := f.sent(protocol.ReqCreateGroup); !slices.Equal(got, []string{masterA}) {
		t.Errorf("sent to %v, want only the broker that has it", got)
	}
	if err := a.UpdateGroup(t.Context(), admin.GroupConfig{Name: "biling", Consume: admin.Off}); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("misspelled: %v", err)
	}
	if err := a.UpdateGroup(t.Context(), admin.GroupConfig{Name: "billing", Consume: admin.On, Brokers: []string{"b"}}); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("on a broker that lacks it: %v", err)
	}
}

func TestDeleteGroup(t *testing.T) {
	t.Parallel()
	f := newFake()
	for _, b := range f.brokers {
		for _, tenant := range []string{"red%", "blue%"} {
			b.groups[tenant+"billing"] = map[string]any{"groupName": tenant + "billing"}
			f.has(b, protocol.NewTopicConfig("%RETRY%"+tenant+"billing", 1))
			f.has(b, protocol.NewTopicConfig("%DLQ%"+tenant+"billing", 1))
		}
	}
	a, blue := f.open(t, "red"), f.open(t, "blue")
	if err := a.DeleteGroup(t.Context(), "billing", admin.Retry); err != nil {
		t.Fatal(err)
	}
	for _, request := range f.asked {
		if request.code == protocol.ReqDeleteGroup && (!request.fields.Bool("cleanOffset") || !request.fields.Bool("removeOffset")) {
			t.Errorf("offsets stay: %v", request)
		}
	}
	if got := f.sent(protocol.ReqDeleteGroup); !slices.Equal(got, []string{masterA, masterB, replicaA}) {
		t.Errorf("sent to %v", got)
	}
	names, err := a.ListTopics(t.Context())
	if want := (admin.TopicNames{DeadLetters: []string{"billing"}}); err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("left %+v, %v", names, err)
	}
	names, err = blue.ListTopics(t.Context())
	if want := (admin.TopicNames{Retry: []string{"billing"}, DeadLetters: []string{"billing"}}); err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("the other tenant has %+v, %v", names, err)
	}
	if err := a.DeleteGroup(t.Context(), "billing", admin.Retry, admin.DeadLetters); err != nil {
		t.Error(err)
	}
	if _, err := a.Topic(t.Context(), "%DLQ%billing"); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("dead letters: %v", err)
	}
}
