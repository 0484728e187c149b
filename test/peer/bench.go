package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/test/peer/line"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

// Bench is a program that measures itself. It stays the same process over all measurements, so that they find it warm.
// Measure must not be called concurrently.
type Bench struct {
	process
	seq     int64
	answers map[string]line.Line
	marks   map[string]func()
}

// benchTimeout is how long requests of a measured library may take, rather than its 3 s: a busy machine mustn't end a run.
const benchTimeout = 20 * time.Second

// StartBench starts the library's program for measurements. jvm are flags; nil means a small heap and a quick start. Log
// and ctx are as in StartConsumer.
func (l Library) StartBench(ctx context.Context, nameServers, jvm []string, log io.Writer) (*Bench, error) {
	command, err := l.build(ctx, jvm, log)
	if err != nil {
		return nil, err
	}
	return StartBench(ctx, l.String(), append(command, "bench", flag("namesrv", strings.Join(nameServers, ";")), flag("timeout-ms", benchTimeout.Milliseconds())), log)
}

// StartBench starts another program that serves measurements; see meter.Serve.
func StartBench(ctx context.Context, name string, command []string, log io.Writer) (*Bench, error) {
	b := &Bench{process: process{name: name}, answers: map[string]line.Line{}, marks: map[string]func(){}}
	if err := b.start(ctx, command, log, b.on); err != nil {
		return nil, err
	}
	return b, nil
}

// on takes an event, under the process's lock.
func (b *Bench) on(e line.Line) {
	seq := e.Get("seq")
	switch e.Verb {
	case line.Mark:
		if mark := b.marks[seq]; mark != nil {
			mark()
		}
	case line.Measured, line.Failed:
		b.answers[seq] = e
	}
}

// Measure has the program measure what is named, with values as names and values that take turns, and waits for the
// figures. mark is called when the measured stretch begins and when it ends, soon after; it mustn't call the Bench. It may
// be nil.
func (b *Bench) Measure(ctx context.Context, mark func(), what string, values ...string) (meter.Figures, error) {
	b.mu.Lock()
	b.seq++
	seq := strconv.FormatInt(b.seq, 10)
	b.marks[seq] = mark
	b.mu.Unlock()
	l := line.New(line.Measure, append([]string{"what", what, "seq", seq}, values...)...)
	if err := b.command(l); err != nil {
		return meter.Figures{}, err
	}
	var answer line.Line
	err := b.Await(ctx, "the figures of "+what, func() (ok bool) {
		answer, ok = b.answers[seq]
		if ok {
			delete(b.answers, seq)
			delete(b.marks, seq)
		}
		return ok
	})
	if err == nil && answer.Verb == line.Failed {
		err = fmt.Errorf("peer: %s: measure %s: %w", b.name, what, errors.New(answer.Get("error")))
	}
	return meter.FiguresOf(answer), err
}
