package reader_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/reader"
)

// Every bad value's error names its field and wraps ErrConfig; none shows the tenant's prefix.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	client, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"127.0.0.1:9876"}, Tenant: "red"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	q := rocketkit.Queue{Topic: "orders", Broker: "broker-a"}
	for name, test := range map[string]struct {
		change func(c *reader.Config)
		field  string
	}{
		"no topic":          {func(c *reader.Config) { c.Topic = "" }, "Topic:"},
		"a prefix":          {func(c *reader.Config) { c.Topic = "blue%orders" }, "Topic:"},
		"another's queue":   {func(c *reader.Config) { c.Queues = []rocketkit.Queue{q, {Topic: "refunds", Broker: "broker-a"}} }, "Queues[1]:"},
		"no broker":         {func(c *reader.Config) { c.Queues = []rocketkit.Queue{{Topic: "orders"}} }, "Queues[0]:"},
		"negative queue":    {func(c *reader.Config) { c.Queues = []rocketkit.Queue{{Topic: "orders", Broker: "b", ID: -1}} }, "Queues[0]:"},
		"twice":             {func(c *reader.Config) { c.Queues = []rocketkit.Queue{q, q} }, "Queues[1]:"},
		"negative position": {func(c *reader.Config) { c.Positions = map[rocketkit.Queue]int64{q: -1} }, "Positions[orders/broker-a/0]:"},
		"position not read": {func(c *reader.Config) {
			c.Queues = []rocketkit.Queue{{Topic: "orders", Broker: "b"}}
			c.Positions = map[rocketkit.Queue]int64{q: 1}
		}, "Positions["},
		"start at no time":  {func(c *reader.Config) { c.Start = reader.At(time.Time{}) }, "Start:"},
		"no single tag":     {func(c *reader.Config) { c.Tags = []string{"a", "b || c"} }, "Tags[1]:"},
		"tags and SQL":      {func(c *reader.Config) { c.Tags, c.SQL = []string{"a"}, "b > 1" }, "SQL:"},
		"blank SQL":         {func(c *reader.Config) { c.SQL = " " }, "SQL:"},
		"bad group":         {func(c *reader.Config) { c.Group = "a.b" }, "Group:"},
		"negative messages": {func(c *reader.Config) { c.BufferMessages = -1 }, "BufferMessages:"},
		"negative bytes":    {func(c *reader.Config) { c.BufferBytes = -1 }, "BufferBytes:"},
	} {
		cfg := reader.Config{Topic: "orders"}
		test.change(&cfg)
		_, err := reader.New(client, cfg)
		if !errors.Is(err, rocketkit.ErrConfig) || !strings.HasPrefix(err.Error(), "reader: "+test.field) || strings.Contains(err.Error(), "red%") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := reader.New(nil, reader.Config{Topic: "orders"}); !errors.Is(err, rocketkit.ErrConfig) {
		t.Errorf("no client: %v", err)
	}
}
