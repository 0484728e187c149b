package rocketkit_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/internal/telemetry"
)

// docs/observability.md lists the metrics that there are, with their units and kinds, and no others; and every attribute.
func TestObservabilityListsTheMetrics(t *testing.T) {
	t.Parallel()
	const page = "docs/observability.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([a-z{}]+) \\| ([a-z]+) \\|").FindAllStringSubmatch(string(text), -1) {
		if listed[row[1]] != "" {
			t.Errorf("%s lists %s twice", page, row[1])
		}
		listed[row[1]] = row[2] + " " + row[3]
	}
	for _, i := range telemetry.Instruments() {
		if want := i.Unit + " " + string(i.Kind); listed[i.Name] != want {
			t.Errorf("%s has %s as %q, want %q", page, i.Name, listed[i.Name], want)
		}
		delete(listed, i.Name)
	}
	for name := range listed {
		t.Errorf("%s lists %s, which isn't there", page, name)
	}
	for _, key := range telemetry.Keys() {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("%s doesn't tell of the attribute %s", page, key)
		}
	}
}
