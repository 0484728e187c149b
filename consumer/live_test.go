package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/engine"
)

// made is a Consumer that nobody runs.
func made(t *testing.T, cfg Config) *Consumer {
	t.Helper()
	client, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"127.0.0.1:1"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	c, err := New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func number(n int) *int { return &n }

// TestLayers: a document counts before Tune, and that before the code, field by field; a number that is said isn't bent to
// fit one that a lower layer says.
func TestLayers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code            Topic
		tuned, document string
		want            string
	}{
		"code":                    {Topic{Workers: 16, MaxWorkers: 64}, `{}`, `{}`, "16 code, 64 code"},
		"fixed by code":           {Topic{Workers: 16}, `{}`, `{}`, "16 code, 16 code"},
		"more than fixed":         {Topic{Workers: 16}, `{}`, `{"workers":32}`, "32 document, 32 document"},
		"fewer than fixed":        {Topic{Workers: 16}, `{}`, `{"workers":8}`, "8 document, 8 document"},
		"fewer than growing":      {Topic{Workers: 16, MaxWorkers: 64}, `{}`, `{"workers":8}`, "8 document, 64 code"},
		"more than growing":       {Topic{Workers: 16, MaxWorkers: 64}, `{}`, `{"workers":100}`, "100 document, 100 document"},
		"a lower maximum":         {Topic{Workers: 16, MaxWorkers: 64}, `{}`, `{"maxWorkers":8}`, "8 document, 8 document"},
		"a higher maximum":        {Topic{Workers: 16}, `{}`, `{"maxWorkers":80}`, "16 code, 80 document"},
		"tuned":                   {Topic{Workers: 16}, `{"workers":5}`, `{}`, "5 tune, 5 tune"},
		"tuned and documented":    {Topic{Workers: 16}, `{"workers":5,"maxWorkers":50}`, `{"workers":7}`, "7 document, 50 tune"},
		"tuned above a document":  {Topic{Workers: 16}, `{"workers":64}`, `{"maxWorkers":32}`, "32 document, 32 document"},
		"documented above a tune": {Topic{Workers: 16}, `{"maxWorkers":20}`, `{"workers":64}`, "64 document, 64 document"},
	} {
		test.code.Handler = nothing
		c := made(t, one("orders", test.code))
		if err := c.live.tune("orders", func(TopicSettings) (tuned TopicSettings) {
			if err := json.Unmarshal([]byte(test.tuned), &tuned); err != nil {
				t.Fatal(err)
			}
			return tuned
		}); err != nil {
			t.Fatal(err)
		}
		if err := c.live.apply(json.RawMessage(`{"topics":{"orders":`+test.document+`}}`), true); err != nil {
			t.Fatal(err)
		}
		s := c.Stats().Topics["orders"]
		if got := fmt.Sprintf("%d %s, %d %s", s.Workers, s.From.Workers, s.MaxWorkers, s.From.MaxWorkers); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestOtherFieldsOfLayers: time-out, pause and attempts, and back.
func TestOtherFieldsOfLayers(t *testing.T) {
	t.Parallel()
	cfg := one("orders", Topic{Handler: nothing})
	c := made(t, cfg)
	check := func(when, want string) {
		t.Helper()
		s := c.Stats()
		o := s.Topics["orders"]
		got := fmt.Sprintf("%v %s, paused %v %s, attempts %d %s", o.Timeout, o.From.Timeout, o.Paused, o.From.Paused, s.Attempts, s.AttemptsFrom)
		if got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	apply := func(spec string) {
		t.Helper()
		var raw json.RawMessage
		if spec != "" {
			raw = json.RawMessage(spec)
		}
		if err := c.live.apply(raw, false); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", "1m0s code, paused false code, attempts 0 code")
	if err := errors.Join(c.Tune("orders", Change{Timeout: -1}), c.PauseTopic("orders")); err != nil {
		t.Fatal(err)
	}
	check("tuned", "0s tune, paused true tune, attempts 0 code")
	apply(`{"attempts":3,"topics":{"orders":{"timeout":"30s","pause":false}}}`)
	check("by a document", "30s document, paused false document, attempts 3 document")
	apply(`{"topics":{"orders":{"timeout":"2m"}}}`)
	check("by another", "2m0s document, paused true tune, attempts 0 code")
	apply("")
	check("without", "0s tune, paused true tune, attempts 0 code")
	if err := errors.Join(c.ResumeTopic("orders"), c.Tune("orders", Change{Reset: true})); err != nil {
		t.Fatal(err)
	}
	check("in the end", "1m0s code, paused false code, attempts 0 code")
}

// TestDocumentIsTakenWhole or not at all, and what means nothing here is named.
func TestDocumentIsTakenWhole(t *testing.T) {
	t.Parallel()
	c := made(t, Config{Group: "billing", Topics: map[string]Topic{"orders": {Handler: nothing}, "refunds": {Handler: nothing}}})
	if err := c.live.apply(json.RawMessage(`{"x":1,"topics":{"orders":{"workers":5,"rate":3,"ramp":"1s","y":2},"elsewhere":{"workers":1}}}`), false); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c.live.unknown, c.live.unapplied), "[x topics.orders.y topics.elsewhere] [topics.orders.rate topics.orders.ramp]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	before := fmt.Sprint(c.engine.Live(), c.Stats().Attempts)
	for _, bad := range []string{
		`{"attempts":7,"topics":{"orders":{"workers":9},"refunds":{"workers":-1}}}`,
		`{"topics":{"orders":{"workers":9},"refunds":{"workers":9999}}}`, // beyond bounds
		`{"topics":{"orders":{"workers":9}}`,
	} {
		if c.live.apply(json.RawMessage(bad), false) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if after := fmt.Sprint(c.engine.Live(), c.Stats().Attempts); after != before {
		t.Errorf("a document that was refused has changed %s to %s", before, after)
	}
}

// TestBounds are of documents that aren't signed.
func TestBounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		topic   Topic
		cfg     func(c *Config)
		takes   []string
		refuses map[string]string // and the error's beginning
	}{
		"defaults": {Topic{Workers: 2, MaxWorkers: 8}, nil,
			[]string{`{"topics":{"orders":{"workers":128,"maxWorkers":128}}}`, `{"topics":{"orders":{"timeout":"16m"}}}`, `{"topics":{"orders":{"timeout":"3750ms"}}}`,
				`{"attempts":272}`, `{"topics":{"elsewhere":{"workers":65536}}}`},
			map[string]string{
				`{"topics":{"orders":{"workers":129}}}`:     "topics.orders.workers: 129 is more than Bounds.MaxWorkers",
				`{"topics":{"orders":{"maxWorkers":129}}}`:  "topics.orders.maxWorkers: 129 is more",
				`{"topics":{"orders":{"timeout":"961s"}}}`:  "topics.orders.timeout: 16m1s is not between 3.75s and 16m0s",
				`{"topics":{"orders":{"timeout":"500ms"}}}`: "topics.orders.timeout: 500ms is not",
				`{"attempts":273}`:                          "attempts: 273 is more than Config.MaxAttempts",
			}},
		"declared": {Topic{Bounds: Bounds{MaxWorkers: 20, MinTimeout: time.Second, MaxTimeout: 2 * time.Minute}}, func(c *Config) { c.MaxAttempts = 5 },
			[]string{`{"topics":{"orders":{"workers":20}}}`, `{"topics":{"orders":{"timeout":"1s"}}}`, `{"attempts":5}`},
			map[string]string{
				`{"topics":{"orders":{"workers":21}}}`:   "topics.orders.workers: 21",
				`{"topics":{"orders":{"timeout":"3m"}}}`: "topics.orders.timeout: 3m0s",
				`{"attempts":6}`:                         "attempts: 6",
			}},
		"no time-out, no retries": {Topic{Timeout: -1}, func(c *Config) { c.Retries = -1 },
			[]string{`{"topics":{"orders":{"timeout":"24h"}}}`, `{"attempts":16}`}, map[string]string{`{"topics":{"orders":{"timeout":"3s"}}}`: "topics.orders.timeout", `{"attempts":17}`: "attempts"}},
		"large numbers": {Topic{Workers: 60_000, Timeout: 20 * time.Hour}, func(c *Config) { c.Retries = 1 << 30 },
			[]string{`{"topics":{"orders":{"workers":65536,"timeout":"24h"}}}`, `{"attempts":10000}`}, nil},
	} {
		test.topic.Handler = nothing
		cfg := one("orders", test.topic)
		if test.cfg != nil {
			test.cfg(&cfg)
		}
		c := made(t, cfg)
		for _, spec := range test.takes {
			if err := c.live.apply(json.RawMessage(spec), false); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for spec, want := range test.refuses {
			if err := c.live.apply(json.RawMessage(spec), false); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %s: %v, want %s", name, spec, err, want)
			}
			if err := c.live.apply(json.RawMessage(spec), true); err != nil {
				t.Errorf("%s: signed, %s: %v", name, spec, err)
			}
		}
	}
}

// TestTuneErrors name the topic and what is wrong, wrap ErrConfig, and change nothing.
func TestTuneErrors(t *testing.T) {
	t.Parallel()
	c := made(t, one("orders", Topic{Handler: nothing}))
	for want, err := range map[string]error{
		`topic nowhere: there is none; there are ["orders"]`: c.Tune("nowhere", Change{Workers: 3}),
		`topic elsewhere: there is none`:                     c.PauseTopic("elsewhere"),
		`topic %RETRY%billing: there is none`:                c.ResumeTopic("%RETRY%billing"),
		`topic orders: Workers: -1`:                          c.Tune("orders", Change{Workers: -1}),
		`topic orders: Workers: 65537`:                       c.Tune("orders", Change{Workers: 65537}),
		`topic orders: MaxWorkers: 65537`:                    c.Tune("orders", Change{MaxWorkers: 65537}),
		`topic orders: MaxWorkers: 3 is below`:               c.Tune("orders", Change{Workers: 4, MaxWorkers: 3}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "consumer: "+want) || !errors.Is(err, rocketkit.ErrConfig) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if now := c.engine.Live()["orders"]; now != (engine.Live{Workers: 16, MaxWorkers: 16, Timeout: time.Minute}) {
		t.Errorf("%+v", now)
	}
}

// TestAnySequenceOfLayers: whatever is said in which order, what holds follows from what each layer says now.
func TestAnySequenceOfLayers(t *testing.T) {
	t.Parallel()
	c := made(t, one("orders", Topic{Handler: nothing, Workers: 10, MaxWorkers: 20}))
	rapid.Check(t, func(rt *rapid.T) {
		some := func(label string) *int {
			if n := rapid.IntRange(0, 40).Draw(rt, label); n > 0 {
				return number(n)
			}
			return nil
		}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			said := TopicSettings{Workers: some("workers"), MaxWorkers: some("maxWorkers")}
			if said.Workers != nil && said.MaxWorkers != nil && *said.Workers > *said.MaxWorkers {
				continue
			}
			if rapid.Bool().Draw(rt, "tune") {
				if err := c.live.tune("orders", func(TopicSettings) TopicSettings { return said }); err != nil {
					rt.Fatal(err)
				}
			} else {
				spec, _ := json.Marshal(Settings{Topics: map[string]TopicSettings{"orders": said}})
				if err := c.live.apply(spec, true); err != nil {
					rt.Fatal(err)
				}
			}
		}
		now, document := c.engine.Live()["orders"], c.live.document.Topics["orders"]
		if now.Workers < 1 || now.MaxWorkers < now.Workers {
			rt.Fatalf("%+v", now)
		}
		if document.Workers != nil && now.Workers != *document.Workers || document.MaxWorkers != nil && now.MaxWorkers != *document.MaxWorkers {
			rt.Fatalf("%+v, and the document says %+v", now, document)
		}
		tuned := c.live.tuned["orders"]
		if document == (TopicSettings{}) && (tuned.Workers != nil && now.Workers != *tuned.Workers || tuned.MaxWorkers != nil && now.MaxWorkers != *tuned.MaxWorkers) {
			rt.Fatalf("%+v, and it was tuned to %+v", now, tuned)
		}
	})
}
