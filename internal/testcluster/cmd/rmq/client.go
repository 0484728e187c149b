//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

var errNothingRuns = errors.New("no cluster runs in this directory; `make up` starts one")

// up starts this program again as the server, in a session of its own so that no
// terminal takes it along, and waits until it says that its cluster is ready.
func up(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if state, err := ask(verbStatus); err == nil {
		return fmt.Errorf("a cluster runs here already (RocketMQ %s, name servers %s); `make down` ends it", state.Version, strings.Join(state.NameServers, ";"))
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	// The server's lock, tried here too for the sake of a plain message.
	unlock, err := testcluster.Lock(lockFile)
	if errors.Is(err, testcluster.ErrLocked) {
		return errors.New("a cluster is being started or ended here by another rmq; try again when it is done")
	}
	if err != nil {
		return err
	}
	unlock()
	cmd := exec.Command(self, append([]string{serveCommand}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })() // it may be gone
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var state state
		if answer, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
			if err := json.Unmarshal([]byte(answer), &state); err != nil {
				return err
			}
			fmt.Fprintf(stderr, "RocketMQ %s runs; `make down` ends it. Files and logs: %s\n", state.Version, state.Directory)
			return state.printVariables(stdout)
		}
		fmt.Fprintln(stderr, lines.Text())
	}
	if err := cmd.Wait(); ctx.Err() == nil {
		return fmt.Errorf("the cluster didn't start (%w)", err)
	}
	return ctx.Err()
}

func status(stdout io.Writer) error {
	state, err := ask(verbStatus)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "RocketMQ %s runs (process %d, files and logs: %s)\n", state.Version, state.Process, state.Directory)
	for _, broker := range state.Brokers {
		fmt.Fprintln(stdout, broker)
	}
	return state.printVariables(stdout)
}

func down(stdout io.Writer) error {
	state, err := ask(verbDown)
	if err == nil {
		fmt.Fprintf(stdout, "RocketMQ %s ended, its files are removed\n", state.Version)
		return nil
	}
	if !errors.Is(err, errNothingRuns) {
		return err
	}
	return sweep(stdout)
}

// sweep removes what a server that was killed left behind; its cluster ended with
// it.
func sweep(stdout io.Writer) error {
	if _, err := os.Stat(stateDir); os.IsNotExist(err) {
		fmt.Fprintln(stdout, "no cluster runs in this directory")
		return nil
	}
	unlock, err := testcluster.Lock(lockFile)
	if err != nil {
		return fmt.Errorf("a cluster is being started or ended here: %w", err)
	}
	defer unlock()
	fmt.Fprintln(stdout, "no cluster runs in this directory any more; its state is removed")
	return os.RemoveAll(stateDir)
}

// ask sends the server a verb and returns its state. To reach the server over its
// socket is what proves that it is ours: no process is looked up by number.
func ask(verb string) (state, error) {
	conn, err := net.Dial("unix", controlSocket)
	if err != nil {
		return state{}, errNothingRuns
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, verb); err != nil {
		return state{}, fmt.Errorf("ask the running cluster: %w", err)
	}
	var a answer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return state{}, fmt.Errorf("ask the running cluster: %w", err)
	}
	if a.Error != "" {
		return state{}, errors.New(a.Error)
	}
	return a.State, nil
}
