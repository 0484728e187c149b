package pool

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRingIsAQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r ring[int]
		var want []int
		var times []time.Duration
		next := 0
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now := time.Duration(step)
			if n := rapid.IntRange(-20, 40).Draw(t, "put or take"); n > 0 {
				items := make([]int, n)
				for i := range items {
					next++
					items[i] = next
					times = append(times, now)
				}
				r.push(items, now)
				want = append(want, items...)
			} else {
				for range min(-n, len(want)) {
					if put := r.oldest(); put != times[0] {
						t.Fatalf("the oldest is of %d, want %d", put, times[0])
					}
					if got := r.pop(); got != want[0] {
						t.Fatalf("took %d, want %d", got, want[0])
					}
					want, times = want[1:], times[1:]
				}
			}
			if r.len != len(want) {
				t.Fatalf("holds %d, want %d", r.len, len(want))
			}
		}
		if got := r.drain(); !slices.Equal(got, want) || r.len != 0 {
			t.Fatalf("drained %v, want %v", got, want)
		}
	})
}

func TestRingKeepsNoReferences(t *testing.T) {
	t.Parallel()
	var r ring[*int]
	r.push([]*int{new(int), new(int), new(int)}, 0)
	r.pop()
	r.pop()
	held := 0
	for _, s := range r.slots {
		if s.item != nil {
			held++
		}
	}
	if held != 1 {
		t.Errorf("%d references are held for 1 item", held)
	}
	r.drain()
	if r.slots != nil {
		t.Error("a drained ring holds its buffer")
	}
}

func TestRingAllocatesNothingInSteadyState(t *testing.T) {
	var r ring[*int]
	items := []*int{nil, nil, nil}
	r.push(items, 0)
	if n := testing.AllocsPerRun(1000, func() {
		r.push(items, 0)
		for range items {
			r.pop()
		}
	}); n != 0 {
		t.Errorf("%v allocations for each round", n)
	}
}

// What is withdrawn is out, in order; the rest stays in its order with its times, and the slots hold no reference.
func TestRingWithdraws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r ring[*int]
		var rest, times []int
		for i := range rapid.IntRange(0, 50).Draw(t, "items") {
			if r.push([]*int{&i}, time.Duration(i)); rapid.Bool().Draw(t, "pop") {
				r.pop()
			}
		}
		modulus := rapid.IntRange(1, 4).Draw(t, "modulus")
		before := r.len
		out := r.withdraw(func(i **int) bool { return **i%modulus == 0 })
		held := 0
		for _, s := range r.slots {
			if s.item != nil {
				held++
			}
		}
		if len(out)+r.len != before || held != r.len {
			t.Fatalf("%d of %d are out, %d are left in %d slots", len(out), before, r.len, held)
		}
		for k, i := range out {
			if *i%modulus != 0 || k > 0 && *i <= *out[k-1] {
				t.Fatalf("%d is out, at place %d", *i, k)
			}
		}
		for r.len > 0 {
			times = append(times, int(r.oldest()))
			rest = append(rest, *r.pop())
		}
		if !slices.IsSorted(rest) || !slices.Equal(rest, times) || slices.ContainsFunc(rest, func(i int) bool { return i%modulus == 0 }) {
			t.Fatalf("left: %v, put at %v", rest, times)
		}
	})
}
