package admin_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestCreateTopic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		config      admin.TopicConfig
		read, write int
		permission  admin.Permission
		brokers     []string
	}{
		{"defaults", admin.TopicConfig{}, 8, 8, admin.ReadWrite, []string{"a", "b"}},
		{"one number is both", admin.TopicConfig{WriteQueues: 3}, 3, 3, admin.ReadWrite, []string{"a", "b"}},
		{"all set", admin.TopicConfig{ReadQueues: 4, WriteQueues: 2, Permission: admin.ReadOnly}, 4, 2, admin.ReadOnly, []string{"a", "b"}},
		{"one broker", admin.TopicConfig{Brokers: []string{"b"}}, 8, 8, admin.ReadWrite, []string{"b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			a := f.open(t, "red")
			c.config.Name = "orders"
			if err := a.CreateTopic(t.Context(), c.config); err != nil {
				t.Fatal(err)
			}
			topic, err := a.Topic(t.Context(), "orders")
			if err != nil {
				t.Fatal(err)
			}
			var brokers []string
			for _, s := range topic.Brokers {
				brokers = append(brokers, s.Broker)
				if s.ReadQueues != c.read || s.WriteQueues != c.write || s.Permission != c.permission {
					t.Errorf("%+v, want %d, %d, %v", s, c.read, c.write, c.permission)
				}
			}
			if !slices.Equal(brokers, c.brokers) {
				t.Errorf("on %v, want %v", brokers, c.brokers)
			}
			if _, ok := f.brokers[masterB].topics["red%orders"]; !ok {
				t.Error("the broker doesn't have it under the tenant's name")
			}
			if err := a.CreateTopic(t.Context(), c.config); err != nil {
				t.Errorf("again: %v", err)
			}
			if n := len(f.sent(protocol.ReqCreateTopic)); n != len(c.brokers) {
				t.Errorf("%d requests to create it, want %d: creating again changes nothing", n, len(c.brokers))
			}
		})
	}
}

func TestCreateTopicChangesNothingThatExists(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.has(f.brokers[masterA], protocol.NewTopicConfig("red%orders", 16))
	a := f.open(t, "red")
	err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders", ReadQueues: 4, WriteQueues: 4})
	if !errors.Is(err, admin.ErrExists) || !strings.Contains(err.Error(), "a has 16 read queues, not 4") {
		t.Errorf("got %v", err)
	}
	if got := f.sent(protocol.ReqCreateTopic); len(got) != 0 {
		t.Errorf("changed on %v", got)
	}
	if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err != nil {
		t.Error(err)
	}
	if got := f.sent(protocol.ReqCreateTopic); !slices.Equal(got, []string{masterB}) {
		t.Errorf("created on %v, want where it was missing", got)
	}
}

func TestPartialFailureIsToldAndHeals(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.fault = func(address string, req *frame.Frame) *frame.Frame {
		if address == masterB && req.Code == protocol.ReqCreateTopic {
			return refuse(protocol.CodeSystemError, "no disk for red%orders")
		}
		return nil
	}
	a := f.open(t, "red")
	err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"})
	var partial *admin.PartialError
	if !errors.As(err, &partial) {
		t.Fatalf("got %v", err)
	}
	if !slices.Equal(partial.Done, []string{"a"}) || len(partial.Failed) != 1 || partial.Failed[0].Target != "b" || partial.Failed[0].Address != masterB {
		t.Errorf("got %+v", partial)
	}
	if code, remark, ok := rocketkit.Code(err); !ok || code != 1 || remark != "no disk for orders" {
		t.Errorf("Code gives %d, %q, %t", code, remark, ok)
	}
	for _, want := range []string{"admin: create topic orders: done on a, not on b: ", masterB, "SYSTEM_ERROR (1): no disk for orders"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	f.mu.Lock()
	f.fault = nil
	f.mu.Unlock()
	if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err != nil {
		t.Error(err)
	}
	if topic, err := a.Topic(t.Context(), "orders"); err != nil || len(topic.Brokers) != 2 {
		t.Errorf("%+v, %v", topic, err)
	}
}

func TestUpdateTopicKeepsTheRest(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"5", "4.9"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			before := protocol.TopicConfig{
				Name: "red%orders", ReadQueues: 16, WriteQueues: 12, Perm: 6, FilterType: "MULTI_TAG", SysFlag: 3, Order: true,
				Attributes: map[string]string{"message.type": "DELAY"},
			}
			f.has(f.brokers[masterA], before)
			if version == "4.9" {
				f.fault = func(_ string, req *frame.Frame) *frame.Frame {
					if req.Code == protocol.ReqGetTopicConfig {
						return refuse(protocol.CodeRequestNotSupported, "request type 351 not supported")
					}
					return nil
				}
			}
			a := f.open(t, "red")
			err := a.UpdateTopic(t.Context(), admin.TopicConfig{Name: "orders", Permission: admin.ReadOnly, Attributes: map[string]string{"gone": ""}})
			if err != nil {
				t.Fatal(err)
			}
			want := before
			want.Perm = 4
			if got := f.brokers[masterA].topics["red%orders"]; !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if got := f.sent(protocol.ReqCreateTopic); !slices.Equal(got, []string{masterA}) {
				t.Errorf("sent to %v, want only the broker that has it", got)
			}
			err = a.UpdateTopic(t.Context(), admin.TopicConfig{Name: "orders", ReadQueues: 20, Brokers: []string{"a", "b"}})
			if !errors.Is(err, rocketkit.ErrNoRoute) || f.brokers[masterA].topics["red%orders"].ReadQueues != 20 {
				t.Errorf("on a broker that lacks it: %v", err)
			}
		})
	}
}

