package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

const (
	// RealVariable makes tests that need a real RocketMQ run when it is 1, and
	// fail where Java is missing. Anything else makes them skip.
	RealVariable = "ROCKETKIT_REAL"

	// LogsVariable names the directory for the logs of clusters whose tests
	// failed. Unset means rocketkit-logs below the temporary directory.
	LogsVariable = "ROCKETKIT_LOGS"
)

// Require skips the test unless RealVariable is 1.
func Require(t testing.TB) {
	t.Helper()
	if os.Getenv(RealVariable) != "1" {
		t.Skipf("skipped %s, which needs a real RocketMQ: run it by `make test`, or with %s=1 (Java and Maven needed)", t.Name(), RealVariable)
	}
}

// Run starts a cluster for one test and ends it with the test. It skips the test
// as Require does, and fails it where the cluster doesn't start. The servers' logs
// are kept when the test failed.
func Run(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	Require(t)
	if cfg.Log == nil {
		cfg.Log = os.Stderr
	}
	c, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.kept())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// kept keeps the logs and says where.
func (c *Cluster) kept() string {
	dir := os.Getenv(LogsVariable)
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "rocketkit-logs")
	}
	dir, err := c.KeepLogs(dir)
	if err != nil {
		return err.Error()
	}
	return "testcluster: RocketMQ's logs are in " + dir
}

// Suite is a cluster that a package's tests share: started when the first of them
// asks, ended after the last. Declare one per test package and give TestMain to
// it:
//
//	var rocketmq testcluster.Suite
//
//	func TestMain(m *testing.M) { rocketmq.Main(m) }
//
// The zero value shares a cluster of Config's zero value.
type Suite struct {
	Config Config // not to be changed once a test runs

	start   sync.Once
	cluster *Cluster
	failed  error
}

// Cluster returns the shared cluster, starting it if need be. It skips the test as
// Require does, and fails it where the cluster didn't start. A test that stops a
// node of the shared cluster must start it again; better it has its own, by Run.
func (s *Suite) Cluster(t testing.TB) *Cluster {
	t.Helper()
	Require(t)
	s.start.Do(func() {
		cfg := s.Config
		if cfg.Log == nil {
			cfg.Log = os.Stderr
		}
		s.failed = errors.New("testcluster: an earlier test was ended while it started the shared cluster")
		s.cluster, s.failed = Start(context.WithoutCancel(t.Context()), cfg)
	})
	if s.failed != nil {
		t.Fatal(s.failed)
	}
	return s.cluster
}

// Main runs the tests, ends the shared cluster, checks that no goroutine is left
// (goleak) and exits. The servers' logs are kept when a test failed.
func (s *Suite) Main(m *testing.M, options ...goleak.Option) {
	goleak.VerifyTestMain(running{s, m}, options...)
}

// running is the tests and then the end of their cluster, as one to goleak.
type running struct {
	suite *Suite
	tests *testing.M
}

func (r running) Run() int {
	code := r.tests.Run()
	c := r.suite.cluster
	if c == nil {
		return code
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, c.kept())
	}
	if err := c.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
