package cluster_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// zone is a DNS whose entries change.
type zone struct {
	mu        sync.Mutex
	addresses map[string][]string
	asked     int
}

func (z *zone) set(host string, addresses ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.addresses == nil {
		z.addresses = map[string][]string{}
	}
	z.addresses[host] = addresses
}

func (z *zone) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	var list []netip.Addr
	for _, a := range z.addresses[host] {
		list = append(list, netip.MustParseAddr(a))
	}
	if list == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return list, nil
}

// TestNameServerMoves: a host's addresses are looked up for each new connection, so a name server that is replaced under
// its name is found, and one that still works is kept whatever DNS says.
func TestNameServerMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well, down: map[string]bool{}}
		dns := &zone{}
		dns.set("names", "10.0.0.1")
		v := openWith(t, n, func(c *cluster.Config) {
			c.NameServers = []string{"names:9876"}
			c.Dial = cluster.Dialer{Resolve: dns.resolve, Dial: n.Dial}.DialContext
		})
		ask := func() {
			t.Helper()
			if _, err := v.Routes().Refresh(t.Context(), "red%orders"); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		dns.set("names", "10.0.0.2")
		ask()
		if a, b := len(n.to("10.0.0.1:9876", protocol.ReqGetRoute)), len(n.to("10.0.0.2:9876", protocol.ReqGetRoute)); a != 2 || b != 0 {
			t.Errorf("while the first one works: %d and %d questions, want 2 and 0", a, b)
		}
		n.connTo("10.0.0.1:9876").nc.Close()
		synctest.Wait()
		ask()
		if got := len(n.to("10.0.0.2:9876", protocol.ReqGetRoute)); got != 1 {
			t.Errorf("%d questions to the new address, want 1", got)
		}
	})
}

// TestAllAddressesAreTried: one that refuses costs no time, and one that never answers not that of the others.
func TestAllAddressesAreTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dns := &zone{}
		dns.set("names", "10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1")
		var mu sync.Mutex
		var tried []string
		d := cluster.Dialer{Resolve: dns.resolve, Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			mu.Lock()
			tried = append(tried, address)
			mu.Unlock()
			switch address {
			case "10.0.0.1:9876": // a black hole
				<-ctx.Done()
				return nil, ctx.Err()
			case "[fd00::1]:9876":
				near, far := net.Pipe()
				_ = far.Close()
				return near, nil
			}
			return nil, errors.New("connection refused")
		}}
		began := time.Now()
		c, err := d.DialContext(t.Context(), "tcp", "names:9876")
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if took := time.Since(began); took != 250*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(tried, " "); got != "10.0.0.1:9876 10.0.0.2:9876 10.0.0.3:9876 [fd00::1]:9876" {
			t.Errorf("tried %s", got)
		}
	})
}

// TestNoAddressAnswers: the error is each address's, and that of DNS where it knows none.
func TestNoAddressAnswers(t *testing.T) {
	t.Parallel()
	dns := &zone{}
	dns.set("names", "10.0.0.1", "10.0.0.2")
	d := cluster.Dialer{Resolve: dns.resolve, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		return nil, errors.New("refused by " + address)
	}}
	for address, want := range map[string][]string{
		"names:9876":    {"refused by 10.0.0.1:9876", "refused by 10.0.0.2:9876"},
		"nowhere:9876":  {"no such host"},
		"10.1.1.1:9876": {"refused by 10.1.1.1:9876"},
		"names":         {"missing port"},
	} {
		_, err := d.DialContext(t.Context(), "tcp", address)
		for _, text := range want {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %s", address, err, text)
			}
		}
	}
}

// TestLateConnectionsAreClosed: of two that come, one is left.
func TestLateConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dns := &zone{}
		dns.set("names", "10.0.0.1", "10.0.0.2")
		closed := make(chan struct{})
		d := cluster.Dialer{Resolve: dns.resolve, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			near, far := net.Pipe()
			if address == "10.0.0.1:9876" {
				time.Sleep(time.Second) // and doesn't heed its context
				go func() {
					_, _ = far.Read(make([]byte, 1))
					close(closed)
				}()
			}
			return near, nil
		}}
		c, err := d.DialContext(t.Context(), "tcp", "names:9876")
		if err != nil {
			t.Fatal(err)
		}
		<-closed
		_ = c.Close()
	})
}
