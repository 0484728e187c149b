//go:build unix

package testcluster

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
)

var suite Suite

func TestMain(m *testing.M) { suite.Main(m) }

const (
	codeCreateTopic = 17  // RequestCode.UPDATE_AND_CREATE_TOPIC
	codeRoute       = 105 // RequestCode.GET_ROUTEINFO_BY_TOPIC
)

// request fails the test unless the server answers with success.
func request(t *testing.T, address string, code int32, fields ...frame.Field) *frame.Frame {
	t.Helper()
	answer, err := ask(t.Context(), nil, address, &frame.Frame{Code: code, Opaque: 7, Fields: fields})
	if err != nil {
		t.Fatalf("request %d to %s: %v", code, address, err)
	}
	if answer.Code != 0 {
		t.Fatalf("request %d to %s: code %d: %s", code, address, answer.Code, answer.Remark)
	}
	return answer
}

func createTopic(t *testing.T, broker *Node, topic string) {
	t.Helper()
	request(t, broker.Address(), codeCreateTopic,
		frame.Field{Key: "topic", Value: topic}, frame.Field{Key: "defaultTopic", Value: "TBW102"},
		frame.Field{Key: "readQueueNums", Value: "4"}, frame.Field{Key: "writeQueueNums", Value: "4"},
		frame.Field{Key: "perm", Value: "6"}, frame.Field{Key: "topicFilterType", Value: "SINGLE_TAG"},
		frame.Field{Key: "topicSysFlag", Value: "0"}, frame.Field{Key: "order", Value: "false"})
}

// wantRoute waits until a name server routes the topic to the broker.
func wantRoute(t *testing.T, nameServer, topic string, broker *Node) {
	t.Helper()
	await(t, nameServer+" routes "+topic+" to "+broker.Name(), func() bool {
		answer, err := ask(t.Context(), nil, nameServer, &frame.Frame{Code: codeRoute, Opaque: 7, Fields: frame.Fields{{Key: "topic", Value: topic}}})
		return err == nil && answer.Code == 0 && bytes.Contains(answer.Body, []byte(`"`+broker.Address()+`"`))
	})
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// await waits until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("still not so: %s", what)
		case <-tick.C:
		}
	}
}

func wantPortsFree(t *testing.T, addresses []string) {
	t.Helper()
	for _, address := range addresses {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Errorf("port %s isn't free: %v", port, err)
			continue
		}
		listener.Close()
	}
}

// addresses returns all that a cluster listens on.
func (c *Cluster) addresses() []string {
	all := []string{loopback(c.ports.base)}
	all = append(all, c.NameServers()...)
	for i, n := range c.Brokers() {
		port := c.ports.broker(i)
		all = append(all, n.Address(), loopback(port-2), loopback(port+1))
	}
	return all
}

func TestNodeKeepsItsStoreOverStopAndKill(t *testing.T) {
	t.Parallel() // runs when the other tests of the shared cluster are over
	c := suite.Cluster(t)
	broker := c.Broker(0)
	createTopic(t, broker, "orders")
	wantRoute(t, c.NameServers()[0], "orders", broker)

	for _, end := range []struct {
		name string
		call func() error
	}{
		{"stop", func() error { return broker.Stop(within(t, 2*time.Minute)) }},
		{"kill", broker.Kill},
	} {
		t.Run(end.name, func(t *testing.T) {
			if err := end.call(); err != nil {
				t.Fatal(err)
			}
			if broker.Running() {
				t.Error("it runs on")
			}
			if err := serves(t.Context(), nil, broker.Address()); err == nil {
				t.Error("it answers still")
			}
			if err := end.call(); err != nil {
				t.Errorf("ending what doesn't run: %v", err)
			}
			if err := broker.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantRoute(t, c.NameServers()[0], "orders", broker)
		})
	}
}

func TestStartOfWhatRuns(t *testing.T) {
	c := suite.Cluster(t)
	if err := c.Broker(0).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "broker-0: it runs") {
		t.Errorf("got %v", err)
	}
	if !c.Broker(0).Running() {
		t.Error("it doesn't run any more")
	}
}

