package admin_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// hostile is what a shared cluster may hold.
var hostile = []string{
	"red%orders", "%RETRY%red%billing", "%DLQ%red%billing", "%DLQ%red%audit",
	"blue%orders", "%RETRY%blue%billing", "%DLQ%blue%billing", "re%orders", "redd%orders", "%orders", "red%", "red%%x",
	"%RETRY%", "%RETRY%red%", "%RETRY%red%billing+red%orders", "red%blue%orders", "%DLQ%%RETRY%red%billing", "red%TBW102", "RED%orders",
	"orders", "%RETRY%billing", "%DLQ%TOOLS_CONSUMER", "TBW102", "RMQ_SYS_TRACE_TOPIC", "rmq_sys_wheel_timer", "SCHEDULE_TOPIC_XXXX",
	"a", "b", "main", "main_REPLY_TOPIC", "%RETRY%CID_RMQ_SYS_TRANS", "",
}

func TestListTopicsShowsTheTenantsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tenant string
		want   admin.TopicNames
	}{
		{"red", admin.TopicNames{Topics: []string{"orders"}, Retry: []string{"billing"}, DeadLetters: []string{"audit", "billing"}}},
		{"blue", admin.TopicNames{Topics: []string{"orders"}, Retry: []string{"billing"}, DeadLetters: []string{"billing"}}},
		{"green", admin.TopicNames{}},
		{"", admin.TopicNames{Topics: []string{"orders"}, Retry: []string{"billing"}}},
	} {
		t.Run("tenant "+c.tenant, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			f.extra = hostile
			got, err := f.open(t, c.tenant).ListTopics(t.Context())
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestListTopicsWhereNameServersDoNot(t *testing.T) {
	t.Parallel()
	f := newFake()
	for _, name := range hostile {
		f.has(f.brokers[masterB], protocol.NewTopicConfig(name, 1))
	}
	f.fault = func(_ string, req *frame.Frame) *frame.Frame {
		if req.Code == protocol.ReqListTopics {
			return refuse(protocol.CodeSystemError, "disable")
		}
		return nil
	}
	got, err := f.open(t, "red").ListTopics(t.Context())
	want := admin.TopicNames{Topics: []string{"orders"}, Retry: []string{"billing"}, DeadLetters: []string{"audit", "billing"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestListGroupsShowsTheTenantsOwn(t *testing.T) {
	t.Parallel()
	f := newFake()
	for i, name := range []string{"red%billing", "red%audit", "blue%billing", "billing", "TOOLS_CONSUMER", "CID_RMQ_SYS_TRANS", "red%blue%x", "re%d", "red%"} {
		address := []string{masterA, masterB}[i%2]
		f.brokers[address].groups[name] = map[string]any{"groupName": name}
	}
	for tenant, want := range map[string][]string{"red": {"audit", "billing"}, "blue": {"billing"}, "": {"billing"}, "green": nil} {
		got, err := f.open(t, tenant).ListGroups(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("tenant %q: got %v, %v, want %v", tenant, got, err, want)
		}
	}
}

// Whatever name is given, nothing is asked about another tenant's topics and groups, and nothing of RocketMQ's is changed.
func TestNamesOfOthersAreRefusedUnsent(t *testing.T) {
	t.Parallel()
	calls := map[string]func(ctx context.Context, a *admin.Admin, name string) error{
		"CreateTopic": func(ctx context.Context, a *admin.Admin, name string) error {
			return a.CreateTopic(ctx, admin.TopicConfig{Name: name})
		},
		"UpdateTopic": func(ctx context.Context, a *admin.Admin, name string) error {
			return a.UpdateTopic(ctx, admin.TopicConfig{Name: name, ReadQueues: 1})
		},
		"DeleteTopic": func(ctx context.Context, a *admin.Admin, name string) error { return a.DeleteTopic(ctx, name) },
		"CreateGroup": func(ctx context.Context, a *admin.Admin, name string) error {
			return a.CreateGroup(ctx, admin.GroupConfig{Name: name})
		},
		"UpdateGroup": func(ctx context.Context, a *admin.Admin, name string) error {
			return a.UpdateGroup(ctx, admin.GroupConfig{Name: name, Consume: admin.Off})
		},
		"DeleteGroup": func(ctx context.Context, a *admin.Admin, name string) error { return a.DeleteGroup(ctx, name) },
		"Group": func(ctx context.Context, a *admin.Admin, name string) error {
			_, err := a.Group(ctx, name)
			return err
		},
		"Offsets": func(ctx context.Context, a *admin.Admin, name string) error {
			_, err := a.Offsets(ctx, name, "orders")
			return err
		},
		"SetOffsets": func(ctx context.Context, a *admin.Admin, name string) error {
			return a.SetOffsets(ctx, "billing", map[rocketkit.Queue]int64{{Topic: name, Broker: "a"}: 1})
		},
	}
	for _, tenant := range []string{"", "red"} {
		f := newFake()
		a := f.open(t, tenant)
		for what, call := range calls {
			for _, name := range []string{
				"", "blue%orders", "red%orders", "%RETRY%blue%billing", "%DLQ%red%billing", "%DLQ%%RETRY%x", "a b", strings.Repeat("x", 4000),
				"%RETRY%CID_RMQ_SYS_x", "CID_RMQ_SYS_TRANS",
			} {
				err := call(t.Context(), a, name)
				if !errors.Is(err, rocketkit.ErrConfig) || len(err.Error()) > 800 {
					t.Errorf("tenant %q: %s(%.20q): %v", tenant, what, name, err)
				}
			}
		}
		for _, system := range []string{"TBW102", "rmq_sys_x"} {
			for _, what := range []string{"CreateTopic", "UpdateTopic", "DeleteTopic", "SetOffsets"} {
				if err := calls[what](t.Context(), a, system); !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "RocketMQ") {
					t.Errorf("tenant %q: %s(%q): %v", tenant, what, system, err)
				}
			}
		}
		if len(f.asked) > 0 {
			t.Errorf("sent %v", f.asked)
		}
	}
}

func TestSettingsAreCheckedUnsent(t *testing.T) {
	t.Parallel()
	f := newFake()
	a := f.open(t, "")
	for _, c := range []struct {
		field string
		err   error
	}{
		{"ReadQueues", a.CreateTopic(t.Context(), admin.TopicConfig{Name: "x", ReadQueues: -1})},
		{"WriteQueues", a.CreateTopic(t.Context(), admin.TopicConfig{Name: "x", WriteQueues: 4097})},
		{"Permission", a.UpdateTopic(t.Context(), admin.TopicConfig{Name: "x", Permission: 1})},
		{"Attributes", a.UpdateTopic(t.Context(), admin.TopicConfig{Name: "x", Attributes: map[string]string{"a": "b=c"}})},
		{"nothing to change", a.UpdateTopic(t.Context(), admin.TopicConfig{Name: "x"})},
		{"'%'", a.CreateTopic(t.Context(), admin.TopicConfig{Name: "%DLQ%g"})},
		{"MaxRetries", a.CreateGroup(t.Context(), admin.GroupConfig{Name: "x", MaxRetries: -2})},
		{"RetryQueues", a.CreateGroup(t.Context(), admin.GroupConfig{Name: "x", RetryQueues: -1})},
		{"Consume", a.CreateGroup(t.Context(), admin.GroupConfig{Name: "x", Consume: 3})},
		{"nothing to change", a.UpdateGroup(t.Context(), admin.GroupConfig{Name: "x"})},
		{"also", a.DeleteGroup(t.Context(), "x", "%LMQ%")},
		{"offsets", a.SetOffsets(t.Context(), "g", nil)},
		{"offset -1", a.SetOffsets(t.Context(), "g", map[rocketkit.Queue]int64{{Topic: "x", Broker: "a"}: -1})},
		{"namespace", a.KV("").Put(t.Context(), "k", "v")},
		{"namespace", a.KV("ORDER_TOPIC_CONFIG").Put(t.Context(), "k", "v")},
		{"key", a.KV("ns").Delete(t.Context(), "")},
		{"name server", a.KV("ns").At("10.9.9.9:1").Put(t.Context(), "k", "v")},
	} {
		if !errors.Is(c.err, rocketkit.ErrConfig) || !strings.Contains(c.err.Error(), c.field) {
			t.Errorf("%v, want one about %s", c.err, c.field)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("sent %v", f.asked)
	}
	if err := a.CreateTopic(t.Context(), admin.TopicConfig{Name: "x", Brokers: []string{"a", "c"}}); !errors.Is(err, rocketkit.ErrConfig) ||
		!strings.Contains(err.Error(), `Brokers[1]: there is no broker "c", but a, b`) {
		t.Errorf("unknown broker: %v", err)
	}
}
