//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// programVariable makes this test binary behave as the program.
const programVariable = "RMQ_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// place is a working directory to run the program in.
type place struct {
	dir string // with .cluster
	tmp string // with the clusters' files
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{dir: t.TempDir(), tmp: t.TempDir()}
	t.Cleanup(func() { _, _, _ = p.rmq(t, "down") })
	return p
}

func (p place) rmq(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), programVariable+"=1", "TMPDIR="+p.tmp)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

func (p place) must(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := p.rmq(t, args...)
	if err != nil {
		t.Fatalf("rmq %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

func (p place) wantEmpty(t *testing.T) {
	t.Helper()
	for _, dir := range []string{p.dir, p.tmp} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}

// state reads what the running server tells.
func (p place) state(t *testing.T) state {
	t.Helper()
	t.Chdir(p.dir)
	s, err := ask(verbStatus)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUpStatusDown(t *testing.T) {
	testcluster.Require(t)
	p := newPlace(t)
	exports := p.must(t, "up", "-autocreate")
	s := p.state(t)
	if want := "export ROCKETKIT_NAMESRV='" + s.NameServers[0] + "'\n"; exports != want {
		t.Errorf("up prints %q, want %q", exports, want)
	}
	if _, stderr, err := p.rmq(t, "up"); err == nil || !strings.Contains(stderr, "runs here already") {
		t.Errorf("a second up: %v, %q", err, stderr)
	}
	if told := p.must(t, "status"); !strings.Contains(told, exports) || !strings.Contains(told, "broker-0 "+s.Brokers[0][len("broker-0 "):]) {
		t.Errorf("status prints %q", told)
	}
	properties, err := os.ReadFile(filepath.Join(s.Directory, "broker-0", "properties"))
	if err != nil || !strings.Contains(string(properties), "autoCreateTopicEnable=true") {
		t.Errorf("-autocreate isn't in %s, %v", properties, err)
	}
	if told := p.must(t, "down"); !strings.Contains(told, "ended") {
		t.Errorf("down prints %q", told)
	}
	p.wantEmpty(t)
	if told := p.must(t, "down"); !strings.Contains(told, "no cluster runs") {
		t.Errorf("a second down prints %q", told)
	}
	if _, stderr, err := p.rmq(t, "status"); err == nil || !strings.Contains(stderr, "no cluster runs") {
		t.Errorf("status after down: %v, %q", err, stderr)
	}
}

func TestDownAfterTheServerWasKilled(t *testing.T) {
	testcluster.Require(t)
	p := newPlace(t)
	p.must(t, "up")
	s := p.state(t)
	if err := syscall.Kill(s.Process, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, err := os.Stat(s.Directory); err == nil; _, err = os.Stat(s.Directory) {
		if time.Now().After(deadline) {
			t.Fatal("the cluster outlives its server")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if told := p.must(t, "down"); !strings.Contains(told, "any more") {
		t.Errorf("down prints %q", told)
	}
	p.wantEmpty(t)
}

func TestUpThatFails(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, stderr, err := p.rmq(t, "up", "-brokers", "-1")
	if err == nil || !strings.Contains(stderr, "Brokers is -1") {
		t.Errorf("got %v, %q", err, stderr)
	}
	p.wantEmpty(t)
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for name, args := range map[string][]string{
		"nothing": nil, "unknown command": {"left"}, "unknown flag": {"up", "-nonsense"}, "argument": {"down", "now"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, stderr, err := p.rmq(t, args...); err == nil || stderr == "" {
				t.Errorf("got %v, %q", err, stderr)
			}
		})
	}
	p.wantEmpty(t)
}
