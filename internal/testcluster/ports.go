package testcluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// Ports are taken in aligned blocks below what Linux and macOS give to outgoing
// connections by default (from 32768, from 49152). Inside that range a client
// that keeps dialing a stopped broker's port may be given this very port as its
// own, and connects to itself.
const (
	firstPort = 12032
	lastPort  = 31999
	blockSize = 64

	maxNameServers = 3
	maxBrokers     = 14
)

// ports is a cluster's block: the first port reserves it against other clusters
// on the machine, then come the name servers', then four for each broker.
type ports struct {
	base        int
	reservation *net.TCPListener
}

// reservePorts finds a block of which all needed ports are free.
func reservePorts(nameServers, brokers int) (*ports, error) {
	const blocks = (lastPort - firstPort + 1) / blockSize
	var busy error
	for _, block := range rand.Perm(blocks) {
		p := &ports{base: firstPort + block*blockSize}
		var err error
		if p.reservation, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.base}); err != nil {
			busy = err
			continue
		}
		if busy = p.free(nameServers, brokers); busy == nil {
			return p, nil
		}
		p.release()
	}
	return nil, fmt.Errorf("testcluster: no block of %d free ports between %d and %d: %w", blockSize, firstPort, lastPort, busy)
}

func (p *ports) free(nameServers, brokers int) error {
	for i := range nameServers {
		if err := bindable(p.nameServer(i)); err != nil {
			return err
		}
	}
	for i := range brokers {
		// RocketMQ listens on listenPort-2 too (fastListenPort, "VIP"), and for its
		// replicas on haListenPort.
		listen := p.broker(i)
		if err := errors.Join(bindable(listen-2), bindable(listen), bindable(listen+1)); err != nil {
			return err
		}
	}
	return nil
}

// bindable asks for all addresses: 4.9.7 binds those.
func bindable(port int) error {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	return listener.Close()
}

func (p *ports) nameServer(i int) int { return p.base + 1 + i }
func (p *ports) broker(i int) int     { return p.base + 1 + maxNameServers + 4*i + 2 }

// file returns the reservation for a child process to inherit.
func (p *ports) file() (*os.File, error) { return p.reservation.File() }

func (p *ports) release() { _ = p.reservation.Close() } // nothing was sent over it

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
