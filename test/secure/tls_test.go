package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/mqtest"
)

// front is TLS in front of an in-process name server.
type front struct {
	address string
	cut     func() // closes all connections
}

// newFront serves with the certificate that the files hold at each handshake; with a nil TLS it hangs up on everybody, as
// RocketMQ does without TLS on a handshake.
func newFront(t *testing.T, of *testcluster.TLS) *front {
	t.Helper()
	behind := mqtest.New(t, mqtest.Config{TCP: true}).Addresses()[0]
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		open  []net.Conn
	)
	f := &front{address: listener.Addr().String()}
	f.cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
	}
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(of.Certificate, of.Key)
		return &pair, err
	}}
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if of == nil {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.Close()
				continue
			}
			to, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", behind)
			if err != nil {
				_ = conn.Close()
				return
			}
			secure := tls.Server(conn, config)
			mu.Lock()
			open = append(open, conn, to)
			mu.Unlock()
			for _, pair := range [][2]net.Conn{{secure, to}, {to, secure}} {
				group.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = conn.Close()
					_ = to.Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		f.cut()
		group.Wait()
	})
	return f
}

// reach asks the name server something.
func reach(t *testing.T, client *rocketkit.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := admin.New(client).KV("test").List(ctx)
	return err
}

func authority(t *testing.T) *testcluster.Authority {
	t.Helper()
	a, err := testcluster.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *testcluster.Authority, dir string, leaf testcluster.Leaf) *testcluster.TLS {
	t.Helper()
	files, err := a.Write(dir, "server", leaf)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func pool(t *testing.T, a *testcluster.Authority) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.PEM()) {
		t.Fatal("no certificate")
	}
	return roots
}

// TestServerCertificates: what a server shows is verified, and what is wrong with it said, with the address.
func TestServerCertificates(t *testing.T) {
	t.Parallel()
	mine := authority(t)
	dir := t.TempDir()
	ca := issue(t, mine, dir, testcluster.Leaf{}).CA
	for name, test := range map[string]struct {
		shown      *testcluster.TLS
		serverName string
		says       []string // none: it is good
	}{
		"good":            {shown: issue(t, mine, t.TempDir(), testcluster.Leaf{})},
		"by its name":     {shown: issue(t, mine, t.TempDir(), testcluster.Leaf{Host: "mq.example"}), serverName: "mq.example"},
		"expired":         {shown: issue(t, mine, t.TempDir(), testcluster.Leaf{NotAfter: time.Now().Add(-time.Hour)}), says: []string{"is valid from", "renew it"}},
		"other host":      {shown: issue(t, mine, t.TempDir(), testcluster.Leaf{Host: "other.example"}), says: []string{"not for 127.0.0.1 but for other.example"}},
		"other authority": {shown: issue(t, authority(t), t.TempDir(), testcluster.Leaf{}), says: []string{"authority that isn't trusted here"}},
		"none":            {says: []string{"does not seem to speak TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFront(t, test.shown)
			client := open(t, map[string]string{
				"ROCKETKIT_NAMESRV": server.address, "ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_CA": ca, "ROCKETKIT_TLS_SERVER_NAME": test.serverName,
			})
			err := reach(t, client)
			if len(test.says) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, says := range append(test.says, server.address) {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v\ndoesn't say %q", err, says)
				}
			}
		})
	}
}

// TestRotation: a new authority, put in place of the old one on disk, counts from the next connection on, and the old one
// doesn't any more.
func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := authority(t), authority(t)
	servers, clients := t.TempDir(), t.TempDir()
	server := newFront(t, issue(t, first, servers, testcluster.Leaf{}))
	ca := issue(t, first, clients, testcluster.Leaf{}).CA
	client := open(t, map[string]string{"ROCKETKIT_NAMESRV": server.address, "ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_CA": ca})
	if err := reach(t, client); err != nil {
		t.Fatal(err)
	}
	issue(t, second, servers, testcluster.Leaf{})
	server.cut()
	eventually(t, "refusal of a server that rotated first", func() bool {
		err := reach(t, client)
		return err != nil && strings.Contains(err.Error(), "authority that isn't trusted here")
	})
	issue(t, second, clients, testcluster.Leaf{})
	eventually(t, "connection with the new authority", func() bool { return reach(t, client) == nil })
	if err := os.WriteFile(ca, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	server.cut()
	eventually(t, "error that names the file", func() bool {
		err := reach(t, client)
		return err != nil && strings.Contains(err.Error(), ca+" holds no PEM certificate")
	})
}

// TestTLSOverOwnDial: the handshake goes over what Config.Dial returns, and the tls.Config is the caller's.
func TestTLSOverOwnDial(t *testing.T) {
	t.Parallel()
	mine := authority(t)
	server := newFront(t, issue(t, mine, t.TempDir(), testcluster.Leaf{Host: "mq.example"}))
	client, err := rocketkit.Open(rocketkit.Config{
		NameServers: []string{"mq.example:9876"},
		TLS:         &tls.Config{RootCAs: pool(t, mine)},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server.address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	if err := reach(t, client); err != nil {
		t.Error(err)
	}
}
