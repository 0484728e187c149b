package ledger

import (
	"math/rand/v2"
	"testing"
	"time"
)

// at is a moment in milliseconds after an arbitrary one.
func at(ms int) time.Time { return time.UnixMilli(1_000_000_000_000 + int64(ms)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// book is a Ledger with short ways to write records: two keys, in a queue each.
type book struct{ *Ledger }

func newBook() book { return book{New(2)} }

func place(n int) Place { return Place{Broker: "b", Queue: n % 2, Offset: int64(n / 2)} }

func (b book) sent(n, ms int) { b.Sent(Sent{n, place(n), at(ms)}) }

// call enters a call of 2 ms.
func (b book) call(n, attempt, ms int, ok bool) {
	p := place(n)
	if attempt > 1 {
		p = Place{"b", 0, int64(1000 + n)} // in the retry topic
	}
	b.Handled(Handled{n, p, attempt, ok, at(ms), at(ms + 2)})
}

func (b book) ok(n, ms int) { b.call(n, 1, ms, true) }

// steady sends n messages, one each 10 ms, and handles each 5 ms later, but for those that skip names.
func (b book) steady(n int, skip ...int) {
	left := map[int]bool{}
	for _, s := range skip {
		left[s] = true
	}
	for i := range n {
		b.sent(i, 10*i)
		if !left[i] {
			b.ok(i, 10*i+5)
		}
	}
}

func TestNothingWrong(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(100)
	for _, order := range []Order{Unordered, ByQueue, ByKey} {
		f := b.Figures(Course{Order: order, Over: at(500)})
		want := Figures{Acknowledged: 100, Consumed: 100, Stall: 5 * time.Millisecond, QueueStall: 5 * time.Millisecond, Recovery: 0}
		f.Recovery = f.Recovery.Truncate(10 * time.Millisecond) // what was on its way
		if f != want {
			t.Errorf("order %q: %+v, want %+v", order, f, want)
		}
	}
	if n := b.Missing(); n != 0 {
		t.Errorf("%d are missing", n)
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(100, 17, 40, 41)
	b.call(41, 1, 500, false) // a failure is no success
	if n := b.Missing(); n != 3 {
		t.Errorf("%d are missing", n)
	}
	f := b.Figures(Course{Order: ByKey, Over: at(2000)})
	if f.Acknowledged != 100 || f.Consumed != 97 || f.Lost != 3 || f.Recovery != Never || f.OutOfOrder > 1 {
		t.Errorf("%+v", f)
	}
	if f.Stall > seconds(0.02) {
		t.Errorf("messages that nobody ever got count as a stall of %v", f.Stall)
	}
}

// A message that isn't acknowledged may be handled or not; it is never lost.
func TestUnacknowledged(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(10)
	b.ok(11, 200)
	f := b.Figures(Course{})
	if f.Acknowledged != 10 || f.Consumed != 10 || f.Lost != 0 || f.Unanswered != 1 || f.Duplicates != 0 {
		t.Errorf("%+v", f)
	}
	b.sent(11, 300) // the answer comes after the handler
	if f := b.Figures(Course{}); f.Acknowledged != 11 || f.Consumed != 11 || f.Unanswered != 0 || b.Missing() != 0 {
		t.Errorf("%+v", f)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(10)
	b.ok(3, 300)
	b.ok(3, 310)
	b.call(4, 2, 320, true) // sent back without anybody asking
	if f := b.Figures(Course{}); f.Duplicates != 3 || f.Consumed != 10 {
		t.Errorf("%+v", f)
	}
}

// What a failing handler has asked for is no duplicate; what comes twice after it is.
func TestRetriesAreNoDuplicates(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(10, 3, 4)
	b.call(3, 1, 35, false)
	b.call(3, 2, 1035, true)
	b.call(4, 1, 45, false)
	b.call(4, 1, 60, false) // by another member, from the same offset: so it is sent back twice
	b.call(4, 2, 1045, true)
	b.call(4, 2, 1060, true)
	f := b.Figures(Course{Over: at(100)})
	if f.Failed != 3 || f.Duplicates != 1 || f.Lost != 0 || f.Recovery != 947*time.Millisecond {
		t.Errorf("%+v", f)
	}
	if f.Stall > seconds(0.02) {
		t.Errorf("a wait for a retry counts as a stall of %v", f.Stall)
	}
}

// A send that was tried again may have stored the message twice. Each copy is delivered once, in order.
func TestStoredTwice(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(6)
	b.Handled(Handled{5, Place{"b", 1, 3}, 1, true, at(70), at(72)})
	if f := b.Figures(Course{Order: ByQueue}); f.StoredTwice != 1 || f.Duplicates != 0 || f.OutOfOrder != 0 {
		t.Errorf("%+v", f)
	}
	b.Handled(Handled{5, Place{"b", 1, 3}, 1, true, at(80), at(82)})
	if f := b.Figures(Course{}); f.StoredTwice != 1 || f.Duplicates != 1 {
		t.Errorf("%+v", f)
	}
}

func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handle func(b book)
		want   int
	}{
		"in order":                       {func(b book) { b.ok(0, 100); b.ok(2, 110); b.ok(4, 120) }, 0},
		"records in another order":       {func(b book) { b.ok(4, 120); b.ok(0, 100); b.ok(2, 110) }, 0},
		"one is late":                    {func(b book) { b.ok(2, 100); b.ok(4, 110); b.ok(0, 120) }, 2},
		"two are swapped":                {func(b book) { b.ok(0, 100); b.ok(4, 110); b.ok(2, 120) }, 1},
		"at the same time":               {func(b book) { b.ok(0, 100); b.ok(2, 101); b.ok(4, 110) }, 1},
		"repeated in order":              {func(b book) { b.ok(0, 100); b.ok(2, 110); b.ok(0, 120); b.ok(2, 130); b.ok(4, 140) }, 0},
		"a lost one":                     {func(b book) { b.ok(2, 100); b.ok(4, 110) }, 0},
		"retried in place":               {func(b book) { b.ok(0, 100); b.call(2, 1, 110, false); b.call(2, 2, 210, true); b.ok(4, 220) }, 0},
		"gone on before the retry":       {func(b book) { b.ok(0, 100); b.call(2, 1, 110, false); b.ok(4, 120); b.call(2, 2, 210, true) }, 1},
		"another key's":                  {func(b book) { b.ok(1, 90); b.ok(0, 100); b.ok(2, 110); b.ok(4, 120); b.ok(3, 111) }, 0},
		"a stopped process goes on late": {func(b book) { b.ok(0, 100); b.ok(2, 110); b.ok(4, 120); b.ok(2, 900) }, 0},
	} {
		for _, order := range []Order{ByKey, ByQueue} {
			t.Run(name+" by "+string(order), func(t *testing.T) {
				t.Parallel()
				b := newBook()
				for n := range 5 {
					b.sent(n, n)
				}
				test.handle(b)
				if f := b.Figures(Course{Order: order}); f.OutOfOrder != test.want {
					t.Errorf("%d out of order, want %d", f.OutOfOrder, test.want)
				}
				if f := b.Figures(Course{}); f.OutOfOrder != 0 {
					t.Errorf("%d out of order where nothing was promised", f.OutOfOrder)
				}
			})
		}
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(100, 41, 43, 45, 47, 49) // queue 1 rests from 397 ms to 900, queue 0 doesn't
	for i, n := range []int{41, 43, 45, 47, 49} {
		b.ok(n, 900+3*i)
	}
	for n := 51; n < 100; n += 2 { // nor is anything else of queue 1 handled meanwhile
		b.messages[n].calls = nil
		b.ok(n, 920+n)
	}
	f := b.Figures(Course{})
	if want := 490 * time.Millisecond; f.QueueStall < want || f.QueueStall > want+10*time.Millisecond {
		t.Errorf("a queue's stall is %v, want %v", f.QueueStall, want)
	}
	if f.Stall > 20*time.Millisecond { // which has something to do each 20 ms
		t.Errorf("stall %v, though another queue went on", f.Stall)
	}
}

// From 500 ms to 1,500 nothing is handled; the broker is away from 600 to 1,200.
func TestAbsenceIsNoStall(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(50)
	b.sent(50, 505)
	b.ok(50, 1500)
	for _, test := range []struct {
		away []Span
		want time.Duration
	}{
		{nil, 995 * time.Millisecond},
		{[]Span{{at(600), at(1200)}}, 395 * time.Millisecond},
		{[]Span{{at(0), at(1200)}}, 300 * time.Millisecond},
		{[]Span{{at(600), at(700)}, {at(1400), at(2000)}}, 795 * time.Millisecond},
		{[]Span{{at(0), at(2000)}}, 0},
	} {
		if f := b.Figures(Course{Away: test.away}); f.Stall != max(test.want, 5*time.Millisecond) && f.Stall != test.want {
			t.Errorf("stall %v with the broker away %v, want %v", f.Stall, test.away, test.want)
		}
	}
}

// Nothing to do is no stall.
func TestIdlenessIsNoStall(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.sent(0, 0)
	b.ok(0, 3)
	b.sent(1, 60_000)
	b.ok(1, 60_004)
	if f := b.Figures(Course{}); f.Stall != 4*time.Millisecond {
		t.Errorf("stall %v", f.Stall)
	}
}

// A reset wants messages again from offset 20 of queue 0 and 30 of queue 1.
func TestReset(t *testing.T) {
	t.Parallel()
	wanted := func(n int) bool { return n%2 == 0 && n >= 40 || n%2 == 1 && n >= 61 }
	for name, test := range map[string]struct {
		again func(n int) bool // what is handled again
		twice int              // is handled once more than that
		lost  int
		want  int // duplicates
	}{
		"again":                  {again: wanted, twice: -1},
		"one is missing":         {again: func(n int) bool { return wanted(n) && n != 60 }, twice: -1, lost: 1},
		"nothing came":           {again: func(int) bool { return false }, twice: -1, lost: 30 + 20},
		"more than was asked":    {again: func(n int) bool { return wanted(n) || n == 3 }, twice: -1, want: 1},
		"twice what was asked":   {again: wanted, twice: 70, want: 1},
		"a new message repeated": {again: wanted, twice: 120, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook()
			b.steady(100)
			b.Reset(Reset{Asked: at(1050), From: map[Place]int64{{"b", 0, 0}: 20, {"b", 1, 0}: 30}})
			now := 1100
			for n := range 100 {
				if test.again(n) {
					b.ok(n, now)
					now += 3
				}
			}
			for n := 100; n < 130; n++ { // what is sent after it
				b.sent(n, now)
				b.ok(n, now+1)
				now += 3
			}
			if test.twice >= 0 {
				b.ok(test.twice, now)
			}
			if n := b.Missing(); n != test.lost {
				t.Errorf("%d are missing, want %d", n, test.lost)
			}
			if f := b.Figures(Course{}); f.Lost != test.lost || f.Duplicates != test.want || f.Consumed != 130 {
				t.Errorf("%+v, want %d lost and %d duplicates", f, test.lost, test.want)
			}
		})
	}
}

// A reset that goes back less than the group lags goes forward for what waits: that is skipped, not lost.
func TestResetSkips(t *testing.T) {
	t.Parallel()
	b := newBook()
	b.steady(100, 38, 60, 99)
	b.Reset(Reset{Asked: at(1050), From: map[Place]int64{{"b", 0, 0}: 20, {"b", 1, 0}: 60}})
	for n := 40; n < 100; n += 2 {
		if n != 60 {
			b.ok(n, 1100+n)
		}
	}
	if n := b.Missing(); n != 1 {
		t.Errorf("%d are missing, want 60 alone", n)
	}
	if f := b.Figures(Course{}); f.Lost != 1 || f.Skipped != 2 || f.Acknowledged != 100 || f.Consumed != 97 {
		t.Errorf("%+v", f)
	}
	if lost, n := b.Lost(5); len(lost) != 1 || lost[0].Number != 60 || n[0] != 0 {
		t.Errorf("lost %v", lost)
	}
}

// Whatever was handled how often, in whatever order records come: the figures don't depend on the latter.
func TestFiguresDependOnNoOrderOfRecords(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var enter []func(b book)
		for n := range 60 {
			if random.IntN(10) > 0 {
				enter = append(enter, func(b book) { b.sent(n, 10*n) })
			}
			for range random.IntN(3) {
				ms, ok := 10*n+random.IntN(100), random.IntN(5) > 0
				enter = append(enter, func(b book) { b.call(n, 1, ms, ok) })
			}
		}
		var before Figures
		for i := range 5 {
			b := newBook()
			random.Shuffle(len(enter), func(i, j int) { enter[i], enter[j] = enter[j], enter[i] })
			for _, e := range enter {
				e(b)
			}
			f := b.Figures(Course{Order: ByKey, Over: at(300)})
			if i > 0 && f != before {
				t.Fatalf("%+v, in another order %+v", f, before)
			}
			before = f
			if missing := b.Missing(); missing != f.Lost {
				t.Errorf("%d are missing, %d lost", missing, f.Lost)
			}
		}
	}
}
