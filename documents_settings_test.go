package rocketkit_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/consumer"
)

// TestSettingsInDocuments reads every JSON block of docs/dynamic-settings.md as a consumer would, and holds its table against the
// schema.
func TestSettingsInDocuments(t *testing.T) {
	t.Parallel()
	const document = "docs/dynamic-settings.md"
	found := blocks(t, document, "json")
	for _, block := range found {
		if _, unknown, err := consumer.ParseSettings([]byte(block)); err != nil || len(unknown) > 0 {
			t.Errorf("%v, unknown %q, in\n%s", err, unknown, block)
		}
	}
	if len(found) == 0 {
		t.Error("no settings are shown")
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	type object struct{ Properties map[string]any }
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(consumer.SettingsSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	keys := slices.Concat(slices.Collect(maps.Keys(schema.Properties)), slices.Collect(maps.Keys(schema.Defs["topic"].Properties)))
	for _, key := range keys {
		if !regexp.MustCompile("[`.]" + key + "[`.]").Match(text) {
			t.Errorf("%s says nothing of %s", document, key)
		}
	}
	if len(keys) < 7 {
		t.Errorf("the schema has only %q", keys)
	}
}

// TestCommandsInDocuments has the tool read every call of it that the documents show. It shows help in place of doing it, and
// still refuses what it doesn't know.
func TestCommandsInDocuments(t *testing.T) {
	t.Parallel()
	tool := filepath.Join(t.TempDir(), "rocketkit")
	if out, err := exec.Command("go", "build", "-o", tool, "./cmd/rocketkit").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	call := regexp.MustCompile("(?m)(?:^\\$ (?:bin/)?|`)rocketkit ([a-z][^`#…\n]*?) *(?:`|#.*$|$)")
	shown := 0
	for _, document := range append(documents(t), "README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			shown++
			if out, err := exec.Command(tool, append(strings.Fields(found[1]), "--help")...).CombinedOutput(); err != nil {
				t.Errorf("%s shows rocketkit %s: %v\n%s", document, found[1], err, out)
			}
		}
	}
	if shown < 8 {
		t.Errorf("only %d calls were found", shown)
	}
}
