//go:build unix

package peer_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/test/peer"
)

// driverVariable makes the test binary a driver instead: it starts the peer that the variable names on the name server
// that follows, prints the peer's process id, and waits to be killed.
const driverVariable = "ROCKETKIT_TEST_DRIVER"

func TestMain(m *testing.M) {
	if what := os.Getenv(driverVariable); what != "" {
		if err := drive(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func drive(what string) error {
	name, server, _ := strings.Cut(what, "@")
	for _, l := range peer.Libraries() {
		if l.String() != name {
			continue
		}
		c, err := l.StartConsumer(context.Background(), peer.ConsumerConfig{NameServers: []string{server}, Group: "g", Topic: "orders"}, os.Stderr)
		if err != nil {
			return err
		}
		fmt.Println(c.PID())
		return c.Await(context.Background(), "nothing", func() bool { return false })
	}
	return errors.New(name + " is no library")
}

// onEach runs a test for each library, on an mqtest of its own.
func onEach(t *testing.T, test func(t *testing.T, l peer.Library, nameServers []string)) {
	for _, l := range peer.Libraries() {
		t.Run(l.String(), func(t *testing.T) {
			if l == peer.Java {
				testcluster.Require(t)
			}
			test(t, l, mqtest.New(t, mqtest.Config{TCP: true, Topics: map[string]int{"orders": 2}}).Addresses())
		})
	}
}

// However a driver ends, its peers end.
func TestPeerEndsWithItsDriver(t *testing.T) {
	onEach(t, func(t *testing.T, l peer.Library, nameServers []string) {
		driver := exec.CommandContext(t.Context(), os.Args[0])
		driver.Env = append(os.Environ(), driverVariable+"="+l.String()+"@"+nameServers[0])
		driver.Stderr = t.Output()
		driver.WaitDelay = 10 * time.Second
		out, err := driver.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := driver.Start(); err != nil {
			t.Fatal(err)
		}
		said, err := bufio.NewReader(out).ReadString('\n')
		_ = driver.Process.Kill()
		_ = driver.Wait() // it was killed
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(said))
		if err != nil {
			t.Fatal(err)
		}
		for limit := time.Now().Add(30 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(limit) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				t.Fatal("the peer outlives its driver by 30 s")
			}
		}
	})
}

// A flood is counted, told message by message or not, and arrives.
func TestFlood(t *testing.T) {
	for name, quiet := range map[string]bool{"told": false, "counted": true} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, l peer.Library, nameServers []string) {
				const n = 500
				var told, got atomic.Int64
				c := l.Consume(t, peer.ConsumerConfig{
					NameServers: nameServers, Group: "g", Topic: "orders", Earliest: true, Quiet: quiet, On: func(peer.Received) { got.Add(1) },
				})
				p := l.Produce(t, peer.ProducerConfig{NameServers: nameServers, Group: "p", Workers: 4, Quiet: quiet, On: func(peer.Sent) { told.Add(1) }})
				if err := p.Flood(t.Context(), peer.Flood{Topic: "orders", Prefix: "x", N: n, Size: 100}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				for _, count := range []func() int64{p.Count, c.Count} {
					if err := awaitCount(ctx, count, n); err != nil {
						t.Fatal(err)
					}
				}
				if want := int64(map[bool]int{false: n}[quiet]); told.Load() != want || got.Load() != want {
					t.Errorf("told of %d sent and %d received, want %d", told.Load(), got.Load(), want)
				}
				for _, p := range []interface{ Stop(context.Context) error }{p, c} {
					if err := p.Stop(ctx); err != nil {
						t.Error(err)
					}
					if err := p.Stop(ctx); err != nil {
						t.Errorf("second Stop: %v", err)
					}
				}
			})
		})
	}
}

// A brief peer tells no more of a message than what a fault run needs, but when its handler was called, and that it
// panicked.
func TestBriefAndPanicking(t *testing.T) {
	onEach(t, func(t *testing.T, l peer.Library, nameServers []string) {
		const n = 12
		var mu sync.Mutex
		var got []peer.Received
		c := l.Consume(t, peer.ConsumerConfig{
			NameServers: nameServers, Group: "g", Topic: "orders", Earliest: true, Brief: true, PanicEvery: 5, Work: 2 * time.Millisecond,
			On: func(r peer.Received) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, r)
			},
		})
		began := time.Now()
		p := l.Produce(t, peer.ProducerConfig{NameServers: nameServers, Group: "p"})
		for i := range n {
			if _, err := p.Send(t.Context(), peer.Message{Topic: "orders", Body: fmt.Appendf(nil, "%d and more", i), Tag: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := awaitCount(ctx, c.Count, n); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		panicked := 0
		for _, r := range got {
			if _, err := strconv.Atoi(string(r.Body)); err != nil || r.Tag != "" || len(r.Properties) > 0 {
				t.Errorf("told %q, tag %q, properties %v", r.Body, r.Tag, r.Properties)
			}
			if r.Began.Before(began) || r.Ended.Sub(r.Began) < 2*time.Millisecond || r.Ended.After(time.Now()) || r.Broker == "" {
				t.Errorf("began %v, ended %v on %q", r.Began, r.Ended, r.Broker)
			}
			if r.Verdict == peer.Panic {
				panicked++
			}
		}
		if panicked < 2 || len(c.Received()) > 0 {
			t.Errorf("%d panicked, %d were kept", panicked, len(c.Received()))
		}
	})
}

func awaitCount(ctx context.Context, count func() int64, n int64) error {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if count() >= n {
			tick.Stop()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return fmt.Errorf("%d of %d: %w", count(), n, ctx.Err())
		}
	}
}

// What is wrong shows as an error, with the reason that the library gave, and a peer that died says so.
func TestErrors(t *testing.T) {
	onEach(t, func(t *testing.T, l peer.Library, nameServers []string) {
		p := l.Produce(t, peer.ProducerConfig{NameServers: nameServers, Group: "p"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Send(ctx, peer.Message{Topic: "nowhere", Body: []byte("x")}); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("a send to a missing topic: %v", err)
		}
		p.Kill()
		if _, err := p.Send(ctx, peer.Message{Topic: "orders", Body: []byte("x")}); err == nil || ctx.Err() != nil {
			t.Errorf("a send by a dead peer: %v", err)
		}
		if err := p.Stop(ctx); err == nil {
			t.Error("a killed peer counts as stopped in order")
		}
	})
}
