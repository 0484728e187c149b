package limiter

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// model is a limiter without timers, and without a notion of when somebody will be due: it counts what has come since it was last
// looked at, and lets those in line take of that.
type model struct {
	rate, tokens      float64 // rate 0: no limit
	burst             int
	paused, held      bool
	from, over, risen float64 // the ramp, in seconds; over 0: none
	short             bool
	waiting           []*caller
	at                time.Time
}

// caller is one call of WaitN: in the model and, with got, in truth.
type caller struct {
	n      int
	served bool // by the model
	got    chan error
	cancel context.CancelFunc
}

func (m *model) share() float64 {
	if m.over == 0 || m.risen >= m.over {
		return 1
	}
	return m.from + (1-m.from)*m.risen/m.over
}

// room is how many permits gather, for who has said that it comes back some more.
func (m *model) room(back bool) float64 {
	burst := float64(m.burst)
	if m.burst == 0 {
		burst = math.Floor(max(1, m.rate/40))
	}
	room := max(1, burst*m.share())
	if back {
		room = max(room, 1+m.rate*m.share()/40)
	}
	return room
}

// pass brings the model to the present.
func (m *model) pass() {
	passed := time.Since(m.at).Seconds()
	m.at = time.Now()
	if m.paused || passed == 0 {
		return
	}
	since, came := passed, 0.0
	if m.share() < 1 && !m.held { // what is left of the ramp comes at the mean of its shares
		rising, before := min(passed, m.over-m.risen), m.share()
		m.risen += rising
		came = rising * (before + m.share()) / 2 * m.rate
		passed -= rising
	}
	came += passed * m.share() * m.rate
	switch {
	case m.rate == 0:
	case len(m.waiting) > 0:
		m.tokens += came
		m.serve()
		if len(m.waiting) == 0 {
			m.tokens = min(m.tokens, m.room(m.short))
		}
	case m.tokens > m.room(m.short) && since > 0.025:
		m.tokens = m.room(m.short)
	default:
		m.tokens = max(m.tokens, min(m.tokens+came, m.room(m.short || m.tokens > m.room(m.short))))
	}
}

func (m *model) serve() {
	for len(m.waiting) > 0 && m.has(m.waiting[0].n) {
		m.take(m.waiting[0].n)
		m.waiting[0].served = true
		m.waiting = m.waiting[1:]
	}
}

func (m *model) has(n int) bool { return !m.paused && (m.rate == 0 || m.tokens+least >= float64(n)) }

func (m *model) take(n int) {
	if m.rate > 0 {
		m.tokens -= float64(n)
	}
}

// clamp takes away what has no room.
func (m *model) clamp() {
	room := m.room(m.short)
	if len(m.waiting) > 0 {
		room = max(room, float64(m.waiting[0].n)+m.rate*m.share()/40)
	}
	m.tokens = min(m.tokens, room)
}

// tested is a limiter beside its model.
type tested struct {
	*model
	l     *Limiter
	calls []*caller
}

func newTested(t *rapid.T) *tested {
	cfg := Config{Rate: drawRate(t), Burst: rapid.IntRange(0, 9).Draw(t, "burst")}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{rate: cfg.Rate, burst: cfg.Burst, at: time.Now()}
	m.tokens = m.room(false)
	return &tested{model: m, l: l}
}

func drawRate(t *rapid.T) float64 {
	return rapid.SampledFrom([]float64{1.0 / 60, 0.9, 3, 25, 100, 1777, 10_000, 0}).Draw(t, "rate")
}

// step does one thing to both.
func (c *tested) step(t *rapid.T) {
	n := rapid.IntRange(1, 12).Draw(t, "n")
	steps := []string{"wait", "wait", "wait", "sleep", "sleep", "sleep", "try", "take", "return", "cancel", "change", "change"}
	switch rapid.SampledFrom(steps).Draw(t, "step") {
	case "wait":
		c.wait(n)
	case "sleep":
		unit := rapid.SampledFrom([]time.Duration{time.Microsecond, time.Millisecond, time.Second}).Draw(t, "unit")
		time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "sleep")) * unit)
		c.pass()
	case "try":
		if got, want := c.l.TryTake(n), len(c.waiting) == 0 && c.has(n); got != want {
			t.Fatalf("TryTake(%d) = %t with %+v", n, got, c.model)
		} else if got {
			c.take(n)
		}
	case "take":
		c.takeSome(t, n)
	case "return":
		c.l.Return(n)
		if before := c.tokens; c.rate > 0 {
			c.tokens += float64(n)
			if c.serve(); len(c.waiting) == 0 {
				c.tokens = min(c.tokens, max(before, c.room(false)))
			}
		}
	case "cancel":
		if len(c.waiting) > 0 {
			c.cancel(rapid.IntRange(0, len(c.waiting)-1).Draw(t, "who"))
		}
	default:
		c.change(t)
	}
	synctest.Wait()
}

