package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// pipes is a listener in memory, for an HTTP server in a bubble.
type pipes struct {
	conns chan net.Conn
	end   chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.end:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.end); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// directory is an address server in a bubble.
type directory struct {
	mu     sync.Mutex
	status int
	body   string
	asked  int
}

func (d *directory) say(status int, body string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status, d.body = status, body
}

func (d *directory) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *directory) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	w.WriteHeader(d.status)
	_, _ = w.Write([]byte(d.body))
}

// locked is a log that may be read meanwhile.
type locked struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(b)
}

func (l *locked) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.log.String(), text)
}

// TestAddressServer: name servers are asked for when they are first needed, and then every two minutes; what isn't a good
// answer changes nothing, and is logged once.
func TestAddressServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		d := &directory{}
		listener := &pipes{conns: make(chan net.Conn), end: make(chan struct{})}
		server := &http.Server{Handler: d}
		go func() { _ = server.Serve(listener) }()
		defer server.Close()
		var log locked
		v := openWith(t, n, func(c *cluster.Config) {
			c.NameServers, c.NameServerURL = nil, "http://user:secret@directory:8080/rocketmq/nsaddr"
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if address != "directory:8080" {
					return n.Dial(ctx, network, address)
				}
				near, far := net.Pipe()
				listener.conns <- far
				return near, nil
			}
		})
		ask := func() error {
			_, err := v.Routes().Refresh(t.Context(), "red%orders")
			return err
		}
		time.Sleep(10 * time.Minute)
		if d.count() != 0 {
			t.Errorf("asked %d times before anybody needed it", d.count())
		}

		d.say(503, "")
		for range 3 {
			if err := ask(); err == nil || !strings.Contains(err.Error(), "address server http://user:xxxxx@directory:8080") || !strings.Contains(err.Error(), "503") {
				t.Errorf("error %v", err)
			}
		}
		if d.count() != 1 || log.count("address server fails") != 1 {
			t.Errorf("asked %d times within a moment, logged %d times", d.count(), log.count("address server fails"))
		}
		time.Sleep(2 * time.Second)
		d.say(200, " ns1:9876; ns2:9876;ns1:9876\r\nsecond line\n")
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		want := func(list ...string) {
			t.Helper()
			if got := v.NameServers(); !slices.Equal(got, list) {
				t.Errorf("name servers %v, want %v", got, list)
			}
		}
		want("ns1:9876", "ns2:9876")
		if got := len(n.to("ns1:9876", protocol.ReqGetRoute)); got != 1 {
			t.Errorf("%d questions to the first", got)
		}

		for _, bad := range []struct {
			status int
			body   string
		}{{500, "ns3:9876"}, {200, ""}, {200, " ; "}, {200, "ns3:9876;oops"}, {200, "<html>"}, {200, strings.Repeat("a", 70<<10)}} {
			before := d.count()
			d.say(bad.status, bad.body)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if d.count() != before+1 {
				t.Errorf("asked %d times in 2 minutes", d.count()-before)
			}
			want("ns1:9876", "ns2:9876")
		}
		if got := log.count("address server fails"); got != 2 {
			t.Errorf("its failing was logged %d times, want once again", got)
		}

		d.say(200, "ns2:9876;ns3:9876")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want("ns2:9876", "ns3:9876")
		if _, connected := v.Since("ns1:9876"); connected || log.count("works again") != 2 || log.count("name servers changed") != 1 {
			t.Errorf("the old one is connected: %t; log:\n%s", connected, log.log.String())
		}
		if err := ask(); err != nil || len(n.to("ns2:9876", protocol.ReqGetRoute)) != 1 {
			t.Errorf("after the change: %v", err)
		}
		if strings.Contains(log.log.String(), "secret") {
			t.Error("the log shows the password")
		}
	})
}

// TestAddressServerThatHangs: callers wait for it no longer than their contexts, and it has 3 s.
func TestAddressServerThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := openWith(t, &network{answer: well}, func(c *cluster.Config) {
			c.NameServers, c.NameServerURL = nil, "http://directory/"
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := v.Routes().Get(ctx, "red%orders"); err == nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, err := v.Routes().Get(t.Context(), "red%orders"); err == nil || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestAddressServerByHTTP: over the real network, redirects included; none from https to http.
func TestAddressServerByHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/rocketmq/nsaddr", http.StatusFound)
			return
		}
		fmt.Fprintln(w, "127.0.0.1:9876;[::1]:9876")
	}))
	defer server.Close()
	c := cluster.New(cluster.Config{NameServerURL: server.URL + "/old", ClientID: "x", RequestTimeout: time.Second, Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	if list, err := c.AwaitNameServers(t.Context()); err != nil || !slices.Equal(list, []string{"127.0.0.1:9876", "[::1]:9876"}) {
		t.Errorf("%v, %v", list, err)
	}

	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	defer secure.Close()
	c = cluster.New(cluster.Config{NameServerURL: secure.URL, ClientID: "x", RequestTimeout: time.Second, Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	if _, err := c.AwaitNameServers(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
}
