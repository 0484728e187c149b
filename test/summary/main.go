// Command summary reads what go test -json prints and says it in short: a line for each package, the output of what failed,
// what was skipped and why, and a total. It exits with 1 when anything failed.
//
//	go test -json ./... | go run ./test/summary
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	passed, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
	}
	if !passed || err != nil {
		os.Exit(1)
	}
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// report is what was read so far. Output is kept by package and test until it is known whether anybody wants to see it.
type report struct {
	out                              io.Writer
	output                           map[string]map[string]*strings.Builder
	order                            map[string][]string // tests in the order in which they began to print
	counts                           map[string]*count
	skips                            []string
	total                            count
	packages, packagesOK, buildFails int
}

type count struct{ passed, failed, skipped int }

func summarize(in io.Reader, out io.Writer) (passed bool, err error) {
	begin := time.Now()
	r := &report{
		out: out, output: make(map[string]map[string]*strings.Builder),
		order: make(map[string][]string), counts: make(map[string]*count),
	}
	lines := bufio.NewReader(in)
	for err == nil {
		var line string
		line, err = lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) == nil {
			r.add(e)
		} else {
			fmt.Fprint(out, line) // what isn't an event is from the go command itself
		}
	}
	if !errors.Is(err, io.EOF) {
		return false, err
	}
	if r.packages == 0 {
		return false, errors.New("there was nothing to read: no package was tested")
	}
	r.finish(time.Since(begin))
	return r.packagesOK == r.packages && r.total.failed == 0 && r.buildFails == 0, nil
}

func (r *report) add(e event) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "build-fail":
		r.buildFails++
	case "output":
		r.keep(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
	}
}

func (r *report) keep(e event) {
	tests := r.output[e.Package]
	if tests == nil {
		tests = make(map[string]*strings.Builder)
		r.output[e.Package] = tests
	}
	if tests[e.Test] == nil {
		tests[e.Test] = new(strings.Builder)
		r.order[e.Package] = append(r.order[e.Package], e.Test)
	}
	tests[e.Test].WriteString(e.Output)
}

func (r *report) endTest(e event) {
	c := r.counts[e.Package]
	if c == nil {
		c = new(count)
		r.counts[e.Package] = c
	}
	switch e.Action {
	case "pass":
		c.passed++
	case "fail":
		c.failed++
		return // its output is shown with the package's
	case "skip":
		c.skipped++
		r.skips = append(r.skips, fmt.Sprintf("%s in %s: %s", e.Test, e.Package, r.reason(e)))
	}
	delete(r.output[e.Package], e.Test)
}

// reason is the last line that a skipped test has logged, without its place.
func (r *report) reason(e event) string {
	reason := "without a reason"
	if kept := r.output[e.Package][e.Test]; kept != nil {
		for line := range strings.Lines(kept.String()) {
			if _, text, ok := strings.Cut(line, ".go:"); ok {
				_, text, _ = strings.Cut(text, ": ")
				reason = strings.TrimSpace(text)
			}
		}
	}
	return reason
}

func (r *report) endPackage(e event) {
	c := r.counts[e.Package]
	if c == nil {
		c = new(count)
	}
	r.total.passed += c.passed
	r.total.failed += c.failed
	r.total.skipped += c.skipped
	r.packages++
	if e.Action == "fail" {
		r.showFailure(e.Package)
		what := fmt.Sprintf("%d of %d tests failed", c.failed, c.failed+c.passed+c.skipped)
		if c.failed == 0 {
			what = "failed outside its tests"
		}
		fmt.Fprintf(r.out, "FAIL  %-50s %s\n", e.Package, what)
	} else {
		r.packagesOK++
		if c.passed+c.skipped > 0 {
			fmt.Fprintf(r.out, "ok    %-50s %4d tests %8.1fs\n", e.Package, c.passed+c.skipped, e.Elapsed)
		}
	}
	delete(r.output, e.Package)
}

// showFailure prints what is left of a package's output: that of tests which failed or never ended, and its own.
func (r *report) showFailure(pkg string) {
	for _, test := range r.order[pkg] {
		kept := r.output[pkg][test]
		if kept == nil {
			continue
		}
		for line := range strings.Lines(kept.String()) {
			switch text := strings.TrimSpace(line); {
			case strings.HasPrefix(text, "=== "), test == "" && (text == "FAIL" || strings.HasPrefix(text, "FAIL\t")):
			default:
				fmt.Fprint(r.out, line)
			}
		}
	}
}

func (r *report) finish(took time.Duration) {
	slices.Sort(r.skips)
	for _, skip := range r.skips {
		fmt.Fprintln(r.out, "skip ", skip)
	}
	fmt.Fprintf(r.out, "%d tests in %d packages, %v: %d passed, %d failed, %d skipped\n",
		r.total.passed+r.total.failed+r.total.skipped, r.packages, took.Round(time.Second), r.total.passed, r.total.failed, r.total.skipped)
	if failed := r.packages - r.packagesOK; failed > 0 {
		fmt.Fprintf(r.out, "%d packages failed\n", failed)
	}
}
