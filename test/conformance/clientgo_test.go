package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Programs written for rocketmq-client-go, one for each of its features, do the same on Apache's transport and on the
// bridge. They run in processes of their own: with the tests' race detector client-go's own races would fail them.
func TestClientGoPrograms(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		program := clientGoProgram(t)
		for _, transport := range []string{"apache", "bridge"} {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				run := strings.ToLower(runName(t))
				cmd := exec.CommandContext(t.Context(), program, append([]string{"-on", transport, "-run", run}, clientGoFeatures(on, transport)...)...)
				cmd.Env = append(os.Environ(), "ROCKETKIT_NAMESRV="+strings.Join(on.servers, ";"), "HOME="+t.TempDir())
				cmd.WaitDelay = time.Second
				out, err := cmd.CombinedOutput()
				if t.Logf("%s", out); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// clientGoFeatures leaves out what a transport can't do on a target.
func clientGoFeatures(target, string) []string { return nil }

// runName is a name of this test's own.
func runName(t *testing.T) string { return filepath.Base(t.TempDir()) + "-" + time.Now().Format("150405.000")[7:] }

// clientGoProgram builds the programs once for all tests.
func clientGoProgram(t *testing.T) string {
	t.Helper()
	clientGoBuild.once.Do(func() {
		file := filepath.Join(os.TempDir(), "rocketkit-clientgo-"+filepath.Base(t.TempDir()))
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, "../../examples/clientgo")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("build: %v\n%s", err, out)
			return
		}
		clientGoBuild.file = file
	})
	return clientGoBuild.file
}

var clientGoBuild struct {
	once sync.Once
	file string
}
