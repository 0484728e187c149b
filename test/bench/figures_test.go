package main

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 100, 2, 1}, 3},
	} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("median has sorted its caller's %v", before)
		}
	}
}

// Turns are compared with those that followed them, not each median with the other: on a machine that slows down by half
// within the run, the ratio stays.
func TestRatios(t *testing.T) {
	t.Parallel()
	got := ratios([]float64{400, 300, 200, 1}, []float64{200, 150, 100})
	if !slices.Equal(got, []float64{2, 2, 2}) {
		t.Errorf("ratios %v", got)
	}
	if got := ratios([]float64{1, math.Inf(1)}, []float64{0, 1}); len(got) != 0 {
		t.Errorf("ratios of what can't be divided: %v", got)
	}
}

func TestFinding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f    finding
		want []string
	}{
		{finding{What: "a", AtLeast: 1.4, values: []float64{1, 1.5, 2}}, []string{"a", "1.50", "1.00", "2.00", ">= 1.40", "met"}},
		{finding{What: "b", AtLeast: 1.6, values: []float64{1, 1.5, 2}}, []string{"b", "1.50", "1.00", "2.00", ">= 1.60", "missed"}},
		{finding{What: "c", AtMost: 4, values: []float64{4.2}}, []string{"c", "4.20", "", "", "<= 4.00", "missed"}},
		{finding{What: "d", AtMost: 4, values: []float64{3.9}}, []string{"d", "3.90", "", "", "<= 4.00", "met"}},
		{finding{What: "e", values: []float64{3}}, []string{"e", "3.00", "", "", "", ""}},
	} {
		if got := c.f.filled().row(); !slices.Equal(got, c.want) {
			t.Errorf("row %q, want %q", got, c.want)
		}
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}
