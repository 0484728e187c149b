package dynconf

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
)

// directory is an address server behind a Client's Dial.
type directory struct {
	mu   sync.Mutex
	list string // "" for a failure
}

func (d *directory) say(servers ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = strings.Join(servers, ";")
}

func (d *directory) answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	status := "200 OK"
	if d.list == "" {
		status = "503 Service Unavailable"
	}
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(d.list), d.list)
}

// TestAddressServerLists: name servers that come and go as an address server says.
func TestAddressServerLists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n, _ := names(t)
		n.rev(t, 4, 0)
		n.rev(t, 5, 1)
		n.rev(t, 6, 2)
		listed := &directory{}
		cfg := n.cluster.Config()
		cfg.NameServers, cfg.NameServerURL = nil, "http://directory:8080/rocketmq/nsaddr"
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "directory:8080" {
				return dial(ctx, network, address)
			}
			near, far := net.Pipe()
			go listed.answer(far)
			return near, nil
		}
		servers := n.cluster.Addresses()
		client := opened(t, cfg)
		f := follow(t, Config{Source: NameServers(client.Cluster()), CacheDir: dir}, nil)
		f.wants(t, "nothing", 0, Unreadable, 0)
		listed.say(servers[0])
		f.within(t, 4, 5*time.Second)
		f.wants(t, `1: {"a":4}`, 4, "", 0)
		listed.say(servers[0], servers[1], servers[1])
		time.Sleep(3 * time.Minute)
		f.wants(t, `2: {"a":5}`, 5, "", 0)
		if s := f.Status(); s.Disagreeing != 1 {
			t.Errorf("%+v", s)
		}
		slow := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Delay: 2 * time.Second}) // so that who goes is being asked
		listed.say(servers[2])
		time.Sleep(3 * time.Minute)
		slow.Remove()
		f.wants(t, `3: {"a":6}`, 6, "", 0)
		if s := f.Status(); s.Disagreeing != 0 || s.Refused[Unreadable] != 1 || s.Refused[Older] != 0 {
			t.Errorf("name servers that aren't listed any more count: %+v", s)
		}
		listed.say()
		time.Sleep(time.Hour) // the last list stays
		f.wants(t, `3: {"a":6}`, 6, "", 0)
		f.stop()
		if list := files(t, dir); len(list) != 1 {
			t.Errorf("one address server has one cache, whatever it lists: %v", list)
		}
	})
}

// wire notes what a Client writes to its servers.
type wire struct {
	net.Conn
	out *lines
}

func (w wire) Write(p []byte) (int, error) {
	_, _ = w.out.Write(p)
	return w.Conn.Write(p)
}

// TestTraffic: a Client asks for its documents and for nothing else. It writes none, and never touches ORDER_TOPIC_CONFIG,
// by which brokers make topics ordered ones.
func TestTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, _ := names(t)
		var out lines
		cfg := n.cluster.Config()
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return wire{conn, &out}, nil
		}
		client := opened(t, cfg)
		asks := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Client: client.ID()})
		others := n.cluster.Inject(mqtest.Fault{Client: client.ID()})
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		n.rev(t, 5, 0)
		f.within(t, 5, 3*time.Second)
		n.put(t, billing, "", 0)
		time.Sleep(10 * time.Minute)
		f.stop()
		if asks.Count() < 600 || others.Count() != 0 {
			t.Errorf("%d requests for values, and %d others", asks.Count(), others.Count())
		}
		if asked := out.count(Namespace); asked < 600 || asked != out.count(billing.Key()) || out.count("ORDER_TOPIC_CONFIG") != 0 {
			t.Errorf("%d requests of the namespace, %d of the key, %d of brokers' own", asked, out.count(billing.Key()), out.count("ORDER_TOPIC_CONFIG"))
		}
		if bytes.Contains(out.out.Bytes(), []byte("#previous")) {
			t.Error("it reads what was before")
		}
	})
}

// TestErrorsHaveLogicalNames: a name server's remark too.
func TestErrorsHaveLogicalNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Code: 1, Remark: "no red%billing today"})
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		f.wants(t, "nothing", 0, Unreadable, 0)
		s := f.Status()
		if !strings.Contains(s.Error, "no billing today") || strings.Contains(s.Error, "red%") || !strings.Contains(s.Error, n.cluster.Addresses()[1]) {
			t.Errorf("%s", s.Error)
		}
	})
}

// TestTenantsSignature: a tenant's own credentials aren't asked for to read what is nobody's secret.
func TestTenantsSignature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		red, err := client.For("red", func(context.Context) (rocketkit.Credentials, error) {
			t.Error("they were asked for")
			return rocketkit.Credentials{}, context.Canceled
		})
		if err != nil {
			t.Fatal(err)
		}
		f := follow(t, Config{Source: NameServers(red.Cluster())}, nil)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
	})
}

// TestStartWhileNothingAnswers: a start waits a second also where no connection can be made, or no name server is known.
func TestStartWhileNothingAnswers(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, cfg := range map[string]rocketkit.Config{
		"dials hang":              {NameServers: []string{"a:1", "b:1", "c:1"}, Dial: hang},
		"the address server does": {NameServerURL: "http://directory:8080/rocketmq/nsaddr", Dial: hang},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg.Logger, cfg.Settings.CacheDir = slog.New(slog.DiscardHandler), "off"
				f := NewFollower(Config{ID: billing, Source: NameServers(opened(t, cfg).Cluster()), Apply: (&applier{}).take, Logger: cfg.Logger})
				began := time.Now()
				f.Start(t.Context())
				if took := time.Since(began); took != time.Second {
					t.Errorf("it took %v", took)
				}
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				f.Run(ctx)
				if s := f.Status(); s.Reason != Unreadable {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}
