package rocketkit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
)

// Each tenant's trace has a topic of its own, and one that all would share is refused.
func TestTraceTopics(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ topic, first, second, want string }{
		"without a tenant":    {"", "", "", "RMQ_SYS_TRACE_TOPIC"},
		"of a tenant":         {"", "red", "red", "TRACE_TOPIC"},
		"of another tenant":   {"", "", "red", "TRACE_TOPIC"},
		"none after a tenant": {"", "red", "", "RMQ_SYS_TRACE_TOPIC"},
		"a name of one's own": {"traces", "", "red", "traces"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := rocketkit.Open(rocketkit.Config{
				NameServers: []string{"a:1"}, Tenant: test.first, Dial: refused, Trace: rocketkit.Trace{On: true, Topic: test.topic},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close(t.Context()) })
			other, err := c.For(test.second, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := other.Trace(); got != (rocketkit.Trace{On: true, Topic: test.want}) {
				t.Errorf("trace %+v, want topic %s", got, test.want)
			}
		})
	}
}

func TestTraceTopicsThatAreRefused(t *testing.T) {
	t.Parallel()
	open := func(tenant, topic string) (*rocketkit.Client, error) {
		return rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Tenant: tenant, Dial: refused, Trace: rocketkit.Trace{Topic: topic}})
	}
	check := func(err error) {
		t.Helper()
		if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "Trace.Topic:") {
			t.Errorf("error %v", err)
		}
	}
	_, err := open("red", rocketkit.DefaultTraceTopic)
	check(err)
	_, err = open("", "red%traces")
	check(err)
	c, err := open("", rocketkit.DefaultTraceTopic)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	_, err = c.For("red", nil)
	check(err)
}
