package protocol

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPropertiesGet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		block, key, want string
		found            bool
	}{
		"first":                 {"a\x01b\x02c\x01d\x02", "a", "b", true},
		"last":                  {"a\x01b\x02c\x01d\x02", "c", "d", true},
		"no separator at end":   {"a\x01b\x02c\x01d", "c", "d", true},
		"absent":                {"a\x01b\x02", "b", "", false},
		"prefix of a name":      {"TAGS\x01b\x02", "TAG", "", false},
		"name within a value":   {"a\x01TAGS\x02", "TAGS", "", false},
		"the last one counts":   {"a\x01b\x02a\x01c\x02", "a", "c", true},
		"empty value":           {"a\x01\x02", "a", "", true},
		"separator in a value":  {"a\x01b\x01c\x02", "a", "b\x01c", true},
		"entry without a value": {"a\x02b\x01c\x02", "b", "c", true},
		"empty name":            {"\x01b\x02", "", "", false},
		"none":                  {"", "a", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, found := Properties(c.block).Get(c.key)
			if got != c.want || found != c.found {
				t.Errorf("got %q, %v", got, found)
			}
		})
	}
}

func TestPropertiesAll(t *testing.T) {
	t.Parallel()
	p := Properties("a\x01b\x02broken\x02c\x01d")
	var got []string
	for k, v := range p.All() {
		got = append(got, k+"="+v)
	}
	if s := strings.Join(got, " "); s != "a=b c=d" {
		t.Errorf("got %s", s)
	}
	for range p.All() {
		break // must not go on
	}
}

func TestPropertiesSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]string{}
		var p Properties
		for name, value := range rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "properties") {
			if storable(name, value) {
				want[name] = value
				p = AppendProperty(p, name, value)
			}
		}
		if got := maps.Collect(p.All()); !maps.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for name, value := range want {
			if got, ok := p.Get(name); !ok || got != value {
				t.Fatalf("%q is %q, %v, want %q", name, got, ok, value)
			}
		}
	})
}

// storable tells whether a property can be read back: Java drops what has no name or no value, and bytes 1 and 2 separate.
func storable(name, value string) bool {
	return name != "" && value != "" && !strings.ContainsAny(name+value, "\x01\x02")
}
