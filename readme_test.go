package rocketkit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the README's functions stand in: their imports, and the service that they call.
const readmeFrame = `package readme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

var (
	_ = fmt.Println
	_ = errors.Is
	_ = time.Second
	_ context.Context
	_ *rocketkit.Client
	_ *admin.Admin
	_ *consumer.Consumer
	_ *producer.Producer

	errLedgerBusy, errNoSuchOrder, errAlreadyDone error
)

func refund(context.Context, []byte) error { return nil }

`

// TestReadmeCompiles builds every Go block of the README as it stands: whole programs alone, functions in a frame of
// imports. It also holds the first block to the first screen.
func TestReadmeCompiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlocks(string(text))
	if len(blocks) < 4 {
		t.Fatalf("found %d Go blocks", len(blocks))
	}
	if before, _, _ := strings.Cut(string(text), "```go"); strings.Count(before, "\n") >= 25 {
		t.Error("the first Go block starts below line 25")
	}
	dir := filepath.Join("testdata", "readme")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for i, block := range blocks {
		if !strings.HasPrefix(block, "package ") {
			block = readmeFrame + block
		}
		sub := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, "block.go"), []byte(block), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "vet", "./"+sub).CombinedOutput(); err != nil {
			t.Errorf("Go block %d: %v\n%s\n%s", i+1, err, out, block)
		}
	}
}

func goBlocks(markdown string) []string {
	var blocks []string
	for {
		_, rest, found := strings.Cut(markdown, "```go\n")
		if !found {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "```")
		blocks, markdown = append(blocks, block), after
	}
}
