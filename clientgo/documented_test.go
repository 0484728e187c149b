package clientgo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each option that client-go exports has its row in docs/migrating.md.
func TestEveryOptionIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/apache/rocketmq-client-go/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"consumer", "producer"} {
		options := optionsIn(t, filepath.Join(strings.TrimSpace(string(out)), pkg))
		if len(options) < 15 {
			t.Errorf("only %d options found in %s: %q", len(options), pkg, options)
		}
		for _, option := range options {
			if !strings.Contains(string(page), "\n| `"+pkg+"."+option+"` | ") {
				t.Errorf("docs/migrating.md has no row for %s.%s", pkg, option)
			}
		}
	}
}

// optionsIn names the exported functions of a package's source that return an Option.
func optionsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range source.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Recv != nil || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
				continue
			}
			if result, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && result.Name == "Option" {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}
