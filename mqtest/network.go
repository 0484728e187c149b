package mqtest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
)

// link is one Config that was handed out: everything that dials through it is one client, which faults and partitions
// can be aimed at before it has sent its first heartbeat.
type link struct {
	cluster  *Cluster
	instance string
	addr     netip.Addr

	mu   sync.Mutex
	port uint16
}

// links knows the clients by the addresses they dial from.
type links struct {
	mu    sync.Mutex
	count int
	by    map[netip.AddrPort]*link // over TCP
	ips   map[netip.Addr]*link     // in memory
}

// add makes the next client's link. Its address is one that RFC 2544 sets aside for tests.
func (l *links) add(c *Cluster) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	n := l.count
	k := &link{
		cluster:  c,
		instance: fmt.Sprintf("mqtest-%d", n),
		addr:     netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}),
		port:     40000,
	}
	l.ips[k.addr] = k
	return k
}

func (l *links) of(remote netip.AddrPort) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.by[remote]; k != nil {
		return k
	}
	return l.ips[remote.Addr()]
}

// is tells whether the client calls itself so: ip@instance.
func (k *link) is(clientID string) bool {
	return k != nil && strings.HasSuffix(clientID, "@"+k.instance)
}

// dial connects to one of the cluster's servers. A server that is down refuses; one behind a partition keeps the
// caller waiting until ctx ends.
func (k *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if k.cluster.bubble != inBubble() {
		return nil, errBubble
	}
	s := k.cluster.serverAt(address)
	if s == nil {
		return nil, refused(network, address)
	}
	for {
		gate := k.cluster.partitions.dialGate(k, s)
		if gate == nil {
			break
		}
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		case <-k.cluster.closing:
			return nil, refused(network, address)
		}
	}
	if k.cluster.cfg.TCP {
		return k.dialTCP(ctx, network, address)
	}
	client, server := pipe(k.next(), net.TCPAddrFromAddrPort(s.address))
	if !s.accept(server) {
		return nil, refused(network, address)
	}
	return client, nil
}

// dialTCP dials a real socket and notes whose it is before the first request travels on it.
func (k *link) dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l := &k.cluster.links
	l.mu.Lock()
	l.by[addrPort(nc.LocalAddr())] = k
	l.mu.Unlock()
	return nc, nil
}

func (k *link) next() *net.TCPAddr {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.port++
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(k.addr, k.port))
}

func refused(network, address string) error {
	return &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)}
}

// listen opens a socket on the loopback interface for a server.
func (s *server) listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("mqtest: listen for %s: %w", s.name, err)
	}
	s.listener = l
	s.address = addrPort(l.Addr())
	return nil
}

// acceptTCP takes connections until the listener is closed. The port stays taken while the server is down, lest another
// process gets it; whoever connects then is reset.
func (s *server) acceptTCP() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			if isClosed(s.cluster.closing) {
				return
			}
			continue
		}
		if !s.accept(nc) {
			if tcp, ok := nc.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = nc.Close()
		}
	}
}
