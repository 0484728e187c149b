package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/test/peer"
)

// Programs written for rocketmq-client-go, one for each of its features, do the same on Apache's transport and on the
// bridge. They run in processes of their own: with the tests' race detector client-go's own races would fail them.
func TestClientGoPrograms(t *testing.T) {
	t.Parallel()
	t.Run("mqtest", func(t *testing.T) {
		quick := mqtest.Config{TCP: true, TransactionTimeout: time.Second, TransactionCheckInterval: time.Second}
		testClientGoPrograms(t, target{"mqtest", mqtest.New(t, quick).Addresses()})
	})
	t.Run("real", func(t *testing.T) { testClientGoPrograms(t, target{"real", rocketmq.Cluster(t).NameServers()}) })
}

func testClientGoPrograms(t *testing.T, on target) {
	program, err := peer.Build(t.Context(), "clientgo-features", "./examples/clientgo")
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup // at once, as they mostly wait: for checks of transactions and for client-go's retries
	for _, transport := range []string{"apache", "bridge"} {
		both.Go(func() {
			cmd := exec.CommandContext(t.Context(), program, "-on", transport, "-run", runName(t))
			cmd.Env = append(os.Environ(), "ROCKETKIT_NAMESRV="+strings.Join(on.servers, ";"), "HOME="+t.TempDir())
			cmd.WaitDelay = time.Second
			out, err := cmd.CombinedOutput()
			if t.Logf("%s", out); err != nil {
				t.Errorf("on %s: %v", transport, err)
			}
		})
	}
	both.Wait()
}

// runName is part of names that no other run has.
func runName(t *testing.T) string {
	return tenantOf(t, "") + fmt.Sprint(time.Now().UnixMilli()%1_000_000)
}
