package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/test/peer"
)

// command runs the operator's command line and returns its status with all it printed.
type command struct {
	path string
	env  []string
}

func newCommand(t *testing.T, on target, tenant string) command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rocketkit")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/rocketkit").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return command{path, []string{
		"HOME=" + os.Getenv("HOME"), "USER=ann", "ROCKETKIT_NAMESRV=" + strings.Join(on.servers, ";"), "ROCKETKIT_TENANT=" + tenant,
	}}
}

func (c command) run(t *testing.T, args ...string) (status int, printed string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), c.path, args...)
	run.Env = c.env
	text, err := run.CombinedOutput()
	if run.ProcessState == nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		t.Logf("rocketkit %s: status %d\n%s", strings.Join(args, " "), run.ProcessState.ExitCode(), text)
	}
	return run.ProcessState.ExitCode(), string(text)
}

// A pool is resized from the command line while it runs, and RocketMQ's own tool shows the new numbers. A Java member of
// the group can't follow, and is told apart.
func TestToolPoolSet(t *testing.T) {
	o := newTools(t)
	c := run(t, o.client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: nothing, Workers: 2}}})
	o.mqadmin([]string{`pool orders +: core=2 max=2 `, `settings +: rev=0`}, "consumerStatus", "-i", o.client.ID())
	rocketkit := newCommand(t, o.on, o.tenant)
	status, printed := rocketkit.run(t, "pool", "set", "-g", "billing", "-t", "orders", "--workers", "16", "--max", "32", "--for", "30m", "--yes")
	if status != 0 || !regexp.MustCompile(regexp.QuoteMeta(o.client.ID())+` +applied +\d\.\d\ds  orders 16 to 32\n`).MatchString(printed) {
		t.Fatalf("status %d, %s", status, printed)
	}
	o.mqadmin([]string{
		`pool orders +: core=16 max=32 active=0 waiting=0`, `PROP_THREADPOOL_CORE_SIZE +: 16`, `settings +: rev=\d{13} at=\S+ from="name servers" by="ann@`,
	}, "consumerStatus", "-i", o.client.ID())
	if got := c.Stats().Topics["orders"]; got.Workers != 16 || got.MaxWorkers != 32 {
		t.Errorf("%d to %d workers", got.Workers, got.MaxWorkers)
	}

	java := joinPeer(t, o.on, o.tenant, peer.Java, newTally())
	eventually(t, "the Java member is in the group", func() bool { return java.id() != "" })
	status, printed = rocketkit.run(t, "pool", "set", "-g", "billing", "--undo", "--yes")
	if status != 5 || !regexp.MustCompile(regexp.QuoteMeta(java.id())+` +without +\d\.\d\ds  another library, JAVA V\S+, which has none\n`).MatchString(printed) ||
		!strings.Contains(printed, "applied on 1 of 2 instances: 1 can't have settings from the name servers") {
		t.Errorf("status %d, %s", status, printed)
	}
	o.mqadmin([]string{`pool orders +: core=2 max=2 `}, "consumerStatus", "-i", o.client.ID())
}
