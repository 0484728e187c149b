package conformance

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
)

// childVariable makes the test binary a service instead: it consumes "orders" as "billing", configured by the
// environment alone, and prints "ready", then the body of each message it has handled. Where orderVariable names an
// order, it keeps that, and prints the body of each message as it comes.
const (
	childVariable = "ROCKETKIT_TEST_CHILD"
	orderVariable = "ROCKETKIT_TEST_CHILD_ORDER"
)

// serve is that service.
func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg, err := rocketkit.FromEnv(os.LookupEnv)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	client, err := rocketkit.Open(cfg)
	if err != nil {
		return err
	}
	defer client.Close(context.Background())
	var calls atomic.Int64
	orders := consumer.Topic{Workers: 16, Handler: func(_ context.Context, m *rocketkit.Message) error {
		time.Sleep(2 * time.Millisecond) // the work
		if calls.Add(1)%50 == 0 && m.Attempt() == 1 {
			return consumer.RetryIn(time.Second, nil)
		}
		_, err := fmt.Fprintln(os.Stdout, string(m.Body())) // one write, so a kill never tears a line
		return err
	}}
	if order := os.Getenv(orderVariable); order != "" {
		orders.Order = map[string]consumer.Order{"key": consumer.OrderKey, "queue": consumer.OrderQueue}[order]
		orders.Handler = func(_ context.Context, m *rocketkit.Message) error {
			_, err := fmt.Fprintln(os.Stdout, string(m.Body()))
			time.Sleep(time.Millisecond) // the work
			if calls.Add(1)%50 == 0 && m.Attempt() == 1 {
				return consumer.RetryIn(20*time.Millisecond, nil)
			}
			return err
		}
	}
	c, err := consumer.New(client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": orders},
	})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-c.Ready():
			fmt.Fprintln(os.Stdout, "ready")
		case <-ctx.Done():
		}
	}()
	return rocketkit.Run(ctx, c)
}

// child is such a service in a process of its own.
type child struct {
	cmd   *exec.Cmd
	ready chan struct{}
	ended chan struct{} // its output has been read to the end
}

// start runs the service for a tenant; what it handles goes to got.
func start(t *testing.T, on target, tenant string, got *tally) *child {
	t.Helper()
	return startWith(t, on, tenant, got.add)
}

// startWith is start with more variables, and another taker of the lines that the service prints.
func startWith(t *testing.T, on target, tenant string, add func(line string), variables ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", "ROCKETKIT_TENANT="+tenant,
		"ROCKETKIT_NAMESRV="+strings.Join(on.servers, ";"))
	cmd.Env = append(cmd.Env, variables...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, ready: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "ready" {
				close(c.ready)
				continue
			}
			add(lines.Text())
		}
	}()
	t.Cleanup(func() { c.signal(syscall.SIGKILL) })
	select {
	case <-c.ready:
	case <-time.After(patience):
		t.Fatal("the service isn't ready")
	}
	return c
}

// signal sends s and waits until the process has ended; once it has, it does nothing.
func (c *child) signal(s os.Signal) error {
	if c.cmd.ProcessState != nil {
		return nil
	}
	if err := c.cmd.Process.Signal(s); err != nil {
		return err
	}
	<-c.ended
	return c.cmd.Wait()
}

// kill -9 in the middle of the traffic loses nothing, however often; and a clean stop afterwards exits with 0.
func TestKillLosesNothing(t *testing.T) { onEach(t, testKillLosesNothing) }

func testKillLosesNothing(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	got := newTally()
	const rounds, perRound = 4, 1000
	c := start(t, on, tenant, got)
	for round := range rounds {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			send(t, client, "orders", string(rune('a'+round)), perRound)
		}()
		got.awaitDistinct(t, round*perRound+perRound/2)
		_ = c.signal(syscall.SIGKILL)
		<-sent
		c = start(t, on, tenant, got)
	}
	got.awaitDistinct(t, rounds*perRound)
	if err := c.signal(os.Interrupt); err != nil {
		t.Errorf("a clean stop: %v", err)
	}
	repeated := 0
	for _, n := range got.all() {
		repeated += n - 1
	}
	t.Logf("%d of %d messages were handled again after %d kills", repeated, rounds*perRound, rounds)
}

// The same program, with one variable changed, works for another tenant.
func TestTenantsDoNotCrossBetweenProcesses(t *testing.T) {
	onEach(t, testTenantsDoNotCrossBetweenProcesses)
}

func testTenantsDoNotCrossBetweenProcesses(t *testing.T, on target) {
	const n = 200
	tenants := []string{tenantOf(t, "-r"), tenantOf(t, "-b")}
	got := map[string]*tally{}
	for _, tenant := range tenants {
		topic(t, on.open(t, tenant), "orders")
		got[tenant] = newTally()
		start(t, on, tenant, got[tenant])
	}
	for _, tenant := range tenants {
		send(t, on.open(t, tenant), "orders", tenant, n)
	}
	for _, tenant := range tenants {
		got[tenant].awaitDistinct(t, n)
		eventually(t, "offsets of "+tenant+" committed", func() bool { return committed(t, on.open(t, tenant), "billing", "orders") == n })
		for body := range got[tenant].all() {
			if !strings.HasPrefix(body, tenant+"-") {
				t.Errorf("%s got %q", tenant, body)
			}
		}
	}
}
