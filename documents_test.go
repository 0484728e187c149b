package rocketkit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What functions shown in the documents stand in: their imports, and the service that they call.
const documentFrame = `package document

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	apache "github.com/apache/rocketmq-client-go/v2/consumer"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/clientgo"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf/file"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/reader"
)

var (
	_ = fmt.Println
	_ = errors.Is
	_ = time.Second
	_ = utf8.Valid
	_ context.Context
	_ *rocketkit.Client
	_ *admin.Admin
	_ *consumer.Consumer
	_ *producer.Producer
	_ *file.Source
	_ *mqtest.Cluster
	_ *reader.Reader
	_ = otel.Handle
	_ rocketmq.PushConsumer
	_ = apache.WithGroupName
	_ = clientgo.NewPushConsumer
	_ metric.MeterProvider
	_ trace.TracerProvider
	_ propagation.TraceContext

	errLedgerBusy, errNoSuchOrder, errAlreadyDone error
)

func refund(context.Context, []byte) error { return nil }

`

// TestDocumentsCompile vets every Go block of the README and of docs: whole files alone, functions in a frame of imports.
func TestDocumentsCompile(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, document := range append(documents(t), "README.md") {
		for i, block := range goBlocks(t, document) {
			if strings.Contains(block, "testing.T") {
				continue // TestNewUsersTest runs it
			}
			if !strings.HasPrefix(block, "package ") {
				block = documentFrame + block
			}
			files[fmt.Sprintf("%s-%d/block.go", strings.TrimSuffix(filepath.Base(document), ".md"), i+1)] = block
		}
	}
	if len(files) < 6 {
		t.Errorf("only %d Go blocks were found", len(files))
	}
	if out, err := newModule(t, files, "vet", "./...").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// newModule makes an empty module that requires rocketkit, with the files given, and a go command to run in it.
func newModule(t *testing.T, files map[string]string, command ...string) *exec.Cmd {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files["go.sum"] = string(sums)
	files["go.mod"] = "module example.com/orders\n\ngo 1.25.0\n\nrequire github.com/rocketkit/rocketkit v0.0.0\n\n" +
		"replace github.com/rocketkit/rocketkit => " + here + "\n"
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", command...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	return cmd
}

// TestFrontDoor holds the README's first Go block to the first screen.
func TestFrontDoor(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if before, _, _ := strings.Cut(string(text), "```go"); strings.Count(before, "\n") >= 25 {
		t.Error("the README's first Go block starts below line 25")
	}
}

// TestNewUsersTest does what docs/testing.md says, in an empty module that requires rocketkit.
func TestNewUsersTest(t *testing.T) {
	t.Parallel()
	blocks := goBlocks(t, "docs/testing.md")
	for i, file := range []string{"orders.go", "orders_test.go"} {
		example, err := os.ReadFile(filepath.Join("examples", "testing", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(example), blocks[i]) {
			t.Errorf("docs/testing.md and examples/testing/%s differ", file)
		}
	}
	files := map[string]string{"orders.go": blocks[0], "orders_test.go": blocks[1]}
	out, err := newModule(t, files, "test", "-v", ".").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestOrderIsGivenUpAfterSixteenRetries") {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- PASS") || strings.Contains(line, "clock") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// documents lists those in docs.
func documents(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func goBlocks(t *testing.T, document string) []string {
	t.Helper()
	return blocks(t, document, "go")
}

// blocks gives a document's blocks of a language, in order.
func blocks(t *testing.T, document, language string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for rest := string(text); ; {
		_, after, more := strings.Cut(rest, "```"+language+"\n")
		if !more {
			return found
		}
		block, left, _ := strings.Cut(after, "```")
		found, rest = append(found, block), left
	}
}
