package main

import (
	"strings"
	"testing"
	"time"
)

func TestAlign(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	align(&b, [][]string{
		{"", "messages/s", "", "its own"},
		{"", "median", "min", "CPU"},
		{"bare", "1,000,000", "9", ""},
		{"client-go", "7", "", "0.5"},
	})
	want := `                 messages/s  its own
                median  min      CPU
  bare       1,000,000    9
  client-go          7           0.5
`
	if b.String() != want {
		t.Errorf("aligned as\n%s, want\n%s", b.String(), want)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	turns := func(rates ...int64) (all []turn) {
		for _, rate := range rates {
			all = append(all, turn{
				Figures: figures{Messages: 2 * rate, Elapsed: 2 * time.Second, CPU: time.Duration(rate) * 4 * time.Microsecond, Allocations: 5 * rate, RSS: 12e6},
				Broker:  time.Duration(rate) * 6 * time.Microsecond,
			})
		}
		return all
	}
	one := table{Name: "consume", Title: "consume, so many messages", Results: []result{
		{"rocketkit", "16 workers", turns(300_000, 280_000, 310_000)},
		{"java", "20 threads", turns(150_000, 200_000, 100_000)},
	}}
	one.compare("rocketkit", "java", 2.5)
	r := report{Machine: "a machine", Took: "1s", Tables: []table{one.filled()}}
	var b strings.Builder
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `a machine

consume, so many messages
  rocketkit  16 workers
  java       20 threads

                   messages/s           CPU s per million  allocations        MB
              median      min      max  its own  broker's    a message  resident
  rocketkit  300,000  280,000  310,000     2.00      3.00         2.50        12
  java       150,000  100,000  200,000     2.00      3.00         2.50        12

what it comes to

                             median   min   max   wanted
  consume, rocketkit / java    2.00  1.40  3.10  >= 2.50  missed

ratios are of turns that followed each other; it took 1s
`
	if b.String() != want {
		t.Errorf("it printed\n%s\nwant\n%s", b.String(), want)
	}
}
