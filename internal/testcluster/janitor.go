package testcluster

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

//go:embed janitor.sh
var janitorScript string

// janitor is the process that runs a cluster's JVMs and cleans up after them,
// whatever happens to this one.
type janitor struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when it said all that it will

	mu        sync.Mutex
	processes map[string]*process // by name, the latest of each
}

var errJanitorGone = errors.New("the process that runs the cluster's JVMs is gone: the cluster was closed, or it was killed")

// newJanitor starts a janitor over root. It inherits the reservation of the
// cluster's ports, so that they stay reserved until the JVMs are gone.
func newJanitor(root string, reservation *os.File) (*janitor, error) {
	j := &janitor{
		cmd:       exec.Command("sh", "-c", janitorScript, "rocketkit-janitor", root),
		done:      make(chan struct{}),
		processes: make(map[string]*process),
	}
	j.cmd.Dir = root
	j.cmd.SysProcAttr = ownGroup()
	j.cmd.ExtraFiles = []*os.File{reservation}
	var err error
	if j.stdin, err = j.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := j.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a shell to run the JVMs in: %w", err)
	}
	go j.listen(out)
	return j, nil
}

// start runs the script of the directory called name.
func (j *janitor) start(name string) (*process, error) {
	p := &process{started: make(chan struct{}), exited: make(chan struct{}), gone: j.done}
	j.mu.Lock()
	j.processes[name] = p
	_, err := io.WriteString(j.stdin, name+"\n")
	j.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errJanitorGone, err)
	}
	select {
	case <-p.started:
		return p, nil
	case <-j.done:
		return nil, errJanitorGone
	}
}

func (j *janitor) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word := strings.Fields(lines.Text())
		if len(word) != 3 {
			continue
		}
		j.mu.Lock()
		p := j.processes[word[0]]
		j.mu.Unlock()
		n, err := strconv.Atoi(word[2])
		if p == nil || err != nil {
			continue
		}
		switch word[1] {
		case "pid":
			p.pid = n
			close(p.started)
		case "exit":
			p.status = n
			close(p.exited)
		}
	}
	close(j.done)
}

// close kills what runs, removes the directory and waits for both.
func (j *janitor) close() error {
	j.stdin.Close()
	err := j.cmd.Wait()
	<-j.done
	if err == nil {
		return nil
	}
	// Something killed the janitor, which left its work to this process.
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.processes {
		select {
		case <-p.exited:
		default:
			if p.pid != 0 {
				_ = signalProcess(p.pid, signalKill) // it may be gone
			}
		}
	}
	return errors.Join(fmt.Errorf("clean up: %w", err), os.RemoveAll(j.cmd.Dir))
}

// process is one run of a JVM.
type process struct {
	started chan struct{}   // closed once pid is set
	exited  chan struct{}   // closed once status is set
	gone    <-chan struct{} // closed when nothing more will be known of it
	pid     int
	status  int
}

// wait returns when the process has ended; the error is ctx's.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.exited:
		return nil
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *process) over() bool {
	select {
	case <-p.exited:
		return true
	case <-p.gone:
		return true
	default:
		return false
	}
}

// signal sends to the JVM, or fails with os.ErrProcessDone.
func (p *process) signal(s syscall.Signal) error {
	if p.over() {
		return os.ErrProcessDone
	}
	return signalProcess(p.pid, s)
}
