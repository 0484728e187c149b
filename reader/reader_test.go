package reader_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/reader"
)

// world is a cluster in a bubble, and a client of tenant red.
type world struct {
	*mqtest.Cluster
	t      *testing.T
	client *rocketkit.Client
	logged *page
}

// inBubble runs a test in a bubble with a cluster whose topic "orders" has two queues on each broker.
func inBubble(t *testing.T, cfg mqtest.Config, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg.Topics = map[string]int{"red%orders": 2}
		w := &world{t: t, logged: &page{}, Cluster: mqtest.New(t, cfg)}
		settings := w.Config()
		settings.Tenant = "red"
		settings.Logger = slog.New(slog.NewTextHandler(w.logged, nil))
		var err error
		if w.client, err = rocketkit.Open(settings); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.client.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		test(w)
	})
}

func (w *world) reader(cfg reader.Config) *reader.Reader {
	w.t.Helper()
	cfg.Topic = "orders"
	r, err := reader.New(w.client, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// send sends bodies by turns to the queues and gives their number.
func (w *world) send(messages ...producer.Message) {
	w.t.Helper()
	p, err := producer.New(w.client, producer.Config{Group: "sender"})
	if err != nil {
		w.t.Fatal(err)
	}
	defer p.Close(w.t.Context())
	for _, m := range messages {
		m.Topic = "orders"
		if _, err := p.Send(w.t.Context(), m); err != nil {
			w.t.Fatal(err)
		}
	}
}

// end is one past the newest message of a queue.
func (w *world) end(q rocketkit.Queue) int64 {
	q.Topic = "red%orders"
	return w.Offsets("none", "red%orders")[q].Max
}

func numbered(from, to int) (messages []producer.Message) {
	for i := from; i < to; i++ {
		messages = append(messages, producer.Message{Body: fmt.Appendf(nil, "%d", i)})
	}
	return messages
}

// read gives the bodies of the next n messages, after checking that each queue's come in order and without a gap.
func read(t *testing.T, r *reader.Reader, n int) map[string]bool {
	t.Helper()
	bodies := map[string]bool{}
	next := r.Positions()
	for m, err := range r.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := next[m.Queue()]; ok && m.Offset() != at {
			t.Errorf("queue %s: offset %d came, want %d", m.Queue(), m.Offset(), at)
		}
		next[m.Queue()] = m.Offset() + 1
		if got := r.Positions()[m.Queue()]; got != m.Offset()+1 {
			t.Errorf("position %d within the turn of offset %d", got, m.Offset())
		}
		if bodies[string(m.Body())] {
			t.Errorf("%s came twice", m.Body())
		}
		bodies[string(m.Body())] = true
		if len(bodies) == n {
			break
		}
	}
	return bodies
}

func want(t *testing.T, got map[string]bool, messages []producer.Message) {
	t.Helper()
	for _, m := range messages {
		if !got[string(m.Body)] {
			t.Errorf("%s is missing", m.Body)
		}
	}
	if len(got) != len(messages) {
		t.Errorf("%d messages, want %d", len(got), len(messages))
	}
}

// A reader reads all queues, and nothing on the brokers tells that it was there.
func TestReadsAllAndLeavesNothing(t *testing.T) {
	inBubble(t, mqtest.Config{Brokers: 2, RequireGroups: true}, func(w *world) {
		before := fmt.Sprint(w.Groups(), w.Topics())
		all := numbered(0, 300)
		w.send(all...)
		r := w.reader(reader.Config{Start: reader.Earliest()})
		want(w.t, read(w.t, r, 300), all)
		if after := fmt.Sprint(w.Groups(), w.Topics()); after != before {
			w.t.Errorf("groups and topics were %s, are %s", before, after)
		}
		for q, at := range w.Offsets("TOOLS_CONSUMER", "red%orders") {
			if at.Committed != -1 {
				w.t.Errorf("%v: committed %d", q, at.Committed)
			}
		}
	})
}

// Positions are where another reader, or a later loop over the same one, goes on, without a gap or a repetition.
func TestGoesOnAtPositions(t *testing.T) {
	inBubble(t, mqtest.Config{Brokers: 2}, func(w *world) {
		all := numbered(0, 200)
		w.send(all...)
		first := w.reader(reader.Config{Start: reader.Earliest()})
		got := read(w.t, first, 33)
		checkpoint := first.Positions()
		if len(checkpoint) != 4 {
			w.t.Fatalf("positions of %d queues: %v", len(checkpoint), checkpoint)
		}
		maps.Copy(got, read(w.t, first, 67))
		maps.Copy(got, read(w.t, w.reader(reader.Config{Positions: first.Positions()}), 100))
		want(w.t, got, all)
		if again := read(w.t, w.reader(reader.Config{Positions: checkpoint}), 167); len(again) != 167 {
			w.t.Errorf("%d messages from the checkpoint", len(again))
		}
	})
}

// Each start begins where it says.
func TestStarts(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		old, middle, late := numbered(0, 10), numbered(10, 20), numbered(20, 30)
		w.send(old...)
		time.Sleep(time.Hour)
		since := time.Now()
		w.send(middle...)
		latest := w.reader(reader.Config{})
		done := make(chan map[string]bool)
		go func() { done <- read(w.t, latest, 10) }()
		<-latest.Ready()
		w.send(late...)
		want(w.t, <-done, late)
		want(w.t, read(w.t, w.reader(reader.Config{Start: reader.At(since)}), 20), append(middle, late...))
		want(w.t, read(w.t, w.reader(reader.Config{Start: reader.Earliest()}), 30), append(append(old, middle...), late...))
	})
}

