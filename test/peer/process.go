package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/rocketkit/rocketkit/test/peer/line"
)

// process is a peer that runs. Its methods are safe for concurrent use.
type process struct {
	name  string // for errors: "java consumer of orders"
	cmd   *exec.Cmd
	stdin io.WriteCloser
	write sync.Mutex // held while a command is written

	ended chan struct{} // closed when the process is gone and all it said was read
	exit  error         // once ended is closed

	mu      sync.Mutex
	changed chan struct{} // closed by the next event; nil when nobody waits
	ready   bool
	client  string
}

// start runs a command. Every event goes to on, one after the other, under p.mu. It returns when the peer is ready.
func (p *process) start(ctx context.Context, command []string, log io.Writer, on func(line.Line)) error {
	p.cmd = exec.Command(command[0], command[1:]...) // not bound to ctx, which is for the start
	if log != nil {
		p.cmd.Stderr = log
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("peer: %s: %w", p.name, err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("peer: %s: %w", p.name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("peer: start %s: %w", p.name, err)
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		broken := p.read(stdout, on)
		if broken != nil {
			_ = p.cmd.Process.Kill() // it may have ended
		}
		p.exit = errors.Join(broken, p.cmd.Wait())
	}()
	if err := p.Await(ctx, "ready", func() bool { return p.ready }); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// read hands on what the peer says, until it says no more.
func (p *process) read(stdout io.Reader, on func(line.Line)) error {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(make([]byte, 1<<16), 64<<20) // a body of 4 MiB is up to three times that
	for lines.Scan() {
		l, err := line.Parse(lines.Text())
		if err != nil {
			return err
		}
		p.mu.Lock()
		if id := l.Get("client"); id != "" {
			p.client = id
		}
		p.ready = p.ready || l.Verb == line.Ready
		on(l)
		if p.changed != nil {
			close(p.changed)
			p.changed = nil
		}
		p.mu.Unlock()
	}
	return lines.Err()
}

// Await waits until done holds of what events have changed, looking again after each. done is called under the peer's lock and mustn't call its
// methods. When ctx ends or the process does before, the error says what for it waited.
func (p *process) Await(ctx context.Context, what string, done func() bool) error {
	for {
		p.mu.Lock()
		reached := done()
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-p.ended:
			p.mu.Lock()
			defer p.mu.Unlock()
			if done() {
				return nil
			}
			return fmt.Errorf("peer: %s: wait for %s: the process ended: %w", p.name, what, cmpErr(p.exit))
		case <-ctx.Done():
			return fmt.Errorf("peer: %s: wait for %s: %w", p.name, what, context.Cause(ctx))
		}
	}
}

func cmpErr(exit error) error {
	if exit == nil {
		return errors.New("exit status 0")
	}
	return exit
}

// ClientID returns the id by which brokers know the peer; empty while it isn't known. client-go's is learned from its
// first rebalance, and its producer's never.
func (p *process) ClientID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

// command writes a command.
func (p *process) command(l line.Line) error {
	p.write.Lock()
	defer p.write.Unlock()
	if _, err := io.WriteString(p.stdin, l.String()+"\n"); err != nil {
		return fmt.Errorf("peer: %s: %s: %w", p.name, l.Verb, err)
	}
	return nil
}

// Stop has the peer shut down as its library does, and waits until the process has ended. When ctx ends first, the
// process is killed. Nil for one that has ended in order before.
func (p *process) Stop(ctx context.Context) error {
	if err := p.command(line.New(line.Stop)); err != nil && !errors.Is(err, os.ErrClosed) {
		select {
		case <-p.ended: // a broken pipe is no news then
		case <-ctx.Done():
		}
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("peer: stop %s: %w", p.name, context.Cause(ctx))
	}
	_ = p.stdin.Close() // nobody reads it any more
	if p.exit != nil {
		return fmt.Errorf("peer: %s ended: %w", p.name, p.exit)
	}
	return nil
}

// Kill ends the process as a crash would, and waits until it is gone. It may have ended before.
func (p *process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
	_ = p.stdin.Close() // likewise
}

// PID returns the process's id.
func (p *process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process, such as those that freeze it and let it go on.
func (p *process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }
