package consumer

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/engine"
	"github.com/rocketkit/rocketkit/tenant"
)

func red(t *testing.T) tenant.Names {
	t.Helper()
	names, err := tenant.New("red")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func nothing(context.Context, *rocketkit.Message) error { return nil }

func nothingMuch(context.Context, *Batch) error { return nil }

// valid is the least that is needed.
func valid() Config {
	return Config{Group: "billing", Topics: map[string]Topic{"orders": {Handler: nothing}}}
}

// one replaces the only topic.
func one(name string, t Topic) Config {
	c := valid()
	c.Topics = map[string]Topic{name: t}
	return c
}

// TestConfigErrors: every bad value's error names its field and wraps ErrConfig; none shows the tenant's prefix.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	with := func(change func(c *Config)) Config {
		c := valid()
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		cfg   Config
		field string
	}{
		"no group":             {with(func(c *Config) { c.Group = "" }), "Group:"},
		"group with a prefix":  {with(func(c *Config) { c.Group = "red%billing" }), "Group:"},
		"group with a dot":     {with(func(c *Config) { c.Group = "a.b" }), "Group:"},
		"long group":           {with(func(c *Config) { c.Group = strings.Repeat("g", 120) }), "Group:"},
		"no topics":            {with(func(c *Config) { c.Topics = nil }), "Topics:"},
		"nil middleware":       {with(func(c *Config) { c.Middleware = []Middleware{func(h Handler) Handler { return h }, nil} }), "Middleware[1]:"},
		"middleware gives nil": {with(func(c *Config) { c.Middleware = []Middleware{func(Handler) Handler { return nil }} }), "Middleware[0]"},
		"too many retries":     {with(func(c *Config) { c.Retries = math.MaxInt32 + 1 }), "Retries:"},
		"start at no time":     {with(func(c *Config) { c.Start = At(time.Time{}) }), "Start:"},
		"topic without name":   {one("", Topic{Handler: nothing}), `Topics[""]:`},
		"topic with a prefix":  {one("blue%orders", Topic{Handler: nothing}), `Topics["blue%orders"]:`},
		"topic of a group":     {one("CID_RMQ_SYS_x", Topic{Handler: nothing}), `Topics["CID_RMQ_SYS_x"]:`},
		"retry topic":          {one("%RETRY%billing", Topic{Handler: nothing}), `Topics["%RETRY%billing"]:`},
		"other's retry topic":  {one("%RETRY%other", Topic{Handler: nothing}), `Topics["%RETRY%other"]:`},
		"no handler":           {one("orders", Topic{}), `Topics["orders"].Handler:`},
		"empty tag":            {one("orders", Topic{Handler: nothing, Tags: []string{"a", ""}}), `Topics["orders"].Tags[1]:`},
		"all tags":             {one("orders", Topic{Handler: nothing, Tags: []string{"*"}}), `Topics["orders"].Tags[0]:`},
		"expression":           {one("orders", Topic{Handler: nothing, Tags: []string{"a || b"}}), `Topics["orders"].Tags[0]:`},
		"tag with space":       {one("orders", Topic{Handler: nothing, Tags: []string{" a"}}), `Topics["orders"].Tags[0]:`},
		"control character":    {one("orders", Topic{Handler: nothing, Tags: []string{"\x01"}}), `Topics["orders"].Tags[0]:`},
		"tag in control chars": {one("orders", Topic{Handler: nothing, Tags: []string{"a\x02"}}), `Topics["orders"].Tags[0]:`},
		"attempts":             {with(func(c *Config) { c.MaxAttempts = 10_001 }), "MaxAttempts:"},
		"negative attempts":    {with(func(c *Config) { c.MaxAttempts = -1 }), "MaxAttempts:"},
		"bound of workers":     {one("orders", Topic{Handler: nothing, Bounds: Bounds{MaxWorkers: 65537}}), `Topics["orders"].Bounds.MaxWorkers:`},
		"bound of time-outs":   {one("orders", Topic{Handler: nothing, Bounds: Bounds{MinTimeout: -1}}), `Topics["orders"].Bounds.MinTimeout:`},
		"bounds of time-outs":  {one("orders", Topic{Handler: nothing, Bounds: Bounds{MinTimeout: 2, MaxTimeout: 1}}), `Topics["orders"].Bounds.MaxTimeout:`},
		"negative workers":     {one("orders", Topic{Handler: nothing, Workers: -1}), `Topics["orders"].Workers:`},
		"too many workers":     {one("orders", Topic{Handler: nothing, Workers: maxWorkers + 1}), `Topics["orders"].Workers:`},
		"unknown order":        {one("orders", Topic{Handler: nothing, Order: 3}), `Topics["orders"].Order:`},
		"negative order":       {one("orders", Topic{Handler: nothing, Order: -1}), `Topics["orders"].Order:`},
		"key without order":    {one("orders", Topic{Handler: nothing, Key: (*rocketkit.Message).Tag}), `Topics["orders"].Key:`},
		"key, order of queues": {one("orders", Topic{Handler: nothing, Key: (*rocketkit.Message).Tag, Order: OrderQueue}), `Topics["orders"].Key:`},
		"blank SQL":            {one("orders", Topic{Handler: nothing, SQL: " "}), `Topics["orders"].SQL:`},
		"SQL and tags":         {one("orders", Topic{Handler: nothing, SQL: "a > 5", Tags: []string{"a"}}), `Topics["orders"].SQL:`},
		"two handlers":         {one("orders", Topic{Handler: nothing, Batch: Batching{Handler: nothingMuch}}), `Topics["orders"].Batch:`},
		"batches in order":     {one("orders", Topic{Batch: Batching{Handler: nothingMuch}, Order: OrderQueue}), `Topics["orders"].Batch:`},
		"size, no handler":     {one("orders", Topic{Handler: nothing, Batch: Batching{Size: 5}}), `Topics["orders"].Batch.Handler:`},
		"wait, no handler":     {one("orders", Topic{Batch: Batching{Wait: 5}}), `Topics["orders"].Batch.Handler:`},
		"negative size":        {one("orders", Topic{Batch: Batching{Handler: nothingMuch, Size: -1}}), `Topics["orders"].Batch.Size:`},
		"too large batches":    {one("orders", Topic{Batch: Batching{Handler: nothingMuch, Size: 10_001}}), `Topics["orders"].Batch.Size:`},
		"negative wait":        {one("orders", Topic{Batch: Batching{Handler: nothingMuch, Wait: -1}}), `Topics["orders"].Batch.Wait:`},
		"nil JSON handler":     {one("orders", Topic{Handler: JSON[int](nil)}), `Topics["orders"].Handler:`},
		"nil batch middleware": {with(func(c *Config) { c.BatchMiddleware = []BatchMiddleware{nil} }), "BatchMiddleware[0]:"},
		"batch middleware gives nil": {with(func(c *Config) {
			c.Topics["orders"] = Topic{Batch: Batching{Handler: nothingMuch}}
			c.BatchMiddleware = []BatchMiddleware{func(BatchHandler) BatchHandler { return nil }}
		}), "BatchMiddleware[0]:"},
		"middleware, not for batches": {with(func(c *Config) {
			c.Topics["audit"] = Topic{Batch: Batching{Handler: nothingMuch}}
			c.Middleware = []Middleware{func(h Handler) Handler { return h }}
		}), "BatchMiddleware:"},
		"max below workers": {one("orders", Topic{Handler: nothing, Workers: 8, MaxWorkers: 7}), `Topics["orders"].MaxWorkers:`},
		"max below default": {one("orders", Topic{Handler: nothing, MaxWorkers: 15}), `Topics["orders"].MaxWorkers:`},
		"negative max":      {one("orders", Topic{Handler: nothing, MaxWorkers: -1}), `Topics["orders"].MaxWorkers:`},
		"too high a max":    {one("orders", Topic{Handler: nothing, MaxWorkers: maxWorkers + 1}), `Topics["orders"].MaxWorkers:`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Tenant: "red"})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close(t.Context())
			c, err := New(client, test.cfg)
			if c != nil || !errors.Is(err, rocketkit.ErrConfig) {
				t.Fatalf("%v, %v", c, err)
			}
			if !strings.Contains(err.Error(), test.field) || !strings.HasPrefix(err.Error(), "consumer: ") {
				t.Errorf("%v: doesn't name %s", err, test.field)
			}
			if strings.Contains(err.Error(), "red%") && !strings.Contains(name, "prefix") && !strings.Contains(name, "long") {
				t.Errorf("shows the tenant's prefix: %v", err)
			}
		})
	}
}

