package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type key struct{}

var errStop = errors.New("stop")

// end ends the context now.
func (c *handlerContext) end() { c.endAt(time.Now()) }

// handlerContexts makes our context and the standard library's of the same parent and time-out.
func handlerContexts(timeout time.Duration) (ours *handlerContext, std context.Context, stdEnd context.CancelFunc, cancel context.CancelCauseFunc) {
	parent, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, "value"))
	ours = &handlerContext{Context: parent}
	if timeout > 0 {
		ours.deadline = time.Now().Add(timeout)
		std, stdEnd = context.WithTimeout(parent, timeout)
	} else {
		std, stdEnd = context.WithCancel(parent)
	}
	return ours, std, stdEnd, cancel
}

// TestHandlerContextAsStandard walks all short histories of a context through ours and the standard library's, and
// compares after every step what a handler may ask. (What nobody looked at in between can't be told apart later: which of
// a deadline and the parent's end came first. So every step is looked at.)
func TestHandlerContextAsStandard(t *testing.T) {
	t.Parallel()
	steps := []struct {
		name string
		do   func(c context.Context, end func(), cancel context.CancelCauseFunc)
	}{
		{"ask for Done", func(c context.Context, _ func(), _ context.CancelCauseFunc) { c.Done() }},
		{"derive", func(c context.Context, _ func(), _ context.CancelCauseFunc) { context.AfterFunc(c, func() {}) }},
		{"pass the deadline", func(context.Context, func(), context.CancelCauseFunc) { time.Sleep(time.Minute) }},
		{"end the parent", func(_ context.Context, _ func(), cancel context.CancelCauseFunc) { cancel(errStop) }},
		{"return", func(_ context.Context, end func(), _ context.CancelCauseFunc) { end() }},
	}
	var histories [][]int
	for a := range steps {
		for b := range steps {
			for c := range steps {
				histories = append(histories, []int{a, b, c})
			}
		}
	}
	for _, history := range histories {
		for _, timeout := range []time.Duration{time.Minute, 0} {
			var names []string
			for _, i := range history {
				names = append(names, steps[i].name)
			}
			t.Run(strings.Join(names, ", ")+" with "+timeout.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ours, std, stdEnd, cancel := handlerContexts(timeout)
					defer cancel(nil)
					defer ours.end()
					defer stdEnd()
					for _, i := range history {
						steps[i].do(ours, ours.end, cancel)
						if i != 2 && i != 3 { // the clock and the parent are shared
							steps[i].do(std, stdEnd, cancel)
						}
						synctest.Wait()
						if got, want := ours.Err(), std.Err(); got != want {
							t.Errorf("after %q: Err %v, the standard library's is %v", steps[i].name, got, want)
						}
						if got, want := context.Cause(ours), context.Cause(std); got != want {
							t.Errorf("after %q: cause %v, the standard library's is %v", steps[i].name, got, want)
						}
					}
					if got, want := ended(ours), ended(std); got != want {
						t.Errorf("Done closed: %v, the standard library's: %v", got, want)
					}
				})
			})
		}
	}
}

func ended(c context.Context) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// TestHandlerContextErrStays: once a context has ended, Err says the same for ever (package context).
func TestHandlerContextErrStays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first, then func(c *handlerContext, cancel context.CancelCauseFunc)
	}{
		"deadline, then drain": {
			func(*handlerContext, context.CancelCauseFunc) { time.Sleep(2 * time.Minute) },
			func(_ *handlerContext, cancel context.CancelCauseFunc) { cancel(nil) },
		},
		"return, then deadline": {
			func(c *handlerContext, _ context.CancelCauseFunc) { c.end() },
			func(*handlerContext, context.CancelCauseFunc) { time.Sleep(2 * time.Minute) },
		},
		"return, then Done": {
			func(c *handlerContext, _ context.CancelCauseFunc) { c.end() },
			func(c *handlerContext, _ context.CancelCauseFunc) { time.Sleep(2 * time.Minute); c.Done() },
		},
		"return, then drain": {
			func(c *handlerContext, _ context.CancelCauseFunc) { c.end() },
			func(_ *handlerContext, cancel context.CancelCauseFunc) { cancel(nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _, stdEnd, cancel := handlerContexts(time.Minute)
				defer cancel(nil)
				defer stdEnd()
				defer c.end()
				test.first(c, cancel)
				before := c.Err()
				if before == nil {
					t.Fatal("not ended")
				}
				test.then(c, cancel)
				if after := c.Err(); after != before {
					t.Errorf("Err was %v and is now %v", before, after)
				}
			})
		})
	}
}

// TestHandlerContextCause: a handler that ends with "return context.Cause(ctx)" once its time is over must not return
// nil: that would acknowledge a message it didn't handle.
func TestHandlerContextCause(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(c context.Context){
		"after Err":   func(c context.Context) { _ = c.Err() },
		"on its own":  func(context.Context) {},
		"after Done":  func(c context.Context) { <-c.Done() },
		"after Value": func(c context.Context) { c.Value(key{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _, stdEnd, cancel := handlerContexts(time.Minute)
				defer cancel(nil)
				defer stdEnd()
				defer c.end()
				time.Sleep(2 * time.Minute)
				before(c)
				if err := context.Cause(c); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("cause %v, want %v", err, context.DeadlineExceeded)
				}
			})
		})
	}
}

func TestHandlerContextDerived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, stdEnd, cancel := handlerContexts(time.Minute)
		defer cancel(nil)
		defer stdEnd()
		derived, stop := context.WithCancel(c)
		defer stop()
		longer, stopLonger := context.WithTimeout(c, time.Hour)
		defer stopLonger()
		called := make(chan struct{})
		context.AfterFunc(derived, func() { close(called) })
		if got := derived.Value(key{}); got != "value" {
			t.Errorf("value %v", got)
		}
		want, _ := c.Deadline()
		if got, ok := longer.Deadline(); !ok || !got.Equal(want) {
			t.Errorf("a derived context's deadline is %v, want %v", got, want)
		}
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		if !errors.Is(derived.Err(), context.DeadlineExceeded) || !errors.Is(longer.Err(), context.DeadlineExceeded) {
			t.Errorf("derived contexts end with %v and %v", derived.Err(), longer.Err())
		}
		<-called
		c.end()
	})
}

// TestHandlerContextEnds: what a handler leaves behind ends with it, as with the standard library's cancel.
func TestHandlerContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, stdEnd, cancel := handlerContexts(0)
		defer cancel(nil)
		defer stdEnd()
		if _, ok := c.Deadline(); ok {
			t.Error("a deadline without a time-out")
		}
		go func() { <-c.Done() }() // synctest fails when it stays
		synctest.Wait()
		c.end()
		if !errors.Is(c.Err(), context.Canceled) {
			t.Errorf("Err %v", c.Err())
		}
		late, stop := context.WithCancel(c)
		defer stop()
		if late.Err() == nil {
			t.Error("a context derived after the end has not ended")
		}
	})
}

// TestHandlerContextCheap: a handler that never asks for Done costs no timer and no channel.
func TestHandlerContextCheap(t *testing.T) {
	parent := context.WithValue(context.Background(), key{}, "value")
	if n := testing.AllocsPerRun(100, func() {
		c := &handlerContext{Context: parent, deadline: time.Now().Add(time.Minute)}
		if c.Err() != nil || c.Value(key{}) == nil {
			t.Error("ended")
		}
		c.end()
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
