package engine

import (
	"testing"

	"pgregory.net/rapid"
)

// windowModel is a window that keeps everything it ever handed out.
type windowModel struct {
	offsets   []int64 // by ticket
	begun     map[uint64]bool
	done      map[uint64]bool
	running   int
	after     int64
	retired   bool
	discarded bool
	limit     uint64 // of what may begin, once retired
}

func (m *windowModel) floor() int64 {
	for ticket, offset := range m.offsets {
		if !m.done[uint64(ticket)] {
			return offset
		}
	}
	return m.after
}

func (m *windowModel) mayBegin(ticket uint64) bool {
	return !m.discarded && (!m.retired || ticket < m.limit)
}

func (m *windowModel) highest() uint64 {
	var highest uint64
	for ticket := range m.begun {
		highest = max(highest, ticket+1)
	}
	return highest
}

func (m *windowModel) idle() bool {
	if !m.retired || m.running > 0 {
		return false
	}
	if m.discarded {
		return true
	}
	return m.stillToBegin() == 0
}

// stillToBegin counts the tickets that a retired window lets begin and that haven't.
func (m *windowModel) stillToBegin() (n int) {
	if m.discarded {
		return 0
	}
	for ticket := range m.limit {
		if !m.begun[ticket] {
			n++
		}
	}
	return n
}

func (m *windowModel) held() int {
	for ticket := range m.offsets {
		if !m.done[uint64(ticket)] {
			return len(m.offsets) - ticket
		}
	}
	return 0
}

// TestWindowModel drives a window as workers that overtake one another do.
func TestWindowModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1000).Draw(t, "start")
		w := newWindow(start)
		m := &windowModel{begun: map[uint64]bool{}, done: map[uint64]bool{}, after: start}
		next := start
		var waiting, running []uint64
		var idle <-chan struct{}
		pick := func(from *[]uint64, label string) uint64 {
			i := rapid.IntRange(0, len(*from)-1).Draw(t, label)
			ticket := (*from)[i]
			*from = append((*from)[:i:i], (*from)[i+1:]...)
			return ticket
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				if m.discarded {
					t.Skip("nothing is added to a discarded window")
				}
				var block []int64
				for range rapid.IntRange(0, 100).Draw(t, "block") {
					next += rapid.Int64Range(0, 2).Draw(t, "gap") // filtered messages leave gaps
					block = append(block, next)
					waiting = append(waiting, uint64(len(m.offsets)+len(block)-1))
					next++
				}
				if first := w.extend(block, next); first != uint64(len(m.offsets)) {
					t.Fatalf("ticket %d, want %d", first, len(m.offsets))
				}
				m.offsets = append(m.offsets, block...)
				m.after = next
			},
			"begin": func(t *rapid.T) {
				if len(waiting) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, min(8, len(waiting)-1)).Draw(t, "which") // pools start items nearly in order
				ticket := waiting[i]
				waiting = append(waiting[:i:i], waiting[i+1:]...)
				want := m.mayBegin(ticket)
				if got := w.begin(ticket); got != want {
					t.Fatalf("begin(%d) = %v, want %v", ticket, got, want)
				}
				if want {
					m.begun[ticket] = true
					m.running++
					running = append(running, ticket)
				}
			},
			"finish": func(t *rapid.T) {
				if len(running) == 0 {
					t.Skip()
				}
				ticket := pick(&running, "which")
				before := m.floor()
				raised := w.finish(ticket)
				m.done[ticket] = true
				m.running--
				if want := m.floor() > before; raised != want {
					t.Fatalf("finish(%d) raised the floor: %v, want %v", ticket, raised, want)
				}
			},
			"abandon": func(t *rapid.T) {
				if len(running) == 0 {
					t.Skip()
				}
				pick(&running, "which")
				w.abandon()
				m.running--
			},
			"retire": func(*rapid.T) {
				if !m.retired {
					m.retired, m.limit = true, m.highest()
				}
				idle = w.retire()
			},
			"discard": func(*rapid.T) {
				m.retired, m.discarded = true, true
				w.discard()
				idle = w.retire()
			},
			"": func(t *rapid.T) {
				if got, want := w.floor(), m.floor(); got != want {
					t.Fatalf("floor %d, want %d", got, want)
				}
				if got, want := w.unfinished(), m.running+m.stillToBegin(); got != want {
					t.Fatalf("%d unfinished, want %d", got, want)
				}
				if got, want := w.held(), m.held(); got != want {
					t.Fatalf("%d held, want %d", got, want)
				}
				if idle != nil {
					closed := false
					select {
					case <-idle:
						closed = true
					default:
					}
					if closed != m.idle() {
						t.Fatalf("idle is %v, want %v", closed, m.idle())
					}
				}
			},
		})
	})
}

func TestWindowGrows(t *testing.T) {
	t.Parallel()
	w := newWindow(0)
	first := w.extend([]int64{0}, 1)
	for offset := int64(1); offset < 5000; offset++ {
		ticket := w.extend([]int64{offset}, offset+1)
		w.begin(ticket)
		w.finish(ticket)
	}
	if got := w.floor(); got != 0 {
		t.Fatalf("floor %d while the first message is unfinished, want 0", got)
	}
	w.begin(first)
	w.finish(first)
	if got := w.floor(); got != 5000 {
		t.Fatalf("floor %d with nothing unfinished, want 5000", got)
	}
	if got := w.held(); got != 0 {
		t.Fatalf("%d held, want 0", got)
	}
}

// TestWindowWithin: a parked loop is woken by the finish that may have made room, and only once it asked to be.
func TestWindowWithin(t *testing.T) {
	t.Parallel()
	w, room := newWindow(0), make(chan struct{}, 1)
	for offset := range int64(4) {
		w.begin(w.extend([]int64{offset}, offset+1))
	}
	if !w.within(5, room) {
		t.Fatal("4 tickets are not within 5")
	}
	w.finish(3)
	if len(room) != 0 {
		t.Fatal("woken without having parked")
	}
	if w.within(4, room) {
		t.Fatal("4 tickets are within 4")
	}
	w.finish(1) // makes no room, but the loop asks again
	if len(room) != 1 {
		t.Fatal("not woken")
	}
	<-room
	if w.within(4, room) {
		t.Fatal("still 4 from the oldest on")
	}
	w.finish(0)
	if len(room) != 1 || !w.within(4, room) {
		t.Fatal("not woken when there was room")
	}
}
