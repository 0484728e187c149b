package meter_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/test/peer/line"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMeterMeasuresBetweenItsMarks(t *testing.T) {
	t.Parallel()
	var marks sync.WaitGroup
	marks.Add(2)
	m := meter.New(100, 900, 1000, marks.Done)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 25 {
				m.Add(10)
			}
		})
	}
	f, err := m.Wait(t.Context())
	group.Wait()
	marks.Wait()
	if err != nil || f.Messages != 800 || f.Elapsed <= 0 || f.Rate() <= 0 {
		t.Errorf("%+v, %v", f, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	unfinished := meter.New(1, 2, 3, nil)
	unfinished.Add(2)
	if _, err := unfinished.Wait(ctx); err == nil || err.Error() != "2 of 3 messages: enough" {
		t.Errorf("unfinished: %v", err)
	}
}

// A block of messages that passes a mark counts from where it ends.
func TestMarksWithinABlock(t *testing.T) {
	t.Parallel()
	m := meter.New(10, 20, 20, nil)
	m.Add(12)
	m.Add(32)
	if f, err := m.Wait(t.Context()); err != nil || f.Messages != 32 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestFiguresPerMessage(t *testing.T) {
	t.Parallel()
	f := meter.Figures{Messages: 500_000, Elapsed: 2 * time.Second, CPU: 3 * time.Second, Allocations: 1_000_000}
	if f.Rate() != 250_000 || f.CPUPerMillion() != 6 || f.PerMessage() != 2 {
		t.Errorf("%v a second, %v s per million, %v a message", f.Rate(), f.CPUPerMillion(), f.PerMessage())
	}
	if f := (meter.Figures{}); f.Rate() != 0 || f.CPUPerMillion() != 0 || f.PerMessage() != 0 {
		t.Errorf("nothing is %v", f)
	}
	if got := meter.FiguresOf(f.Line("1")); got != f {
		t.Errorf("read back as %+v", got)
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	in, commands := io.Pipe()
	events, out := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- meter.Serve(in, out, map[string]meter.Measure{
			"well": func(_ context.Context, l line.Line, mark func()) (meter.Figures, error) {
				mark()
				return meter.Figures{Messages: l.Int("n")}, nil
			},
			"badly": func(context.Context, line.Line, func()) (meter.Figures, error) {
				return meter.Figures{}, errors.New("no luck")
			},
			"for ever": func(ctx context.Context, _ line.Line, mark func()) (meter.Figures, error) {
				mark()
				<-ctx.Done()
				return meter.Figures{}, context.Cause(ctx)
			},
		})
		out.Close()
	}()
	said := bufio.NewScanner(events)
	next := func() line.Line {
		if !said.Scan() {
			t.Fatalf("it said nothing more: %v", said.Err())
		}
		l, err := line.Parse(said.Text())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	tell := func(l line.Line) {
		if _, err := io.WriteString(commands, l.String()+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if l := next(); l.Verb != line.Ready {
		t.Errorf("it began with %v", l)
	}
	tell(line.New(line.Measure, "seq", "1", "what", "well", "n", "7"))
	if l := next(); l.Verb != line.Mark || l.Get("seq") != "1" {
		t.Errorf("said %v", l)
	}
	if l := next(); l.Verb != line.Measured || l.Get("seq") != "1" || meter.FiguresOf(l).Messages != 7 {
		t.Errorf("said %v", l)
	}
	tell(line.New(line.Measure, "seq", "2", "what", "badly"))
	if l := next(); l.Verb != line.Failed || !strings.Contains(l.Get("error"), "no luck") {
		t.Errorf("said %v", l)
	}
	tell(line.New(line.Measure, "seq", "3", "what", "for ever"))
	next()
	commands.Close() // the driver is gone
	if l := next(); l.Verb != line.Failed || l.Get("seq") != "3" {
		t.Errorf("said %v", l)
	}
	if said.Scan() {
		t.Errorf("said %s", said.Text())
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