func TestNilClient(t *testing.T) {
	t.Parallel()
	if c, err := New(nil, valid()); c != nil || !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "client") {
		t.Errorf("%v, %v", c, err)
	}
}

func TestGoodNames(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{"orders", "Orders_2-x", "%DLQ%billing", strings.Repeat("t", 123)} {
		if _, err := one(topic, Topic{Handler: nothing}).engineConfig(red(t)); err != nil {
			t.Errorf("%s: %v", topic, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := valid().engineConfig(red(t))
	if err != nil {
		t.Fatal(err)
	}
	topic := got.Topics["orders"]
	if topic.Handle == nil {
		t.Error("no handler")
	}
	topic.Handle = nil
	if want := (engine.Topic{Workers: 16, MaxWorkers: 16, Timeout: time.Minute}); !reflect.DeepEqual(topic, want) {
		t.Errorf("topic %+v, want %+v", topic, want)
	}
	got.Topics = nil
	if want := (engine.Config{Group: "billing", Retries: -1, Drain: 30 * time.Second}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestNegative: what a negative number turns off.
func TestNegative(t *testing.T) {
	t.Parallel()
	c := one("orders", Topic{Handler: nothing, Timeout: -time.Second})
	c.Retries, c.Drain = -7, -time.Second
	got, err := c.engineConfig(red(t))
	if err != nil || got.Retries != 0 || got.Drain != 0 || got.Topics["orders"].Timeout != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestNoFieldIsLost: each field of Config and Topic makes a difference to what the engine is given, and filling in the
// defaults changes nothing of the caller's. A field added later has to be added here.
func TestNoFieldIsLost(t *testing.T) {
	t.Parallel()
	called := 0
	marked := func(context.Context, *rocketkit.Message) error { called++; return nil }
	markedBatch := func(context.Context, *Batch) error { called++; return nil }
	fields := map[string]func(c *Config){
		"Group":      func(c *Config) { c.Group = "other" },
		"Topics":     func(c *Config) { c.Topics = map[string]Topic{"refunds": {Handler: nothing}} },
		"Start":      func(c *Config) { c.Start = At(time.Unix(1_700_000_000, 0)) },
		"Retries":    func(c *Config) { c.Retries = 3 },
		"Drain":      func(c *Config) { c.Drain = time.Second },
		"Middleware": func(c *Config) { c.Middleware = []Middleware{func(h Handler) Handler { return marked }} },
		"BatchMiddleware": func(c *Config) {
			c.Topics["orders"] = Topic{Batch: Batching{Handler: nothingMuch}}
			c.BatchMiddleware = []BatchMiddleware{func(BatchHandler) BatchHandler { return markedBatch }}
		},
		"Offsets": func(c *Config) { c.Offsets = noOffsets{} },
		"adjust":  func(c *Config) { *c = c.Adjusted(func(e *engine.Config) { e.Broadcast = true }) },
	}
	topicFields := map[string]func(t *Topic){
		"Handler":    func(t *Topic) { t.Handler = marked },
		"Batch":      func(t *Topic) { t.Handler, t.Batch.Handler = nil, markedBatch },
		"Tags":       func(t *Topic) { t.Tags = []string{"paid"} },
		"SQL":        func(t *Topic) { t.SQL = "a > 5" },
		"Workers":    func(t *Topic) { t.Workers = 5 },
		"Timeout":    func(t *Topic) { t.Timeout = time.Second },
		"Order":      func(t *Topic) { t.Order = OrderQueue },
		"Key":        func(t *Topic) { t.Order, t.Key = OrderKey, (*rocketkit.Message).Tag },
		"MaxWorkers": func(t *Topic) { t.MaxWorkers = 50 },
	}
	elsewhere := []string{"MaxAttempts", "Settings", "Bounds"} // they are for what changes later: TestBounds, TestConsumerFollowsItsDocument
	for i := range reflect.TypeFor[Config]().NumField() {
		if name := reflect.TypeFor[Config]().Field(i).Name; fields[name] == nil && !slices.Contains(elsewhere, name) {
			t.Errorf("Config.%s is not tested", name)
		}
	}
	for i := range reflect.TypeFor[Topic]().NumField() {
		name := reflect.TypeFor[Topic]().Field(i).Name
		change := topicFields[name]
		if slices.Contains(elsewhere, name) {
			continue
		}
		if change == nil {
			t.Errorf("Topic.%s is not tested", name)
			continue
		}
		fields["Topic."+name] = func(c *Config) {
			topic := c.Topics["orders"]
			change(&topic)
			c.Topics["orders"] = topic
		}
	}
	plain, err := valid().engineConfig(red(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range fields {
		c := valid()
		change(&c)
		before := render(c)
		got, err := c.engineConfig(red(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if after := render(c); !reflect.DeepEqual(before, after) {
			t.Errorf("%s: the caller's Config was changed from %v to %v", name, before, after)
		}
		called = 0
		for _, topic := range got.Topics {
			if topic.HandleBatch != nil {
				_ = topic.HandleBatch(t.Context(), nil, nil)
				continue
			}
			_ = topic.Handle(t.Context(), nil)
		}
		if called == 0 && reflect.DeepEqual(withoutHandlers(got), withoutHandlers(plain)) {
			t.Errorf("%s makes no difference", name)
		}
	}
}

// noOffsets is an Offsets that has none.
type noOffsets struct{}

func (noOffsets) Load(context.Context, []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	return nil, nil
}
func (noOffsets) Commit(context.Context, map[rocketkit.Queue]int64) error { return nil }

// render gives a Config's values without its functions, which can't be compared.
func render(c Config) []any {
	values := []any{c.Group, c.Start, c.Retries, c.Drain, c.Offsets, len(c.Middleware), len(c.BatchMiddleware), len(c.Topics)}
	for name, t := range c.Topics {
		values = append(values, name, t.Workers, t.MaxWorkers, t.Timeout, t.Order, t.Key != nil, append([]string(nil), t.Tags...), t.SQL, t.Batch.Size, t.Batch.Wait)
	}
	return values
}

func withoutHandlers(c engine.Config) engine.Config {
	topics := map[string]engine.Topic{}
	for name, t := range c.Topics {
		t.Handle, t.HandleBatch = nil, nil
		if t.Key != nil {
			t.Key, t.Order = nil, -t.Order // which differs from the same Order without a Key
		}
		topics[name] = t
	}
	c.Topics = topics
	return c
}

// TestTagsAreCopied: what the caller does to the slice later doesn't matter.
func TestTagsAreCopied(t *testing.T) {
	t.Parallel()
	tags := []string{"paid"}
	got, err := one("orders", Topic{Handler: nothing, Tags: tags}).engineConfig(red(t))
	if err != nil {
		t.Fatal(err)
	}
	tags[0] = "changed"
	if got.Topics["orders"].Tags[0] != "paid" {
		t.Error("the caller's slice is shared")
	}
}

// TestMiddlewareOrder: the first is the outermost.
func TestMiddlewareOrder(t *testing.T) {
	t.Parallel()
	var order []string
	mark := func(name string) Middleware {
		return func(next Handler) Handler {
			return func(ctx context.Context, m *rocketkit.Message) error {
				order = append(order, name)
				return next(ctx, m)
			}
		}
	}
	cfg := one("orders", Topic{Handler: func(context.Context, *rocketkit.Message) error { order = append(order, "handler"); return nil }})
	cfg.Middleware = []Middleware{mark("a"), mark("b")}
	got, err := cfg.engineConfig(red(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Topics["orders"].Handle(t.Context(), nil); err != nil || strings.Join(order, " ") != "a b handler" {
		t.Errorf("%v, %v", order, err)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	for name, test := range map[string]struct {
		err  error
		want engine.Verdict
		text string
	}{
		"retry":          {RetryIn(time.Second, why), engine.Verdict{Action: engine.Retry, Delay: time.Second, Why: why}, "retry in 1s: why"},
		"negative retry": {RetryIn(-time.Second, nil), engine.Verdict{Action: engine.Retry}, "retry in 0s"},
		"drop":           {Drop(why), engine.Verdict{Action: engine.Drop, Why: why}, "drop: why"},
		"dead letter":    {DeadLetter(nil), engine.Verdict{Action: engine.DeadLetter}, "dead letter"},
	} {
		var v *engine.Verdict
		if !errors.As(test.err, &v) || *v != test.want || test.err.Error() != test.text {
			t.Errorf("%s: %+v", name, test.err)
		}
	}
}
