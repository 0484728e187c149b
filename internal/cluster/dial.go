package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/rocketkit/rocketkit/internal/remoting"
)

// stagger is how long an address of a host has before the next is tried as well, so that one that takes connections and
// answers none doesn't use up the time for all.
const stagger = 250 * time.Millisecond

// Dialer connects host names anew at whatever addresses they have by then, and tries all of them. The zero Dialer asks
// the system's resolver and connects by a net.Dialer.
type Dialer struct {
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial    remoting.DialFunc
}

// DialContext is a remoting.DialFunc.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Dial == nil {
		d.Dial = new(net.Dialer).DialContext
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return d.Dial(ctx, network, address)
	}
	addresses, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	return d.first(ctx, network, addresses, port)
}

func (d Dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	resolve := d.Resolve
	if resolve == nil {
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	addresses, err := resolve(ctx, host)
	if err == nil && len(addresses) == 0 {
		err = fmt.Errorf("host %s has no address", host)
	}
	return addresses, err
}

type dialed struct {
	conn net.Conn
	err  error
}

// first returns the first connection that can be made. Addresses are tried in their order, each when the one before has
// failed or had its time.
func (d Dialer) first(ctx context.Context, network string, addresses []netip.Addr, port string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan dialed, len(addresses))
	next := time.NewTimer(0)
	defer next.Stop()
	var failures []error
	for begun := 0; ; {
		select {
		case <-next.C:
			address := net.JoinHostPort(addresses[begun].Unmap().String(), port)
			go func() {
				conn, err := d.Dial(ctx, network, address)
				ended <- dialed{conn, err}
			}()
			if begun++; begun < len(addresses) {
				next.Reset(stagger)
			}
		case end := <-ended:
			if end.err == nil {
				go closeRest(ended, begun-len(failures)-1)
				return end.conn, nil
			}
			if failures = append(failures, end.err); len(failures) == len(addresses) {
				return nil, errors.Join(failures...)
			}
			if begun < len(addresses) {
				next.Reset(0)
			}
		}
	}
}

// closeRest closes the connections that came too late.
func closeRest(ended <-chan dialed, n int) {
	for range n {
		if end := <-ended; end.conn != nil {
			_ = end.conn.Close()
		}
	}
}
