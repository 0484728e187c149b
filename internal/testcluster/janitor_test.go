//go:build unix

package testcluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// newTestJanitor runs a janitor over a directory of its own, whose programs are
// the scripts by name.
func newTestJanitor(t *testing.T, scripts map[string]string) *janitor {
	t.Helper()
	root := filepath.Join(t.TempDir(), "a cluster")
	for name, script := range scripts {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inherited, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	j, err := newJanitor(root, inherited)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func startTest(t *testing.T, j *janitor, name string) *process {
	t.Helper()
	p, err := j.start(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wantGone(t *testing.T, j *janitor, processes ...*process) {
	t.Helper()
	for _, p := range processes {
		await(t, "a process is gone", func() bool { return !alive(p.pid) })
		if !p.over() {
			t.Error("a process isn't known to be over")
		}
	}
	if _, err := os.Stat(j.cmd.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
}

const stubborn = "trap '' TERM HUP INT\necho up\nwhile :; do sleep 0.05; done"

func TestJanitorReportsHowAProcessEnded(t *testing.T) {
	t.Parallel()
	j := newTestJanitor(t, map[string]string{"seven": "echo said; exit 7", "killed": "exec sleep 60"})
	seven, killed := startTest(t, j, "seven"), startTest(t, j, "killed")
	if err := seven.wait(t.Context()); err != nil || seven.status != 7 {
		t.Errorf("status %d, %v; want 7", seven.status, err)
	}
	if err := seven.signal(signalKill); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to an ended process: %v", err)
	}
	said, err := os.ReadFile(filepath.Join(j.cmd.Dir, "seven", "log"))
	if err != nil || string(said) != "said\n" {
		t.Errorf("log %q, %v", said, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := killed.wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with an ended ctx: %v", err)
	}
	if err := killed.signal(signalKill); err != nil {
		t.Fatal(err)
	}
	if err := killed.wait(t.Context()); err != nil || killed.status != 128+int(syscall.SIGKILL) {
		t.Errorf("status %d, %v; want 137", killed.status, err)
	}
	if err := j.close(); err != nil {
		t.Error(err)
	}
	wantGone(t, j, seven, killed)
	if _, err := j.start("seven"); !errors.Is(err, errJanitorGone) {
		t.Errorf("start after close: %v", err)
	}
}

func TestJanitorKillsWhatIgnoresSignalsOrIsStopped(t *testing.T) {
	t.Parallel()
	j := newTestJanitor(t, map[string]string{"stubborn": stubborn, "stopped": stubborn, "late": stubborn})
	obstinate, stopped := startTest(t, j, "stubborn"), startTest(t, j, "stopped")
	for _, name := range []string{"stubborn", "stopped"} {
		await(t, name+" ignores signals", func() bool {
			said, _ := os.ReadFile(filepath.Join(j.cmd.Dir, name, "log"))
			return len(said) > 0
		})
	}
	if err := stopped.signal(signalPause); err != nil {
		t.Fatal(err)
	}
	late := startTest(t, j, "late") // no time to settle
	if err := j.close(); err != nil {
		t.Error(err)
	}
	wantGone(t, j, obstinate, stopped, late)
}

func TestKilledJanitorLeavesItsWorkToClose(t *testing.T) {
	t.Parallel()
	j := newTestJanitor(t, map[string]string{"stubborn": "exec sleep 60"})
	p := startTest(t, j, "stubborn")
	if err := syscall.Kill(j.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err == nil {
		t.Error("close doesn't tell")
	}
	wantGone(t, j, p)
}
