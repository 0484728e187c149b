package admin_test

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func queue(topic, broker string, id int) rocketkit.Queue {
	return rocketkit.Queue{Topic: topic, Broker: broker, ID: id}
}

func TestOffsets(t *testing.T) {
	t.Parallel()
	f := newFake()
	a, b := f.brokers[masterA], f.brokers[masterB]
	f.has(a, protocol.TopicConfig{Name: "red%orders", ReadQueues: 1, WriteQueues: 2, Perm: 6})
	f.has(b, protocol.NewTopicConfig("red%orders", 1))
	a.queues["red%orders/0"], a.queues["red%orders/1"], b.queues["red%orders/0"] = [2]int64{10, 30}, [2]int64{0, 5}, [2]int64{7, 7}
	a.newest = 1700000000123
	a.commits["red%billing@red%orders/0"], b.commits["red%billing@red%orders/0"] = 4, 9
	red := f.open(t, "red")

	newest := time.UnixMilli(1700000000123)
	ranges := []admin.QueueRange{
		{Queue: queue("orders", "a", 0), Min: 10, Max: 30, Newest: newest},
		{Queue: queue("orders", "a", 1), Max: 5, Newest: newest},
		{Queue: queue("orders", "b", 0), Min: 7, Max: 7},
	}
	gotRanges, err := red.TopicOffsets(t.Context(), "orders")
	if err != nil || !reflect.DeepEqual(gotRanges, ranges) {
		t.Errorf("got %+v, %v", gotRanges, err)
	}
	got, err := red.Offsets(t.Context(), "billing", "orders")
	want := []admin.GroupOffset{
		{QueueRange: ranges[0], Committed: 4, HasCommitted: true},
		{QueueRange: ranges[1]},
		{QueueRange: ranges[2], Committed: 9, HasCommitted: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for i, lag := range []int64{20, -1, 0} { // below Min, nothing committed, beyond Max
		n, known := got[i].Lag()
		if known != (lag >= 0) || known && n != lag {
			t.Errorf("%v: lag %d, %t", got[i].Queue, n, known)
		}
	}
	if _, err := red.Offsets(t.Context(), "billing", "ordres"); !errors.Is(err, rocketkit.ErrNoRoute) || !strings.Contains(err.Error(), "ordres") {
		t.Errorf("missing topic: %v", err)
	}
	if _, err := red.Offsets(t.Context(), "billing", "%DLQ%billing"); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("no dead letters: %v", err)
	}
}

// What can be read is returned beside the error about the rest.
func TestOffsetsWithABrokerDown(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.has(f.brokers[masterA], protocol.NewTopicConfig("orders", 2))
	f.has(f.brokers[masterB], protocol.NewTopicConfig("orders", 2))
	f.down[masterB] = true
	f.fault = func(_ string, req *frame.Frame) *frame.Frame {
		if id, _ := req.Fields.Get("queueId"); req.Code == protocol.ReqQueryConsumerOffset && id == "1" {
			return refuse(protocol.CodeNoPermission, "no")
		}
		return nil
	}
	got, err := f.open(t, "").Offsets(t.Context(), "billing", "orders")
	var partial *admin.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 2 || partial.Failed[0].Target != "b" || partial.Failed[1].Target != "orders/a/1" {
		t.Errorf("got %v", err)
	}
	if len(got) != 1 || got[0].Queue != queue("orders", "a", 0) {
		t.Errorf("got %+v", got)
	}
}

func TestSearchOffsets(t *testing.T) {
	t.Parallel()
	f := newFake()
	a := f.brokers[masterA]
	f.has(a, protocol.NewTopicConfig("orders", 2))
	a.queues["orders/0"], a.queues["orders/1"], a.newest = [2]int64{10, 30}, [2]int64{4, 4}, 5000
	red := f.open(t, "")
	for at, want := range map[int64]int64{4000: 11, 5000: 11, 5001: 30} {
		got, err := red.SearchOffsets(t.Context(), "orders", time.UnixMilli(at))
		if err != nil || !maps.Equal(got, map[rocketkit.Queue]int64{queue("orders", "a", 0): want, queue("orders", "a", 1): 4}) {
			t.Errorf("at %d: %v, %v", at, got, err)
		}
	}
}

func TestSetOffsets(t *testing.T) {
	t.Parallel()
	f := newFake()
	for _, b := range []string{masterA, masterB} {
		f.has(f.brokers[b], protocol.NewTopicConfig("red%orders", 2))
		f.has(f.brokers[b], protocol.NewTopicConfig("%RETRY%red%billing", 1))
	}
	red := f.open(t, "red")
	offsets := map[rocketkit.Queue]int64{queue("orders", "a", 1): 5, queue("orders", "b", 0): 6, queue("%RETRY%billing", "a", 0): 7}
	if err := red.SetOffsets(t.Context(), "billing", offsets); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("without the group: %v", err)
	}
	if err := red.CreateGroup(t.Context(), admin.GroupConfig{Name: "billing"}); err != nil {
		t.Fatal(err)
	}
	if err := red.SetOffsets(t.Context(), "billing", offsets); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int64{"red%billing@red%orders/1": 5, "red%billing@%RETRY%red%billing/0": 7} {
		if got := f.brokers[masterA].commits[key]; got != want {
			t.Errorf("%s is %d, want %d", key, got, want)
		}
	}
	f.mu.Lock()
	f.fault = func(address string, req *frame.Frame) *frame.Frame {
		if address == masterB && req.Code == protocol.ReqUpdateConsumerOffset {
			return &frame.Frame{Remark: "Offset has been previously reset"}
		}
		return nil
	}
	f.mu.Unlock()
	err := red.SetOffsets(t.Context(), "billing", offsets)
	var partial *admin.PartialError
	if !errors.Is(err, admin.ErrResetPending) || !errors.As(err, &partial) || len(partial.Done) != 2 || partial.Failed[0].Target != "orders/b/0" {
		t.Errorf("got %v", err)
	}
	if err := red.SetOffsets(t.Context(), "billing", map[rocketkit.Queue]int64{queue("orders", "c", 0): 1}); !errors.Is(err, rocketkit.ErrConfig) {
		t.Errorf("unknown broker: %v", err)
	}
}
