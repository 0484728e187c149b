//go:build unix

package testcluster

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// owned is what the child process tells of its cluster.
type owned struct {
	Dir       string
	PIDs      []int
	Addresses []string
}

// owner is a process of its own, this test binary again, that owns a cluster and
// never ends by itself.
type owner struct{ cmd *exec.Cmd }

const ownerVariable = "TESTCLUSTER_OWNER"

func newOwner(t *testing.T) owner {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOwner$", "-test.v")
	cmd.Env = append(os.Environ(), ownerVariable+"=1", "TMPDIR="+t.TempDir())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return owner{cmd}
}

// cluster starts the process and returns what it owns.
func (o owner) cluster(t *testing.T) owned {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	o.cmd.ExtraFiles = []*os.File{write}
	out, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	o.cmd.Stdout, o.cmd.Stderr = out, out
	err = o.cmd.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	var told owned
	if err := json.NewDecoder(read).Decode(&told); err != nil {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("the owner told nothing: %v\n%s", err, said)
	}
	return told
}

func (o owner) kill(t *testing.T) {
	t.Helper()
	if err := o.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = o.cmd.Wait() // it was killed
}

// TestOwner is what the child process runs.
func TestOwner(t *testing.T) {
	if os.Getenv(ownerVariable) == "" {
		t.Skip("not a test: what TestKilledOwnerLeavesNothing runs in another process")
	}
	c := Run(t, Config{})
	told := owned{Dir: c.root, Addresses: c.addresses(), PIDs: []int{c.janitor.cmd.Process.Pid}}
	for _, n := range append(c.Brokers(), c.NameServer(0)) {
		told.PIDs = append(told.PIDs, n.process.Load().pid)
	}
	// The state that asks most of the janitor: a node that SIGTERM can't reach.
	if err := c.Broker(0).Pause(); err != nil {
		t.Fatal(err)
	}
	pipe := os.NewFile(3, "pipe")
	if err := json.NewEncoder(pipe).Encode(told); err != nil {
		t.Fatal(err)
	}
	<-make(chan struct{})
}
