package engine

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is shown of the last minute is what was added within its steps, whatever came before, between and behind.
func TestRecentTimes(t *testing.T) {
	t.Parallel()
	type added struct {
		at, took time.Duration
		ok       bool
	}
	rapid.Check(t, func(t *rapid.T) {
		var ok, failed int64
		s := newTimes(func() (int64, int64) { return ok, failed })
		var all []added
		now := time.Duration(0)
		for range rapid.IntRange(0, 80).Draw(t, "additions") {
			now += time.Duration(rapid.IntRange(0, 15_000).Draw(t, "ms")) * time.Millisecond
			if rapid.IntRange(0, 20).Draw(t, "pause") == 0 {
				now += time.Hour
			}
			a := added{now, time.Duration(rapid.IntRange(0, 5000).Draw(t, "took")) * time.Millisecond, rapid.Bool().Draw(t, "ok")}
			all = append(all, a)
			s.add(s.epoch.Add(now), a.took)
			if a.ok {
				ok++
			} else {
				failed++
			}
			now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "later")) * time.Millisecond
			oldest := time.Duration(max(int64(now/recentStep)-recentSteps+1, 0) * int64(recentStep))
			var want Times
			var wantOK, wantFailed int64
			for _, a := range all {
				if a.at < oldest {
					continue
				}
				want.Count++
				want.Mean += a.took
				want.Max = max(want.Max, a.took)
				if a.ok {
					wantOK++
				} else {
					wantFailed++
				}
			}
			if want.Count > 0 {
				want.Mean /= time.Duration(want.Count)
			}
			want.Over = now - oldest
			got, gotOK, gotFailed := s.recent(s.epoch.Add(now), s.epoch)
			if got != want || gotOK != wantOK || gotFailed != wantFailed {
				t.Fatalf("at %v: %+v with %d and %d, want %+v with %d and %d", now, got, gotOK, gotFailed, want, wantOK, wantFailed)
			}
		}
	})
}

// The time that rates are taken over begins with Run at the earliest, and nothing is divided by none.
func TestRecentBeginsWithRun(t *testing.T) {
	t.Parallel()
	s := newTimes(func() (int64, int64) { return 30, 0 })
	s.add(s.epoch.Add(8*time.Second), time.Millisecond)
	got, _, _ := s.recent(s.epoch.Add(9*time.Second), s.epoch.Add(6*time.Second))
	if got.Over != 3*time.Second || got.rate(30) != 10 || got.millis() != 1 {
		t.Errorf("%+v, a rate of %v, %v ms", got, got.rate(30), got.millis())
	}
	if rate := (Times{}).rate(5); rate != 0 {
		t.Errorf("a rate of %v over no time", rate)
	}
}

func TestTimesFromSeveralSides(t *testing.T) {
	t.Parallel()
	const sides, each = 8, 2000
	var ok atomic.Int64
	s := newTimes(func() (int64, int64) { return ok.Load(), 0 })
	var adding sync.WaitGroup
	for side := range sides {
		adding.Go(func() {
			for i := range each {
				s.add(s.epoch.Add(time.Duration(i)*time.Millisecond), time.Duration(side*each+i))
				ok.Add(1)
			}
		})
	}
	adding.Wait()
	now := s.epoch.Add(each * time.Millisecond)
	if got, oks, _ := s.recent(now, s.epoch); got.Count != sides*each || got.Max != sides*each-1 || oks != sides*each {
		t.Errorf("%+v, %d", got, oks)
	}
}

func TestHour(t *testing.T) {
	t.Parallel()
	var h hour
	begin := time.Unix(1_700_000_000, 0)
	for i := range 10_000 {
		h.add(begin.Add(time.Duration(i) * time.Second))
	}
	now := begin.Add(9_999 * time.Second)
	if n := h.sum(now); n < 3540 || n > 3600 {
		t.Errorf("%d in the last hour, one a second", n)
	}
	if n := h.sum(now.Add(30 * time.Minute)); n < 1740 || n > 1800 {
		t.Errorf("%d, half an hour later", n)
	}
	if n := h.sum(now.Add(2 * time.Hour)); n != 0 {
		t.Errorf("%d, two hours later", n)
	}
}