func TestPausedNodeDoesNotAnswer(t *testing.T) {
	c := suite.Cluster(t)
	broker := c.Broker(0)
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := serves(ctx, nil, broker.Address()); err == nil {
		t.Error("a paused broker answers")
	}
	if err := broker.Resume(); err != nil {
		t.Fatal(err)
	}
	await(t, "the resumed broker answers", func() bool { return serves(t.Context(), nil, broker.Address()) == nil })
}

func TestAdminSeesTheCluster(t *testing.T) {
	c := suite.Cluster(t)
	printed, err := c.Admin(within(t, time.Minute), "clusterList")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{ClusterName, "broker-0", c.Broker(0).Address()} {
		if !strings.Contains(printed, want) {
			t.Errorf("no %s in mqadmin's\n%s", want, printed)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.root, "admin-*")); len(left) > 0 {
		t.Errorf("mqadmin left %v", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Admin(ctx, "clusterList"); err == nil {
		t.Error("a canceled command succeeds")
	}
}

func TestTwoOfEach(t *testing.T) {
	t.Parallel()
	c := Run(t, Config{NameServers: 2, Brokers: 2})
	for _, nameServer := range c.NameServers() {
		if err := knows(t.Context(), nil, nameServer, []string{c.Broker(0).Address(), c.Broker(1).Address()}); err != nil {
			t.Error(err)
		}
	}
	createTopic(t, c.Broker(1), "payments")
	wantRoute(t, c.NameServers()[1], "payments", c.Broker(1))

	if err := c.NameServer(1).Kill(); err != nil {
		t.Fatal(err)
	}
	wantRoute(t, c.NameServers()[0], "payments", c.Broker(1))
	if err := c.NameServer(1).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRoute(t, c.NameServers()[1], "payments", c.Broker(1))

	kept, err := c.KeepLogs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"namesrv-1.log", "broker-1.log", "broker-1.properties"} {
		if info, err := os.Stat(filepath.Join(kept, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}

	all, pid := c.addresses(), c.Broker(0).process.Load().pid
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.root); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
	if alive(pid) {
		t.Error("a broker is left")
	}
	wantPortsFree(t, all)
	if err := c.Broker(0).Start(t.Context()); err == nil {
		t.Error("a node of a closed cluster starts")
	}
	if _, err := c.Admin(t.Context(), "clusterList"); err == nil {
		t.Error("mqadmin runs on a closed cluster")
	}
	if _, err := os.Stat(c.root); !os.IsNotExist(err) {
		t.Errorf("the directory came back: %v", err)
	}
}

func TestBrokerThatFailsToStart(t *testing.T) {
	Require(t)
	t.Setenv("TMPDIR", t.TempDir())
	_, err := Start(t.Context(), Config{BrokerProperties: map[string]string{"messageStorePlugIn": "no.such.Plugin"}})
	if err == nil {
		t.Fatal("it starts")
	}
	for _, want := range []string{"broker-0", "ended with status", "no.such.Plugin"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStartThatIsCanceled(t *testing.T) {
	Require(t)
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond) // shorter than a JVM's boot
	defer cancel()
	if _, err := Start(ctx, Config{}); !isDeadline(err) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func isDeadline(err error) bool {
	return err != nil && strings.Contains(err.Error(), context.DeadlineExceeded.Error())
}

func TestKilledOwnerLeavesNothing(t *testing.T) {
	t.Parallel()
	Require(t)
	owner := newOwner(t)
	c := owner.cluster(t)
	if _, err := os.Stat(c.Dir); err != nil {
		t.Fatal(err)
	}
	for _, pid := range c.PIDs {
		if !alive(pid) {
			t.Errorf("pid %d doesn't run", pid)
		}
	}
	owner.kill(t)
	for _, pid := range c.PIDs {
		await(t, "pid "+strconv.Itoa(pid)+" is gone", func() bool { return !alive(pid) })
	}
	await(t, c.Dir+" is gone", func() bool {
		_, err := os.Stat(c.Dir)
		return os.IsNotExist(err)
	})
	wantPortsFree(t, c.Addresses)
	if left, err := os.ReadDir(filepath.Dir(c.Dir)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