func TestDeleteTopic(t *testing.T) {
	t.Parallel()
	f := newFake()
	for _, b := range f.brokers {
		f.has(b, protocol.NewTopicConfig("red%orders", 8))
		f.has(b, protocol.NewTopicConfig("blue%orders", 8))
	}
	f.down[masterB] = true
	a := f.open(t, "red")
	err := a.DeleteTopic(t.Context(), "orders")
	var partial *admin.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || partial.Failed[0].Address != masterB {
		t.Errorf("got %v", err)
	}
	if want := []string{"a", "a replica 1", "name server " + names1, "name server " + names2}; !slices.Equal(partial.Done, want) {
		t.Errorf("done on %q, want %q", partial.Done, want)
	}
	_, err = a.Topic(t.Context(), "orders")
	if !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("after: %v", err)
	}
	for address, b := range f.brokers {
		if _, ok := b.topics["blue%orders"]; !ok {
			t.Errorf("another tenant's topic is gone from %s", address)
		}
	}
}

// A send right after CreateTopic works, so it waits for name servers that are told late.
func TestCreateTopicWaitsForTheRoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		late := time.Now().Add(3 * time.Second)
		f.fault = func(address string, req *frame.Frame) *frame.Frame {
			if address == names2 && req.Code == protocol.ReqGetRoute && time.Now().Before(late) {
				return refuse(protocol.CodeTopicNotExist, "")
			}
			return nil
		}
		a := f.open(t, "")
		if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err != nil {
			t.Error(err)
		}
		if time.Now().Before(late) {
			t.Error("returned before every name server gave the route")
		}
		f.mu.Lock()
		late = late.Add(time.Hour)
		f.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := a.CreateTopic(ctx, admin.TopicConfig{Name: "orders"})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "name server "+names2) {
			t.Errorf("got %v, want the deadline and the name server", err)
		}
		if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err == nil || !strings.Contains(err.Error(), names2) {
			t.Errorf("without a deadline: %v", err)
		}
	})
}

// Producers and consumers of the same client see a change at once.
func TestRoutesInUseFollow(t *testing.T) {
	t.Parallel()
	f := newFake()
	client := f.client(t, "red")
	a, view := admin.New(client), client.Cluster()
	if _, err := view.Route(t.Context(), "red%orders"); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("before: %v", err)
	}
	if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err != nil {
		t.Fatal(err)
	}
	if r, err := view.Route(t.Context(), "red%orders"); err != nil || len(r.Write) != 16 {
		t.Errorf("created: %+v, %v", r, err)
	}
	if err := a.UpdateTopic(t.Context(), admin.TopicConfig{Name: "orders", WriteQueues: 3}); err != nil {
		t.Fatal(err)
	}
	if r, err := view.Route(t.Context(), "red%orders"); err != nil || len(r.Write) != 6 || len(r.Read) != 16 {
		t.Errorf("updated: %+v, %v", r, err)
	}
	if err := a.DeleteTopic(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := view.Route(t.Context(), "red%orders"); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("deleted: %v", err)
	}
}

func TestNameServerDown(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.down[names1] = true
	a := f.open(t, "red")
	if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err != nil {
		t.Error(err)
	}
	if names, err := a.ListTopics(t.Context()); err != nil || !slices.Equal(names.Topics, []string{"orders"}) {
		t.Errorf("%v, %v", names, err)
	}
	f.mu.Lock()
	f.down[names2] = true
	f.mu.Unlock()
	b := f.open(t, "red")
	if _, err := b.ListTopics(t.Context()); err == nil || !strings.Contains(err.Error(), names1) || !strings.Contains(err.Error(), names2) {
		t.Errorf("with none: %v", err)
	}
}
