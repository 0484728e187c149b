package consumer

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// documents are settings and what is to be said of them: nothing of those that are valid, and of others the error's
// beginning. Of those that only the code refuses, as no schema can, it has a '+' before it.
func documents() map[string]string {
	return map[string]string{
		`{}`: ``, ` { } `: ``, `{"topics":{}}`: ``, `{"topics":{"orders":{}}}`: ``,
		`{"attempts":1}`: ``, `{"attempts":10000}`: ``, `{"attempts":1.6e1}`: ``,
		`{"topics":{"orders":{"workers":1,"maxWorkers":1}}}`:                        ``,
		`{"topics":{"orders":{"workers":16.0,"maxWorkers":65536}}}`:                 ``,
		`{"topics":{"orders":{"maxWorkers":8},"refunds":{"pause":true}}}`:           ``,
		`{"topics":{"orders":{"pause":false,"timeout":"1m30s","ramp":"0s"}}}`:       ``,
		`{"topics":{"orders":{"timeout":"1ms","rate":0.5,"ramp":"24h"}}}`:           ``,
		`{"topics":{"orders":{"timeout":"24h","rate":1000000000}}}`:                 ``,
		`{"topics":{"orders":{"timeout":"1.5h"}}}`:                                  ``,
		`{"color":"red","topics":{"orders":{"flavor":{"deep":[1]}}}}`:               ``,
		`{"Attempts":"x","topics":{"orders":{"Workers":"many"},"%DLQ%billing":{}}}`: ``,
		``:                                      `-the settings are no JSON`,
		`{"attempts":1`:                         `-the settings are no JSON`,
		`{} {}`:                                 `-the settings are no JSON`,
		`[]`:                                    `the settings: is no object`,
		`null`:                                  `the settings: is no object`,
		`"x"`:                                   `the settings: is no object`,
		`{"attempts":0}`:                        `attempts: 0 is not between 1 and 10000`,
		`{"attempts":10001}`:                    `attempts: 10001 is not`,
		`{"attempts":-1}`:                       `attempts: -1 is not`,
		`{"attempts":1.5}`:                      `attempts: is no whole number: 1.5`,
		`{"attempts":"3"}`:                      `attempts: is no number: "3"`,
		`{"attempts":null}`:                     `attempts: is no number: null`,
		`{"attempts":1e400}`:                    `attempts: 1e400 is not`,
		`{"attempts":3,"attempts":3}`:           `+attempts: is there twice`,
		`{"x":3,"x":3}`:                         `+x: is there twice`,
		`{"topics":[]}`:                         `topics: is no object`,
		`{"topics":null}`:                       `topics: is no object`,
		`{"topics":{"orders":5}}`:               `topics.orders: is no object: 5`,
		`{"topics":{"a":{},"a":{}}}`:            `+topics.a: is there twice`,
		`{"topics":{"a":{"workers":0}}}`:        `topics.a.workers: 0 is not between 1 and 65536`,
		`{"topics":{"a":{"workers":null}}}`:     `topics.a.workers: is no number: null`,
		`{"topics":{"a":{"workers":true}}}`:     `topics.a.workers: is no number: true`,
		`{"topics":{"a":{"workers":65537}}}`:    `topics.a.workers: 65537 is not`,
		`{"topics":{"a":{"maxWorkers":65537}}}`: `topics.a.maxWorkers: 65537 is not`,
		`{"topics":{"a":{"maxWorkers":0}}}`:     `topics.a.maxWorkers: 0 is not`,
		`{"topics":{"a":{"workers":9,"maxWorkers":8}}}`:        `+topics.a.maxWorkers: 8 is below workers, which is 9`,
		`{"topics":{"a":{"workers":1,"workers":1}}}`:           `+topics.a.workers: is there twice`,
		`{"topics":{"a":{"pause":"yes"}}}`:                     `topics.a.pause: is neither true nor false: "yes"`,
		`{"topics":{"a":{"pause":1}}}`:                         `topics.a.pause: is neither`,
		`{"topics":{"a":{"timeout":30}}}`:                      `topics.a.timeout: is no duration in quotes`,
		`{"topics":{"a":{"timeout":null}}}`:                    `topics.a.timeout: is no duration in quotes`,
		`{"topics":{"a":{"timeout":"30"}}}`:                    `topics.a.timeout: "30" is no duration`,
		`{"topics":{"a":{"timeout":"-30s"}}}`:                  `topics.a.timeout: "-30s" is no duration`,
		`{"topics":{"a":{"timeout":"30 s"}}}`:                  `topics.a.timeout: "30 s" is no duration`,
		`{"topics":{"a":{"timeout":"30us"}}}`:                  `topics.a.timeout: "30us" is no duration`,
		`{"topics":{"a":{"timeout":".5s"}}}`:                   `topics.a.timeout: ".5s" is no duration`,
		`{"topics":{"a":{"timeout":""}}}`:                      `topics.a.timeout: "" is no duration`,
		`{"topics":{"a":{"timeout":"0s"}}}`:                    `+topics.a.timeout: 0s is not between 1ms and 24h`,
		`{"topics":{"a":{"timeout":"0.5ms"}}}`:                 `+topics.a.timeout: 500µs is not`,
		`{"topics":{"a":{"timeout":"24h1ms"}}}`:                `+topics.a.timeout: 24h0m0.001s is not`,
		`{"topics":{"a":{"timeout":"99999999999999999999h"}}}`: `+topics.a.timeout: time: invalid duration`,
		`{"topics":{"a":{"ramp":"25h"}}}`:                      `+topics.a.ramp: 25h0m0s is not`,
		`{"topics":{"a":{"ramp":5}}}`:                          `topics.a.ramp: is no duration`,
		`{"topics":{"a":{"rate":0}}}`:                          `topics.a.rate: 0 is not above 0`,
		`{"topics":{"a":{"rate":-5}}}`:                         `topics.a.rate: -5 is not above 0`,
		`{"topics":{"a":{"rate":1000000001}}}`:                 `topics.a.rate: 1000000001 is not`,
		`{"topics":{"a":{"rate":"5"}}}`:                        `topics.a.rate: is no number`,
		`{"topics":{"a":{"rate":5},"b":{"workers":-3}}}`:       `topics.b.workers: -3 is not`,
		`{"attempts":"` + strings.Repeat("long", 100) + `"}`:   `attempts: is no number: "longlong`,
	}
}

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(SettingsSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("settings.json", text); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("settings.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestSettings: what is valid is taken, and what isn't is refused with the path of its key, by the code and by the schema
// alike, but for what no schema can say.
func TestSettings(t *testing.T) {
	t.Parallel()
	compiled := schema(t)
	for spec, want := range documents() {
		s, _, err := ParseSettings([]byte(spec))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", spec, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), strings.TrimLeft(want, "+-"))):
			t.Errorf("%s: %v, want %s", spec, err, want)
		case want != "" && !reflect.DeepEqual(s, Settings{}):
			t.Errorf("%s is refused, and yet gives %+v", spec, s)
		case err != nil && len(err.Error()) > 200:
			t.Errorf("%s: a long error: %v", spec, err)
		}
		if strings.HasPrefix(want, "-") {
			continue // no JSON
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(spec))
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		err = compiled.Validate(value)
		if valid := want == "" || strings.HasPrefix(want, "+"); valid != (err == nil) {
			t.Errorf("%s: the schema says %v, the code %q", spec, err, want)
		}
	}
}

// TestSettingsAreRead: each key ends up in its field, and what is written is read back.
func TestSettingsAreRead(t *testing.T) {
	t.Parallel()
	const spec = `{"attempts":5,"topics":{"orders":{"workers":16,"maxWorkers":64,"pause":true,"timeout":"1m30s","rate":2.5,"ramp":"30s"}}}`
	s, unknown, err := ParseSettings([]byte(spec))
	if err != nil || len(unknown) > 0 {
		t.Fatal(unknown, err)
	}
	attempts, workers, most, pause, timeout, rate, ramp := 5, 16, 64, true, Duration(90*time.Second), 2.5, Duration(30*time.Second)
	want := Settings{Attempts: &attempts, Topics: map[string]TopicSettings{
		"orders": {Workers: &workers, MaxWorkers: &most, Pause: &pause, Timeout: &timeout, Rate: &rate, Ramp: &ramp},
	}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
	for i := range reflect.TypeFor[TopicSettings]().NumField() {
		if reflect.ValueOf(s.Topics["orders"]).Field(i).IsNil() {
			t.Errorf("TopicSettings.%s is not tested", reflect.TypeFor[TopicSettings]().Field(i).Name)
		}
	}
	written, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if again, _, err := ParseSettings(written); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("%s: %+v, %v", written, again, err)
	}
}

// TestUnknownSettings are kept and named by their paths, whatever they hold; names are compared letter by letter.
func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	s, unknown, err := ParseSettings([]byte(`{"color":null,"Attempts":3,"attempts":4,"topics":{"orders":{"Workers":0,"workers":7,"x.y":[{"a":1,"a":2}]},"b":{"later":"1"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"color", "Attempts", "topics.orders.Workers", "topics.orders.x.y", "topics.b.later"}; !slices.Equal(unknown, want) {
		t.Errorf("unknown: %q, want %q", unknown, want)
	}
	if *s.Attempts != 4 || *s.Topics["orders"].Workers != 7 {
		t.Errorf("%+v", s)
	}
}

// FuzzParseSettings: nothing makes it panic, the schema takes whatever it takes, and that is the same when it is written
// and read again.
func FuzzParseSettings(f *testing.F) {
	for _, spec := range slices.Sorted(maps.Keys(documents())) {
		f.Add(spec)
	}
	compiled := schema(f)
	f.Fuzz(func(t *testing.T, spec string) {
		s, _, err := ParseSettings([]byte(spec))
		if err != nil {
			return
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(spec))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(value); err != nil {
			t.Errorf("the schema refuses what the code takes: %v", err)
		}
		written, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, unknown, err := ParseSettings(written)
		if err != nil || len(unknown) > 0 {
			t.Fatalf("written as %s: %v, %v", written, unknown, err)
		}
		if len(s.Topics) == 0 {
			s.Topics, again.Topics = nil, nil
		}
		if !reflect.DeepEqual(again, s) {
			t.Errorf("%s: %+v, was %+v", written, again, s)
		}
	})
}
