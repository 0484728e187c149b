package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/test/bench/child"
)

// TestMain makes the test binary the child that the driver starts, as the driver's own is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		if err := child.Main(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-run", "work|idle", "-rounds", "3", "-seconds", "0.5"}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range chosen(o) {
		names = append(names, s.name)
	}
	if o.rounds != 3 || o.stretch != 500*time.Millisecond || !slices.Equal(names, []string{"work", "idle"}) {
		t.Errorf("parsed as %+v, which chooses %v", o, names)
	}
	for flags, want := range map[string]string{
		"-run nothing": "no section is called so", "-run (": "-run", "-who (": "-who", "-who you": "nobody", "-rounds 0": "at least 1", "-changes 0": "at least 1", "-o xml": "text or json", "consume": "no flag",
	} {
		if _, err := parse(strings.Fields(flags), new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want one with %q", flags, err, want)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "consume, work, send, linger, telemetry, idle, settings") {
		t.Errorf("-help: %v, and printed\n%s", err, &help)
	}
}

// Every section runs to its end on a real broker, and tells of everyone.
func TestSections(t *testing.T) {
	testcluster.Require(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	o, err := parse([]string{"-rounds", "1", "-messages", "20000", "-seconds", "0.1", "-topics", "3", "-instances", "2", "-changes", "4", "-pollers", "10", "-o", "json", "-timeout", "5m"}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := bench(t.Context(), o, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in\n%s", err, &out)
	}
	if len(r.Tables) != 9 {
		t.Errorf("%d tables", len(r.Tables))
	}
	for _, table := range r.Tables {
		if table.Name != "idle" && table.Name != "settings" && len(table.Results) < 4 {
			t.Errorf("%s: %d results", table.Name, len(table.Results))
		}
		for _, result := range table.Results {
			if len(result.Turns) != 1 || result.Turns[0].Rate() <= 0 {
				t.Errorf("%s: %s did %+v", table.Name, result.Name, result.Turns)
			}
		}
		for _, f := range table.Findings {
			if f.Median <= 0 && !strings.Contains(f.What, "processor") && !strings.Contains(f.What, "broker's") && !strings.Contains(f.What, "pollers") && !strings.Contains(f.What, "extrapolated") { // those may be less than a tick
				t.Errorf("%s: %s is %v", table.Name, f.What, f.Median)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// However a run ends, it leaves nothing.
func TestEndedEarly(t *testing.T) {
	testcluster.Require(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	o, err := parse([]string{"-run", "consume", "-rounds", "1", "-messages", "100000", "-timeout", "5m"}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	progress := writer(func(text []byte) {
		if bytes.Contains(text, []byte("starting "+clientGoName)) {
			cancel(interrupted)
		}
	})
	if err := bench(ctx, o, new(bytes.Buffer), progress); !errors.Is(err, interrupted) {
		t.Errorf("it ended with %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

type writer func([]byte)

func (w writer) Write(text []byte) (int, error) {
	w(text)
	return len(text), nil
}
