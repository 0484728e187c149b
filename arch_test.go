package rocketkit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rocketkit/rocketkit"

// layout says where packages stand, by their paths below the module; "." is the root and "cmd/..." is cmd and all below it.
type layout struct {
	tiers   [][]string // top first; a package imports from the rows below its own, never from its own or a higher one
	outside []outsider
	apache  []string // who may import Apache's client, tests aside
}

// apachesClient is rocketmq-client-go.
const apachesClient = "github.com/apache/rocketmq-client-go/v2"

// outsider stands beside the tiers. Packages of the tiers don't import it, but for those it names.
type outsider struct {
	path       string
	importedBy []string
}

// places is the layout of this repository, which docs/architecture.md draws.
func places() layout {
	return layout{
		tiers: [][]string{
			{"cmd/...", "examples/..."},
			{"dynconf/file"}, // links what no other library does, so none may import it
			{"clientgo"},
			{"broadcast"},
			{"producer", "consumer", "reader", "admin"},
			{"dynconf", "internal/engine", "internal/trace"},
			{"internal/send", "internal/pool"},
			{"internal/telemetry"},
			{"internal/hook"},
			{"."},
			{"internal/cluster"},
			{"internal/route"},
			{"internal/remoting", "internal/protocol"},
			{"internal/frame", "tenant", "limiter"},
		},
		outside: []outsider{
			{"mqtest", []string{"examples/demo", "test/..."}},
			{"internal/testcluster", []string{"examples/...", "test/...", "internal/testcluster/cmd/rmq"}},
			{"internal/testcluster/cmd/rmq", nil},
			{"test/...", []string{"test/..."}},
		},
		apache: []string{"clientgo", "examples/clientgo", "test/..."},
	}
}

// dependencies are the modules that a program may link through rocketkit's libraries. Each has its reason in docs/decisions.
func dependencies() []string {
	return []string{
		"github.com/klauspost/compress", "github.com/pierrec/lz4/v4", "golang.org/x/sync",
		// OpenTelemetry's API, and what that stands on.
		"go.opentelemetry.io/otel", "go.opentelemetry.io/auto/sdk", "github.com/cespare/xxhash/v2", "github.com/go-logr/logr", "github.com/go-logr/stdr",
	}
}

// ownDependencies are the modules that only those programs link that import the package themselves.
func ownDependencies() map[string][]string {
	return map[string][]string{
		"dynconf/file": {"github.com/fsnotify/fsnotify", "golang.org/x/sys"},
	}
}

// toolDependencies are the modules that programs below cmd may link besides.
func toolDependencies() []string { return []string{"github.com/spf13/cobra"} }

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	for _, problem := range places().problems(moduleImports(t)) {
		t.Error(problem)
	}
}

func TestOnlyTheBridgeImportsApachesClient(t *testing.T) {
	t.Parallel()
	importers := 0
	for line := range strings.Lines(goList(t, "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _ := relative(pkg)
		if !slices.ContainsFunc(strings.Fields(imports), func(i string) bool { return within(i, apachesClient+"/...") }) {
			continue
		}
		importers++
		if !holds(places().apache, name) {
			t.Errorf("%s imports rocketmq-client-go", name)
		}
	}
	if importers == 0 {
		t.Error("nobody does, so nothing was checked")
	}
}

func TestLibrariesLinkNoTools(t *testing.T) {
	t.Parallel()
	for _, pkg := range slices.Sorted(maps.Keys(moduleImports(t))) {
		if !library(pkg) {
			continue
		}
		// A program that imports one package links what that package depends on, its own main and nothing else.
		for _, problem := range unwanted(strings.Fields(goList(t, "-deps", "./"+pkg)), ownDependencies()[pkg]...) {
			t.Errorf("a program that imports %s links %s", pkg, problem)
		}
	}
	t.Run("consumer", func(t *testing.T) {
		if _, err := os.Stat("consumer"); errors.Is(err, os.ErrNotExist) {
			t.Skip("there is no package consumer yet")
		}
		if !library("consumer") || !strings.Contains(goList(t, "-deps", "./consumer"), module+"/internal/engine\n") {
			t.Error("the check above has missed consumer, or consumer's dependencies")
		}
	})
}

// library tells whether users import the package. clientgo is left out because to link Apache's client is its purpose.
func library(pkg string) bool {
	for _, other := range []string{"cmd/...", "examples/...", "internal/...", "test/...", "mqtest", "clientgo"} {
		if within(pkg, other) {
			return false
		}
	}
	return true
}

// problems checks the imports that packages of the module have among themselves.
func (l layout) problems(imports map[string][]string) []string {
	var found []string
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		if l.tier(pkg) < 0 && l.outsider(pkg) == nil {
			found = append(found, fmt.Sprintf("%s has no place: give it one in places() and docs/architecture.md", pkg))
			continue
		}
		for _, imported := range imports[pkg] {
			if problem := l.problem(pkg, imported); problem != "" {
				found = append(found, fmt.Sprintf("%s imports %s, which %s", pkg, imported, problem))
			}
		}
	}
	return found
}

