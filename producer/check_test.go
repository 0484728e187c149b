package producer_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/producer"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	client := cluster(t, "orders", 1, "a").client("red")
	for field, cfg := range map[string]producer.Config{
		"Group: ":          {Group: "a%b"},
		"Group: tenant":    {Group: strings.Repeat("g", 121)},
		"MaxMessageSize: ": {MaxMessageSize: -1},
		"at most 15728640": {MaxMessageSize: 16 << 20},
		"Compression.Algorithm: 4 is none of LZ4, Zstd and Zlib": {Compression: producer.Compression{Algorithm: 4}},
		"Compression.Algorithm: -1":                              {Compression: producer.Compression{Algorithm: -1}},
		"Compression.Threshold: -1":                              {Compression: producer.Compression{Threshold: -1}},
	} {
		p, err := producer.New(client, cfg)
		if p != nil || !errors.Is(err, rocketkit.ErrConfig) || !strings.HasPrefix(err.Error(), "producer: ") || !strings.Contains(err.Error(), field) {
			t.Errorf("New(%+.60v) = %v, want it to say %q", cfg, err, field)
		}
	}
	if _, err := producer.New(nil, producer.Config{}); !errors.Is(err, rocketkit.ErrConfig) {
		t.Errorf("New without a Client: %v", err)
	}
}

func TestBadMessages(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	p := f.producer("", producer.Config{MaxMessageSize: 1000})
	property := func(name, value string) func(*producer.Message) {
		return func(m *producer.Message) { m.Properties = map[string]string{name: value} }
	}
	for says, spoil := range map[string]func(*producer.Message){
		"producer: send: Topic: tenant: the topic has no name":       func(m *producer.Message) { m.Topic = "" },
		`producer: send: Topic: tenant: topic "red%orders" contains`: func(m *producer.Message) { m.Topic = "red%orders" },
		`Topic: tenant: topic "%RETRY%g" contains`:                   func(m *producer.Message) { m.Topic = "%RETRY%g" },
		`Topic: tenant: topic "a b" contains`:                        func(m *producer.Message) { m.Topic = "a b" },
		"Topic: SCHEDULE_TOPIC_XXXX is RocketMQ's own":               func(m *producer.Message) { m.Topic = "SCHEDULE_TOPIC_XXXX" },
		"send orders: Body: empty":                                   func(m *producer.Message) { m.Body = nil },
		"send orders: Body: 1001 bytes, over MaxMessageSize of 1000": func(m *producer.Message) { m.Body = make([]byte, 1001) },
		"DelayLevel: -1":                  func(m *producer.Message) { m.DelayLevel = -1 },
		"DelayLevel: 19":                  func(m *producer.Message) { m.DelayLevel = 19 },
		"Delay: -1s is negative":          func(m *producer.Message) { m.Delay = -time.Second },
		"DelayLevel: is set beside Delay": func(m *producer.Message) { m.DelayLevel, m.Delay = 1, 1 },
		"Delay: is set beside DeliverAt":  func(m *producer.Message) { m.DeliverAt, m.Delay = time.Now(), 1 },
		`Queue: is of topic "refunds"`:    func(m *producer.Message) { m.Queue = rocketkit.Queue{Topic: "refunds", Broker: "a"} },
		"Queue: number 1, but without a":  func(m *producer.Message) { m.Queue.ID = 1 },
		"Queue: -1 is no queue's number":  func(m *producer.Message) { m.Queue = rocketkit.Queue{Broker: "a", ID: -1} },
		`Tag: "a||b"`:                     func(m *producer.Message) { m.Tag = "a||b" },
		`Tag: " a"`:                       func(m *producer.Message) { m.Tag = " a" },
		`Tag: "a\x01"`:                    func(m *producer.Message) { m.Tag = "a\x01" },
		`Keys[1]: "a b" contains a space`: func(m *producer.Message) { m.Keys = []string{"a", "a b"} },
		"Keys[0]: empty":                  func(m *producer.Message) { m.Keys = []string{""} },
		`Keys[0]: "a\x02"`:                func(m *producer.Message) { m.Keys = []string{"a\x02"} },
		`ShardingKey: "\x01"`:             func(m *producer.Message) { m.ShardingKey = "\x01" },
		`ShardingKey: "\xff" isn't UTF-8`: func(m *producer.Message) { m.ShardingKey = "\xff" },
		`Properties: "KEYS" is RocketMQ's own: set Message.Keys`:        property("KEYS", "k"),
		`Properties: "UNIQ_KEY" is RocketMQ's own: choose another name`: property("UNIQ_KEY", "k"),
		`Properties: "SHARDING_KEY" is RocketMQ's own: set Message.Sha`: property("SHARDING_KEY", "k"),
		`Properties: "__RMQ.TRANSIENT.X" is RocketMQ's own`:             property("__RMQ.TRANSIENT.X", "k"),
		`Properties: "a\x01" has a byte 1 or 2`:                         property("a\x01", "v"),
		`Properties: "a": "v\x02" has a byte 1 or 2`:                    property("a", "v\x02"),
		`Properties: "a": "\xff" isn't UTF-8`:                           property("a", "\xff"),
		`Properties: "a" is empty`:                                      property("a", ""),
		"Properties: there is one without a name":                       property("", "v"),
		"Properties: 32": property("a", strings.Repeat("v", 32255)),
	} {
		m := producer.Message{Topic: "orders", Body: []byte("x")}
		spoil(&m)
		_, err := p.Send(t.Context(), m)
		if err == nil || !strings.Contains(err.Error(), says) || producer.Retryable(err) || len(err.Error()) > 500 {
			t.Errorf("%v, want it to say %q", err, says)
		}
		if err := p.SendOneWay(t.Context(), m); err == nil || !strings.HasPrefix(err.Error(), "producer: send one-way") {
			t.Errorf("one-way: %v", err)
		}
		_, batchErr := p.SendBatch(t.Context(), []producer.Message{m})
		if batchErr == nil || !strings.HasPrefix(batchErr.Error(), "producer: send batch") || !strings.Contains(batchErr.Error(), "message 0: ") {
			t.Errorf("in a batch: %v", batchErr)
		}
	}
	if n := f.count(&f.dials); n != 0 {
		t.Errorf("bad messages led to %d dials", n)
	}
}

