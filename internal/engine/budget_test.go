package engine

import (
	"testing"
)

func newBudget(shared *allowance) *budget {
	return &budget{maxMessages: 10, maxBytes: 1000, shared: shared}
}

func newRoom() chan struct{} { return make(chan struct{}, 1) }

func woken(room chan struct{}) bool {
	select {
	case <-room:
		return true
	default:
		return false
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	t.Run("by count", func(t *testing.T) {
		b, room := newBudget(&allowance{max: 1 << 20}), newRoom()
		b.take(9, 9)
		if !b.admits(room) {
			t.Fatal("refused below the limit")
		}
		b.take(3, 3) // a block may go beyond
		if b.admits(room) {
			t.Fatal("admitted above the limit")
		}
		b.give(1, 1)
		b.give(1, 1)
		if woken(room) {
			t.Fatal("woken at the limit")
		}
		b.give(1, 1)
		if !woken(room) || !b.admits(room) {
			t.Fatal("not woken below the limit")
		}
	})
	t.Run("by bytes", func(t *testing.T) {
		b, room := newBudget(&allowance{max: 1 << 20}), newRoom()
		b.take(2, 1000)
		if b.admits(room) {
			t.Fatal("admitted at the limit")
		}
		b.give(1, 1)
		if !woken(room) || !b.admits(room) {
			t.Fatal("not woken below the limit")
		}
	})
	t.Run("all are woken", func(t *testing.T) {
		b := newBudget(&allowance{max: 1 << 20})
		rooms := []chan struct{}{newRoom(), newRoom(), newRoom()}
		b.take(10, 10)
		for _, room := range rooms {
			b.admits(room)
		}
		b.give(1, 1)
		for i, room := range rooms {
			if !woken(room) {
				t.Errorf("room %d was not woken", i)
			}
		}
	})
	t.Run("one message larger than all", func(t *testing.T) {
		b, room := newBudget(&allowance{max: 100}), newRoom()
		b.take(1, 5000)
		if b.admits(room) {
			t.Fatal("admitted above the limit")
		}
		b.give(1, 5000)
		if !woken(room) || !b.admits(room) {
			t.Fatal("not woken when empty")
		}
	})
	t.Run("held", func(t *testing.T) {
		b := newBudget(&allowance{max: 100})
		b.take(3, 30)
		b.give(1, 10)
		if messages, bytes := b.held(); messages != 2 || bytes != 20 {
			t.Fatalf("held %d messages of %d bytes", messages, bytes)
		}
	})
}

func TestBudgetSharedBytes(t *testing.T) {
	t.Parallel()
	shared := &allowance{max: 100}
	slow, other, room := newBudget(shared), newBudget(shared), newRoom()
	slow.take(2, 100) // all there is
	if slow.admits(room) {
		t.Fatal("admitted without shared bytes left")
	}
	if !other.admits(newRoom()) {
		t.Fatal("a topic that holds nothing must always be admitted: another holds all bytes")
	}
	other.take(1, 1)
	if other.admits(newRoom()) {
		t.Fatal("admitted again without shared bytes left")
	}
}

// TestBudgetSharedWake: a topic parked for want of shared bytes goes on when another topic gives them back; it must not
// wait for one of its own messages to finish, which may take its handler's whole time-out.
func TestBudgetSharedWake(t *testing.T) {
	t.Parallel()
	shared := &allowance{max: 100}
	greedy, modest, room := newBudget(shared), newBudget(shared), newRoom()
	greedy.take(5, 100)
	modest.take(1, 1) // its handler runs for minutes
	if modest.admits(room) {
		t.Fatal("admitted without shared bytes left")
	}
	greedy.give(5, 100)
	if !woken(room) {
		t.Fatal("parked for want of shared bytes, and not woken when another topic gave 100 back")
	}
}

// A topic's budget is for as many workers as there may be.
func TestBudgetFollowsMaxWorkers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for workers, want := range map[[2]int]int{{4, 0}: minCached, {4, 300}: 1200, {500, 0}: 2000, {500, 600}: 2400} {
		cfg := config((&got{}).handle)
		cfg.Topics["t"] = Topic{Workers: workers[0], MaxWorkers: workers[1], Handle: cfg.Topics["t"].Handle}
		if most := r.engine(cfg).topics[topicT].budget.maxMessages; most != want {
			t.Errorf("%d to %d workers: at most %d messages, want %d", workers[0], workers[1], most, want)
		}
	}
}
