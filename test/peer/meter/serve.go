package meter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// Measure does the work that a command describes, calls mark when the measured stretch of it begins and when it ends,
// and returns what it took.
type Measure func(ctx context.Context, command line.Line, mark func()) (Figures, error)

// Serve obeys commands until it is told to stop or its input ends, which is also the end of the measurement that runs then;
// Serve waits for its return, but not for long.
func Serve(in io.Reader, out io.Writer, measures map[string]Measure) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := server{out: out}
	defer s.wait()
	defer cancel(errors.New("told to stop"))
	s.say(line.New(line.Ready))
	for lines := bufio.NewReaderSize(in, 1<<16); ; {
		text, err := lines.ReadString('\n')
		if err != nil {
			return nil // the driver is gone, which is an end like another
		}
		l, err := line.Parse(strings.TrimSuffix(text, "\n"))
		if err != nil {
			return err
		}
		if l.Verb == line.Stop {
			return nil
		}
		measure := measures[l.Get("what")]
		if l.Verb != line.Measure || measure == nil {
			return fmt.Errorf("no command %s %s", l.Verb, l.Get("what"))
		}
		s.running.Go(func() { s.measure(ctx, l, measure) })
	}
}

type server struct {
	running sync.WaitGroup
	mu      sync.Mutex // held over a write
	out     io.Writer
}

func (s *server) say(l line.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.out, l.String()+"\n") // whoever read it is gone
}

func (s *server) measure(ctx context.Context, l line.Line, measure Measure) {
	seq := l.Get("seq")
	f, err := measure(ctx, l, func() { s.say(line.New(line.Mark, "seq", seq)) })
	if err != nil {
		s.say(line.New(line.Failed, "seq", seq, "error", err.Error()))
		return
	}
	s.say(f.Line(seq))
}

// wait waits for the measurement that runs, but must not outlive the driver.
func (s *server) wait() {
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	}
}