func TestBadBatches(t *testing.T) {
	t.Parallel()
	f := cluster(t, "orders", 1, "a")
	p := f.producer("", producer.Config{MaxMessageSize: 1000})
	for says, second := range map[string]producer.Message{
		`message 1: Topic: "refunds", but the batch is for orders`: {Topic: "refunds", Body: []byte("x"), ShardingKey: "k"},
		`message 1: ShardingKey: "", but message 0 has "k"`:        {Topic: "orders", Body: []byte("x")},
		"message 1: Queue: /a/0, but message 0 has":                {Topic: "orders", Body: []byte("x"), ShardingKey: "k", Queue: rocketkit.Queue{Broker: "a"}},
		"message 1: Delay: brokers don't delay batches":            {Topic: "orders", Body: []byte("x"), ShardingKey: "k", Delay: 1},
		"message 1: DeliverAt: brokers don't delay batches":        {Topic: "orders", Body: []byte("x"), ShardingKey: "k", DeliverAt: time.Now()},
		"message 1: DelayLevel: brokers don't delay batches":       {Topic: "orders", Body: []byte("x"), ShardingKey: "k", DelayLevel: 1},
		"over MaxMessageSize with message 1":                       {Topic: "orders", Body: make([]byte, 900), ShardingKey: "k"},
	} {
		receipts, err := p.SendBatch(t.Context(), []producer.Message{{Topic: "orders", Body: []byte("x"), ShardingKey: "k"}, second})
		if receipts != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want it to say %q", err, says)
		}
	}
	if n := f.count(&f.dials); n != 0 {
		t.Errorf("bad batches led to %d dials", n)
	}
}

// Every name that package protocol gives a meaning is refused as a property, also one that is added there later.
func TestReservedPropertiesAreComplete(t *testing.T) {
	t.Parallel()
	p := cluster(t, "orders", 1, "a").producer("", producer.Config{})
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/protocol/properties.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Property") {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		names++
		m := producer.Message{Topic: "orders", Body: []byte("x"), Properties: map[string]string{name: "v"}}
		if _, err := p.Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "RocketMQ's own") {
			t.Errorf("property %s: %v", name, err)
		}
		return true
	})
	if names < 40 {
		t.Errorf("found %d names", names)
	}
}
