package main

import (
	"slices"
	"testing"
	"time"
)

func TestClosest(t *testing.T) {
	t.Parallel()
	names := []string{"orders", "orders-eu", "refunds", "audit", "payments", "Orders2"}
	for name, want := range map[string][]string{
		"order":   {"orders", "Orders2"},
		"oredrs":  {"orders", "Orders2"},
		"ORDERS":  {"orders", "Orders2"},
		"refund":  {"refunds"},
		"adit":    {"audit"},
		"billing": nil,
		"":        nil,
	} {
		if got := closest(name, names); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := didYouMean("topic", "x", nil); got != "there are no topics" {
		t.Error(got)
	}
	if got := didYouMean("topic", "xxxxxxxx", slices.Repeat([]string{"a"}, 11)); got != "known topics: a, a, a, a, a, a, a, a, a, a and others" {
		t.Error(got)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		far  int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xbc", 1}, {"kitten", "sitting", 3}} {
		if got, back := distance(test.a, test.b), distance(test.b, test.a); got != test.far || back != test.far {
			t.Errorf("%s, %s: %d, %d, want %d", test.a, test.b, got, back, test.far)
		}
	}
}

// What is told for --for is what it takes.
func TestWhole(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1m", 89 * time.Second: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 47*time.Hour + 59*time.Minute + 50*time.Second: "48h",
		71*time.Hour + 59*time.Minute: "72h", 1000 * time.Hour: "1000h",
	} {
		if got := whole(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
		if _, _, err := parseFor(whole(d)); err != nil {
			t.Error(err)
		}
	}
}

// What others have written can't steer a terminal.
func TestClean(t *testing.T) {
	t.Parallel()
	if got := clean("ann\x1b[2J\r\u009b1m\u202e ä\n"); got != "ann\ufffd[2J\ufffd\ufffd1m\ufffd ä\n" {
		t.Errorf("%q", got)
	}
}