func (c *tested) wait(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	call := &caller{n: n, got: make(chan error, 1), cancel: cancel}
	go func() { call.got <- c.l.WaitN(ctx, n) }()
	c.calls = append(c.calls, call)
	c.waiting = append(c.waiting, call)
	if len(c.waiting) == 1 {
		c.serve()
	}
}

func (c *tested) takeSome(t *rapid.T, most int) {
	got, next := c.l.Take(most)
	if c.rate == 0 && !c.paused {
		if got != most || next != 0 {
			t.Fatalf("Take(%d) = %d, %v without a limit", most, got, next)
		}
		return
	}
	want := 0
	for want < most && len(c.waiting) == 0 && c.has(1) {
		c.take(1)
		want++
	}
	if c.short = got < most; got != want || (next == 0) != (len(c.waiting) == 0 && c.has(1)) {
		t.Fatalf("Take(%d) = %d, %v with %+v", most, got, next, c.model)
	}
}

func (c *tested) cancel(who int) {
	c.waiting[who].cancel()
	c.waiting = slices.Delete(c.waiting, who, who+1)
	if who == 0 {
		c.clamp()
		c.serve()
	}
}

func (c *tested) change(t *rapid.T) {
	var err error
	switch rapid.IntRange(0, 4).Draw(t, "change") {
	case 0:
		was := c.rate
		if c.rate = drawRate(t); c.rate == 0 {
			err = c.l.SetRate(math.Inf(1))
		} else {
			err = c.l.SetRate(c.rate)
		}
		if was == 0 && c.rate > 0 {
			c.tokens = c.room(false)
		}
		if c.rate != was {
			c.clamp()
		}
	case 1:
		c.burst = rapid.IntRange(0, 20).Draw(t, "burst")
		err = c.l.SetBurst(c.burst)
		c.clamp()
	case 2:
		if c.paused = !c.paused; c.paused {
			c.l.Pause()
		} else {
			c.l.Resume()
		}
	case 3:
		c.from = rapid.Float64Range(0.01, 1).Draw(t, "from")
		over := time.Duration(rapid.IntRange(0, 60_000).Draw(t, "over")) * time.Millisecond
		c.over, c.risen = over.Seconds(), 0
		err = c.l.Ramp(c.from, over)
		c.clamp()
	default:
		if c.held = !c.held; c.held {
			c.l.HoldRamp()
		} else {
			c.l.ReleaseRamp()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	c.serve()
}

// agree compares who was served and what there is.
func (c *tested) agree(t *rapid.T) {
	for i, call := range c.calls {
		if call.got == nil {
			continue
		}
		select {
		case err := <-call.got:
			call.got = nil
			if waits := slices.Contains(c.waiting, call); waits || call.served != (err == nil) {
				t.Fatalf("call %d for %d returned %v; in the model served %t, in line %t: %+v", i, call.n, err, call.served, waits, c.model)
			}
		default:
			if !slices.Contains(c.waiting, call) {
				t.Fatalf("call %d for %d still waits; the model has served it: %t, and is %+v", i, call.n, call.served, c.model)
			}
		}
	}
	s := c.l.Stats()
	if s.Waiters != len(c.waiting) || s.Paused != c.paused || s.Held != c.held || s.Rate != c.rate || math.Abs(s.Share-c.share()) > 1e-9 {
		t.Fatalf("%+v with %+v", s, c.model)
	}
	if c.rate > 0 && math.Abs(s.Tokens-c.tokens) > 1e-6 {
		t.Fatalf("%+v with %+v", s, c.model)
	}
}

// Whatever is done to a limiter, in any order: at any moment those have been served, and no others, that the model has served.
func TestLimiterDoesAsItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// Each check has a bubble of its own: in one around them all rapid would see its 24 hours pass, and end early.
		var failure any
		synctest.Test(t, func(*testing.T) {
			defer func() { failure = recover() }()
			c := newTested(rt)
			defer func() {
				for _, call := range c.calls {
					call.cancel()
				}
				synctest.Wait()
			}()
			for range rapid.IntRange(10, 150).Draw(rt, "steps") {
				c.step(rt)
				c.agree(rt)
			}
		})
		if failure != nil {
			panic(failure) // rapid's own way to fail
		}
	})
}
