package rocketkit_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The checks are themselves checked, with packages that were made up to break them.

func TestProblemsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		imports map[string][]string
		want    string // the only problem, or "" for none
	}{
		"down, by one row and by many": {map[string][]string{
			"consumer": {"internal/engine", "tenant", "."}, "internal/engine": {"internal/pool"}, "internal/pool": nil, ".": {"tenant"}, "tenant": nil,
		}, ""},
		"up":                      {map[string][]string{"tenant": {"."}}, "tenant imports ., which is in a higher tier"},
		"up by many":              {map[string][]string{"internal/frame": {"cmd/rocketkit"}}, "internal/frame imports cmd/rocketkit, which is in a higher tier"},
		"sideways":                {map[string][]string{"consumer": {"producer"}}, "consumer imports producer, which is in the same tier"},
		"the file source":         {map[string][]string{"consumer": {"dynconf/file"}}, "consumer imports dynconf/file, which is in a higher tier"},
		"sideways below cmd":      {map[string][]string{"cmd/a": {"cmd/b"}}, "cmd/a imports cmd/b, which is in the same tier"},
		"unknown":                 {map[string][]string{"internal/misc": nil}, "internal/misc has no place: give it one in places() and docs/architecture.md"},
		"below a known package":   {map[string][]string{"tenant/x": nil}, "tenant/x has no place: give it one in places() and docs/architecture.md"},
		"a name that begins so":   {map[string][]string{"cmdx": nil}, "cmdx has no place: give it one in places() and docs/architecture.md"},
		"imports the unknown":     {map[string][]string{"consumer": {"internal/misc"}}, "consumer imports internal/misc, which has no place"},
		"testcluster in a tier":   {map[string][]string{"admin": {"internal/testcluster"}}, "admin imports internal/testcluster, which is for tests and tools only"},
		"testcluster in mqtest":   {map[string][]string{"mqtest": {"internal/testcluster"}}, "mqtest imports internal/testcluster, which is for tests and tools only"},
		"testcluster in cmd":      {map[string][]string{"cmd/rocketkit": {"internal/testcluster"}}, "cmd/rocketkit imports internal/testcluster, which is for tests and tools only"},
		"testcluster in examples": {map[string][]string{"examples/demo": {"internal/testcluster"}}, ""},
		"testcluster's command":   {map[string][]string{"internal/testcluster/cmd/rmq": {"internal/testcluster"}}, ""},
		"mqtest in a tier":        {map[string][]string{"consumer": {"mqtest"}}, "consumer imports mqtest, which is for tests and tools only"},
		"mqtest on tiers":         {map[string][]string{"mqtest": {".", "internal/remoting", "internal/protocol"}}, ""},
		"test drivers":            {map[string][]string{"test/bench": {"test/peer", "internal/testcluster", "clientgo"}}, ""},
		"test driver in examples": {map[string][]string{"examples/demo": {"test/bench"}}, "examples/demo imports test/bench, which is for tests and tools only"},
	} {
		got := strings.Join(places().problems(c.imports), "\n")
		if got != c.want {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

func TestUnwantedIsFound(t *testing.T) {
	t.Parallel()
	fine := []string{
		"context", "internal/testlog", "vendor/golang.org/x/crypto/chacha20", module, module + "/tenant", module + "/internal/engine",
		"github.com/klauspost/compress/zstd", "github.com/pierrec/lz4/v4", "golang.org/x/sync/errgroup",
	}
	if found := unwanted(fine); len(found) > 0 {
		t.Errorf("found fault with %v", found)
	}
	if found := unwanted([]string{"github.com/fsnotify/fsnotify/internal"}, ownDependencies()["dynconf/file"]...); len(found) > 0 {
		t.Errorf("found fault with %v", found)
	}
	for _, dep := range []string{
		"testing", "testing/synctest", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/spf13/cobra", "go.opentelemetry.io/otel/sdk/metric",
		"github.com/apache/rocketmq-client-go/v2/consumer", "github.com/klauspost/compressor", module + "/mqtest", module + "/internal/testcluster",
		module + "/internal/testcluster/cmd/rmq", module + "/test/bench", module + "/clientgo", module + "/cmd/rocketkit",
	} {
		if found := unwanted(append(slices.Clone(fine), dep)); len(found) != 1 || !strings.HasPrefix(found[0], dep) {
			t.Errorf("with %s: found %v", dep, found)
		}
	}
}

func TestLibraries(t *testing.T) {
	t.Parallel()
	for pkg, want := range map[string]bool{
		".": true, "consumer": true, "tenant": true, "dynconf": true, "dynconf/file": true,
		"clientgo": false, "internal/pool": false, "cmd/rocketkit": false, "examples/demo": false, "test/bench": false, "mqtest": false,
	} {
		if library(pkg) != want {
			t.Errorf("library(%q) = %t", pkg, !want)
		}
	}
}

var update = flag.Bool("update", false, "write the linter's rules about imports anew")

// The linter says the same of an import while it is being typed. Its rules are written from the layout:
// go test -run TestLinterKnowsTheTiers . -update
func TestLinterKnowsTheTiers(t *testing.T) {
	const file, begin, end = ".golangci.yml", "        # Written by arch_test.go: begin\n", "        # Written by arch_test.go: end\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	rules, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has lost the lines that mark the rules", file)
	}
	want := places().linterRules()
	if rules == want {
		return
	}
	if !*update {
		t.Fatalf("%s has other rules than the layout; write them anew: go test -run %s . -update", file, t.Name())
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// linterRules are the rules of depguard: one for each tier, with what it may import.
func (l layout) linterRules() string {
	var out strings.Builder
	for i, row := range l.tiers {
		allow := append([]string{"$gostd"}, dependencies()...)
		if slices.Contains(row, "cmd/...") {
			allow = append(allow, toolDependencies()...)
		}
		for _, pkg := range row {
			allow = append(allow, ownDependencies()[pkg]...)
		}
		for _, below := range l.tiers[i+1:] {
			for _, pkg := range below {
				allow = append(allow, importPattern(pkg))
			}
		}
		if slices.ContainsFunc(l.apache, func(pkg string) bool { return holds(row, pkg) }) {
			allow = append(allow, apachesClient)
		}
		for _, o := range l.outside {
			if slices.ContainsFunc(o.importedBy, func(by string) bool { return holds(row, by) }) {
				allow = append(allow, importPattern(o.path))
			}
		}
		files := make([]string, 0, len(row)+1)
		for _, pkg := range row {
			files = append(files, "'"+filePattern(pkg)+"'")
		}
		files = append(files, "'!$test'")
		fmt.Fprintf(&out, "        tier-%d:\n          list-mode: strict\n", i+1) // a name may not have a dot
		fmt.Fprintf(&out, "          files: %s\n          allow: %s\n", flow(files), flow(allow))
	}
	return out.String()
}

// flow writes a YAML list between brackets, over as many lines as it takes.
func flow(items []string) string {
	var out strings.Builder
	width := 0
	for i, item := range items {
		if i > 0 {
			out.WriteString(",")
		}
		if width += len(item) + 2; i > 0 && width > 130 {
			out.WriteString("\n           ")
			width = len(item)
		}
		if i > 0 {
			out.WriteString(" ")
		}
		out.WriteString(item)
	}
	return "[" + out.String() + "]"
}

// importPattern is how depguard writes an import: a prefix, or with $ at its end the whole.
func importPattern(pkg string) string {
	if dir, tree := strings.CutSuffix(pkg, "/..."); tree {
		return module + "/" + dir
	}
	if pkg == "." {
		return module + "$"
	}
	return module + "/" + pkg + "$"
}

func filePattern(pkg string) string {
	const base = "${base-path}/"
	if dir, tree := strings.CutSuffix(pkg, "/..."); tree {
		return base + dir + "/**"
	}
	if pkg == "." {
		return base + "*.go"
	}
	return base + pkg + "/*.go"
}