func (l layout) problem(pkg, imported string) string {
	if out := l.outsider(imported); out != nil {
		if slices.ContainsFunc(out.importedBy, func(by string) bool { return within(pkg, by) }) {
			return ""
		}
		return "is for tests and tools only"
	}
	from, to := l.tier(pkg), l.tier(imported)
	switch {
	case to < 0:
		return "has no place"
	case from < 0: // an outsider may use any tier
		return ""
	case to == from:
		return "is in the same tier"
	case to < from:
		return "is in a higher tier"
	}
	return ""
}

// tier is the index of the package's row, or -1.
func (l layout) tier(pkg string) int {
	return slices.IndexFunc(l.tiers, func(row []string) bool { return holds(row, pkg) })
}

func (l layout) outsider(pkg string) *outsider {
	for i, out := range l.outside {
		if within(pkg, out.path) {
			return &l.outside[i]
		}
	}
	return nil
}

// holds tells whether the package is in the row. The linter's rules, one for each row, grant what one program of a tree may
// import to the whole tree; the tests here don't.
func holds(row []string, pkg string) bool {
	return slices.ContainsFunc(row, func(pattern string) bool { return within(pkg, pattern) })
}

func within(pkg, pattern string) bool {
	dir, tree := strings.CutSuffix(pattern, "/...")
	return pkg == dir || tree && strings.HasPrefix(pkg, dir+"/")
}

// unwanted lists what of a library's dependencies doesn't belong in a user's program. own are modules that it may have besides.
func unwanted(deps []string, own ...string) []string {
	allowed := slices.Concat(dependencies(), own)
	var found []string
	for _, dep := range deps {
		rel, ours := strings.CutPrefix(dep, module+"/")
		first, _, _ := strings.Cut(dep, "/")
		switch {
		case dep == module:
		case ours:
			for _, pattern := range []string{"mqtest", "internal/testcluster/...", "test/...", "cmd/...", "examples/...", "clientgo"} {
				if within(rel, pattern) {
					found = append(found, dep)
				}
			}
		case within(dep, "testing/..."):
			found = append(found, dep)
		case within(dep, "go.opentelemetry.io/otel/sdk/...") || within(dep, "go.opentelemetry.io/otel/exporters/..."):
			found = append(found, dep+": which SDK a program links is its own choice")
		case strings.Contains(first, "."):
			if !slices.ContainsFunc(allowed, func(m string) bool { return within(dep, m+"/...") }) {
				found = append(found, dep+": a new dependency needs a page in docs/decisions and a line in dependencies()")
			}
		}
	}
	return found
}

// moduleImports maps each package of this module to those it imports, without its tests' imports.
func moduleImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := make(map[string][]string)
	for dec := json.NewDecoder(strings.NewReader(goList(t, "-deps", "-json=ImportPath,Imports", "./..."))); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name, own := relative(pkg.ImportPath)
		if !own {
			continue
		}
		imports[name] = nil
		for _, imported := range pkg.Imports {
			if imported, own := relative(imported); own {
				imports[name] = append(imports[name], imported)
			}
		}
	}
	if len(imports) < 3 {
		t.Fatalf("go list knows %d packages of this module, so nothing was checked", len(imports))
	}
	return imports
}

func relative(importPath string) (string, bool) {
	if !within(importPath, module+"/...") {
		return "", false
	}
	return path.Clean(strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")), true
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}
