//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

func someRows() []row {
	return []row{
		{Scenario: "kill-9", Library: "rocketkit", Figures: ledger.Figures{Acknowledged: 59890, Consumed: 59890, Duplicates: 7, Stall: 340 * time.Millisecond}},
		{Scenario: "kill-9", Order: ledger.ByQueue, Library: "java", Figures: ledger.Figures{Acknowledged: 1234567, Consumed: 1234000, Lost: 567, OutOfOrder: 2, Recovery: ledger.Never}},
		{Scenario: "scale", Library: "rocketkit", Broken: []string{"3 duplicates"}, Figures: ledger.Figures{Acknowledged: 10, Consumed: 10, Duplicates: 3}},
		{Scenario: "scale", Library: "client-go", Error: "it doesn't start", Notes: []string{"a member said no"}},
		{Scenario: "scale", Library: "java", Late: true},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	const want = `
scenario  order  library    acknowledged   consumed  lost  duplicates  out of order   stall  in a queue  recovery
kill-9    -      rocketkit        59,890     59,890     0           7             -  0.34 s      0.00 s    0.00 s
kill-9    queue  java          1,234,567  1,234,000   567           0             2  0.00 s      0.00 s     never

scale     -      rocketkit            10         10     0           3             -  0.00 s      0.00 s    0.00 s  BROKEN: 3 duplicates
scale     -      client-go                                                                                         failed: it doesn't start
scale     -      java                  0          0     0           0             -  0.00 s      0.00 s    0.00 s  late

scale client-go: a member said no
`
	if got := table(someRows()); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := writeJSON(&out, defaults(), "5.5.0", someRows()); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Settings settings
		Rows     []row
	}
	if err := json.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Settings != defaults() || len(read.Rows) != 5 || read.Rows[1].Figures != someRows()[1].Figures {
		t.Errorf("%s reads as %+v", &out, read)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	p := promise{once: true}
	for _, f := range []ledger.Figures{{Lost: 1}, {OutOfOrder: 1}, {Duplicates: 1}} {
		if err := verdict([]row{{Broken: p.broken(f)}}); !errors.Is(err, errBroken) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if broken := (promise{}).broken(ledger.Figures{Duplicates: 1}); len(broken) > 0 {
		t.Errorf("duplicates where none are excluded: %v", broken)
	}
	if err := verdict([]row{{Late: true}, {Figures: ledger.Figures{Lost: 1}, Library: "java"}}); err != nil {
		t.Errorf("%v, though rocketkit has kept its promises", err)
	}
	if err := verdict([]row{{Error: "it doesn't start"}}); err == nil {
		t.Error("a row that couldn't be run is none")
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-run", "^kill-9", "-lib", "java,rocketkit", "-short", "-pause", "1s", "-o", "json"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.settings.Scale != 0.34 || o.settings.Pause != time.Second || !o.json || len(o.libraries) != 2 || o.libraries[0].name != "java" {
		t.Errorf("%+v", o)
	}
	var rows []string
	for _, s := range scenarios() {
		for _, r := range o.runs(s) {
			rows = append(rows, r.name()+" "+r.library.name)
		}
	}
	if len(rows) < 3 || rows[0] != "kill-9 java" || rows[1] != "kill-9 rocketkit" || rows[2] != "kill-9/queue java" {
		t.Errorf("%q", rows)
	}
	for _, wrong := range [][]string{{"-run", "("}, {"-lib", "kafka"}, {"-o", "xml"}, {"-rate", "0"}, {"-scale", "-1"}, {"now"}} {
		if _, err := parse(wrong, io.Discard); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := parse([]string{"-nonsense"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("an unknown flag: %v", err)
	}
}
