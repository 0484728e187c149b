package remoting_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/remoting"
)

func TestSlowDialDelaysOnlyItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: echo}
		var slow int
		c := remoting.New(remoting.Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "slow:1" {
				slow++
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return n.Dial(ctx, network, address)
		}})
		defer n.group.Wait()
		defer c.Close()
		start := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := c.Call(ctx, "slow:1", request("x"))
			wantError(t, err, "slow:1", "dial", context.DeadlineExceeded)
			if d := time.Since(start); d != time.Second {
				t.Errorf("the first caller waited %v, want its own second", d)
			}
		})
		group.Go(func() {
			_, err := c.Call(t.Context(), "slow:1", request("x"))
			wantError(t, err, "slow:1", "dial", context.DeadlineExceeded)
			if d := time.Since(start); d != 3*time.Second {
				t.Errorf("the patient caller waited %v, want the dial's 3s", d)
			}
		})
		synctest.Wait()
		mustCall(t, c, "fast:1", "y")
		if d := time.Since(start); d != 0 {
			t.Errorf("the other address waited %v", d)
		}
		group.Wait()
		if slow != 1 {
			t.Errorf("%d dials, want the callers to share one", slow)
		}
	})
}

func TestFailedDialsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		n := &network{serve: echo, fail: refused}
		c := open(t, n, remoting.Config{})
		var gaps []time.Duration
		last, dials := time.Now(), 0
		for range 20_000 {
			start := time.Now()
			_, err := c.Call(t.Context(), "a:1", request("x"))
			wantError(t, err, "a:1", "dial", refused)
			if time.Since(start) != 0 {
				t.Fatal("a call waited for the backoff; it should fail at once")
			}
			if n.dialed() > dials {
				gaps = append(gaps, time.Since(last))
				last, dials = time.Now(), n.dialed()
			}
			time.Sleep(time.Millisecond)
		}
		for i, gap := range gaps[1:] {
			base := min(50*time.Millisecond<<i, time.Second)
			if gap < base/2 || gap > base+2*time.Millisecond {
				t.Errorf("gap %d is %v, want %v to %v", i, gap, base/2, base)
			}
		}
		if len(gaps) < 20 {
			t.Errorf("%d dials in 20s", len(gaps))
		}

		n.setFail(nil)
		time.Sleep(time.Second)
		mustCall(t, c, "a:1", "back")
		c.Drop("a:1")
		n.setFail(refused)
		before := n.dialed()
		_, err := c.Call(t.Context(), "a:1", request("x"))
		wantError(t, err, "a:1", "dial", refused)
		time.Sleep(51 * time.Millisecond) // the success has reset it
		_, err = c.Call(t.Context(), "a:1", request("x"))
		wantError(t, err, "a:1", "dial", refused)
		if got := n.dialed() - before; got != 2 {
			t.Errorf("%d dials after the reset, want 2", got)
		}
	})
}

func TestConnectedIsToldOfEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan string, 10)
		var c *remoting.Client
		n := &network{serve: echo}
		c = open(t, n, remoting.Config{Connected: func(address string) {
			mustCall(t, c, address, "from Connected")
			told <- address
		}})
		mustCall(t, c, "a:1", "x")
		mustCall(t, c, "a:1", "x")
		mustCall(t, c, "b:1", "x")
		synctest.Wait() // Connected's own call has ended
		c.Drop("b:1")
		synctest.Wait()
		mustCall(t, c, "b:1", "x")
		synctest.Wait()
		close(told)
		count := map[string]int{}
		for address := range told {
			count[address]++
		}
		if count["a:1"] != 1 || count["b:1"] != 2 {
			t.Errorf("told %v", count)
		}
	})
}

func TestDisconnectedIsToldOfWhatBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan string, 10)
		refused := errors.New("refused")
		n := &network{serve: func(s *session) {
			if s.address == "well:1" {
				echo(s)
				return
			}
			s.next() // and then the connection breaks
		}}
		c := open(t, n, remoting.Config{Disconnected: func(address string) { told <- address }})
		_, err := c.Call(t.Context(), "breaks:1", request("x"))
		wantError(t, err, "breaks:1", "read", nil)
		mustCall(t, c, "well:1", "x")
		if since, connected := c.Since("well:1"); !connected || since != time.Now() {
			t.Errorf("connected %v since %v", connected, since)
		}
		c.Drop("well:1")
		synctest.Wait()
		if _, connected := c.Since("well:1"); connected {
			t.Error("connected after Drop")
		}
		n.setFail(refused)
		for range 2 { // the second falls into the backoff: nothing is dialed
			_, err = c.Call(t.Context(), "down:1", request("x"))
			wantError(t, err, "down:1", "dial", refused)
		}
		c.Forgive("down:1")
		_, err = c.Call(t.Context(), "down:1", request("x"))
		wantError(t, err, "down:1", "dial", refused)
		synctest.Wait()
		close(told)
		count := map[string]int{}
		for address := range told {
			count[address]++
		}
		if want := map[string]int{"breaks:1": 1, "down:1": 2}; !maps.Equal(count, want) {
			t.Errorf("told %v, want %v", count, want)
		}
	})
}

// The default Dial speaks TCP, and says who refused.
func TestRealDial(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback:", err)
	}
	address := l.Addr().String()
	l.Close()
	c := remoting.New(remoting.Config{})
	defer c.Close()
	_, err = c.Call(t.Context(), address, request("x"))
	wantError(t, err, address, "dial", nil)
}