// The end of the context ends the loop without an error, at once although pulls are held, and leaves no goroutine (the
// bubble would not end).
func TestContextEndsTheLoop(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		r := w.reader(reader.Config{})
		ctx, cancel := context.WithTimeout(w.t.Context(), 7*time.Second)
		defer cancel()
		began := time.Now()
		for _, err := range r.Messages(ctx) {
			w.t.Errorf("a turn with error %v", err)
		}
		if took := time.Since(began); took != 7*time.Second {
			w.t.Errorf("the loop took %v", took)
		}
	})
}

// Chosen queues alone are read; Positions name the rest of the start.
func TestChosenQueues(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		w.send(numbered(0, 40)...)
		one := rocketkit.Queue{Topic: "orders", Broker: "broker-a", ID: 1}
		r := w.reader(reader.Config{Queues: []rocketkit.Queue{one}, Positions: map[rocketkit.Queue]int64{one: 5}})
		for m, err := range r.Messages(w.t.Context()) {
			if err != nil || m.Queue() != one || m.Offset() < 5 || m.Topic() != "orders" {
				w.t.Fatal(err, m)
			}
			if m.Offset() == w.end(one)-1 {
				break
			}
		}
		if got := r.Positions(); len(got) != 1 || got[one] != w.end(one) {
			w.t.Errorf("positions %v", got)
		}
	})
}

// Seek drops what was received, also while a pull is held, and forwards as well as back.
func TestSeek(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		w.send(numbered(0, 200)...)
		q := rocketkit.Queue{Topic: "orders", Broker: "broker-a", ID: 0}
		r := w.reader(reader.Config{Queues: []rocketkit.Queue{q}})
		if err := r.Seek(q, 40); err != nil { // before the queue was met
			w.t.Fatal(err)
		}
		end := w.end(q)
		var offsets []int64
		ctx, cancel := context.WithCancel(w.t.Context())
		defer cancel()
		for m, err := range r.Messages(ctx) {
			if err != nil {
				w.t.Fatal(err)
			}
			offsets = append(offsets, m.Offset())
			seek := int64(-1)
			switch len(offsets) {
			case 2:
				seek = 3
			case 4:
				seek = end - 2
			case 6: // nothing is left: the next pull is held when the other goroutine seeks
				go func() {
					synctest.Wait()
					if err := r.Seek(q, end-1); err != nil {
						w.t.Error(err)
					}
				}()
			case 7:
				cancel()
			}
			if seek >= 0 {
				if err := r.Seek(q, seek); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		if want := []int64{40, 41, 3, 4, end - 2, end - 1, end - 1}; !slices.Equal(offsets, want) {
			w.t.Errorf("offsets %v, want %v", offsets, want)
		}
		for _, bad := range []rocketkit.Queue{{Topic: "refunds", Broker: "broker-a"}, {Topic: "orders", Broker: "broker-a", ID: 1}} {
			if err := r.Seek(bad, 0); !errors.Is(err, rocketkit.ErrConfig) {
				w.t.Errorf("seek in %s: %v", bad, err)
			}
		}
	})
}

// Only wanted tags come, those with the same hash are left out, and positions pass over what was filtered away, so that
// a checkpoint doesn't stay behind and a buffer doesn't fill.
func TestTags(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		for i := range 2000 { // "Aa" and "BB" have one hash
			w.send(producer.Message{Tag: []string{"Aa", "BB", "other"}[i%3], Body: fmt.Appendf(nil, "%d", i)})
		}
		r := w.reader(reader.Config{Start: reader.Earliest(), Tags: []string{"Aa"}})
		if got := readGaps(w.t, r, 667); len(got) != 667 {
			w.t.Errorf("%d messages", len(got))
		}
		none := w.reader(reader.Config{Start: reader.Earliest(), Tags: []string{"never"}})
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		for m, err := range none.Messages(ctx) {
			w.t.Fatal(m, err)
		}
		for _, q := range none.Stats().Queues {
			if q.Position != w.end(q.Queue) || q.Lag != 0 {
				w.t.Errorf("%+v", q)
			}
		}
	})
}

// readGaps is read where offsets have gaps.
func readGaps(t *testing.T, r *reader.Reader, n int) (bodies []string) {
	t.Helper()
	for m, err := range r.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if bodies = append(bodies, string(m.Body())); len(bodies) == n {
			break
		}
	}
	return bodies
}

// page holds what is logged.
type page struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) count(text string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.text.String(), text)
}
