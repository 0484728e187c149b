package rocketkit_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
)

// refused is a network where nothing listens.
func refused(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg   rocketkit.Config
		field string
	}{
		"no name servers":   {rocketkit.Config{}, "NameServers:"},
		"empty name server": {rocketkit.Config{NameServers: []string{"a:1", ""}}, "NameServers[1]:"},
		"malformed address": {rocketkit.Config{NameServers: []string{"a"}}, "NameServers[0]:"},
		"bad port":          {rocketkit.Config{NameServers: []string{"a:99999"}}, "NameServers[0]:"},
		"two sources":       {rocketkit.Config{NameServers: []string{"a:1"}, NameServerURL: "http://a"}, "NameServerURL:"},
		"no URL":            {rocketkit.Config{NameServerURL: "a:8080"}, "NameServerURL:"},
		"not by HTTP":       {rocketkit.Config{NameServerURL: "ftp://a/x"}, "NameServerURL:"},
		"no host":           {rocketkit.Config{NameServerURL: "http:///rocketmq"}, "NameServerURL:"},
		"bad tenant":        {rocketkit.Config{NameServers: []string{"a:1"}, Tenant: "re%d"}, "Tenant:"},
		"bad instance":      {rocketkit.Config{NameServers: []string{"a:1"}, Instance: "a@b"}, "Instance:"},
		"negative time-out": {rocketkit.Config{NameServers: []string{"a:1"}, RequestTimeout: -1}, "RequestTimeout:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := rocketkit.Open(test.cfg)
			if c != nil || !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), test.field) {
				t.Errorf("%v, %v; want %s", c, err, test.field)
			}
		})
	}
}

func TestOpenDialsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		servers := []string{"a:1"}
		c, err := rocketkit.Open(rocketkit.Config{NameServers: servers, Tenant: "red", Dial: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("no")
		}})
		if err != nil {
			t.Fatal(err)
		}
		servers[0] = "changed by the caller"
		if got := c.Cluster().NameServers(); got[0] != "a:1" {
			t.Errorf("the caller's slice is shared: %v", got)
		}
		time.Sleep(5 * time.Minute)
		if n := dials.Load(); n != 0 {
			t.Errorf("%d dials", n)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestClientID(t *testing.T) {
	t.Parallel()
	id := func(instance string) string {
		c, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Instance: instance, Dial: refused})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		return c.ID()
	}
	ip, instance, ok := strings.Cut(id("pod-1"), "@")
	if !ok || instance != "pod-1" || net.ParseIP(ip) == nil {
		t.Errorf("id %s", id("pod-1"))
	}
	if one, other := id(""), id(""); one == other {
		t.Error("two Clients without Instance have one id")
	}
}

func TestFor(t *testing.T) {
	t.Parallel()
	c, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Tenant: "red", Dial: refused})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	blue, err := c.For("blue", nil)
	if err != nil || blue.Tenant() != "blue" || c.Tenant() != "red" || blue.ID() != c.ID() {
		t.Errorf("%v, %v", blue, err)
	}
	if blue.Cluster().Cluster != c.Cluster().Cluster {
		t.Error("another cluster's sockets")
	}
	none, err := blue.For("", nil)
	if err != nil || none.Tenant() != "" {
		t.Errorf("%v, %v", none, err)
	}
	if _, err := c.For("Not-a-tenant", nil); !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "Tenant") {
		t.Errorf("error %v", err)
	}
	if err := blue.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Cluster().Call(t.Context(), "a:1", &frame.Frame{Code: 1}); errors.Is(err, rocketkit.ErrClosed) {
		t.Error("closing a Client made by For closed the one it came from")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Dial: refused})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		_, err = c.Cluster().Call(t.Context(), "a:1", &frame.Frame{Code: 1})
		if !errors.Is(err, rocketkit.ErrClosed) {
			t.Errorf("a call after Close got %v", err)
		}
	})
}

// TestCloseIsBounded by its context, even while a dial ignores its own.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Dial: func(context.Context, string, string) (net.Conn, error) {
			<-release
			return nil, errors.New("no")
		}})
		if err != nil {
			t.Fatal(err)
		}
		call, cancelCall := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = c.Cluster().Call(call, "a:1", &frame.Frame{Code: 1})
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		close(release)
		cancelCall()
		<-ended
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// part is a Runner.
type part func(ctx context.Context) error

func (p part) Run(ctx context.Context) error { return p(ctx) }

func TestRun(t *testing.T) {
	t.Parallel()
	one, two := errors.New("one"), errors.New("two")
	var drained atomic.Int32
	untilEnd := part(func(ctx context.Context) error { <-ctx.Done(); drained.Add(1); return nil })
	early := part(func(context.Context) error { return nil })
	fails := func(err error) part { return func(context.Context) error { return err } }
	failsInDrain := func(err error) part { return func(ctx context.Context) error { <-ctx.Done(); return err } }
	for name, test := range map[string]struct {
		parts   []rocketkit.Runner
		ends    bool // by its context
		want    []error
		drained int32
	}{
		"none":                      {nil, false, nil, 0},
		"its context ends":          {[]rocketkit.Runner{untilEnd, untilEnd}, true, nil, 2},
		"one fails":                 {[]rocketkit.Runner{untilEnd, fails(one), untilEnd}, false, []error{one}, 2},
		"one fails, then another":   {[]rocketkit.Runner{failsInDrain(two), fails(one)}, false, []error{one, two}, 0},
		"one is early":              {[]rocketkit.Runner{early, untilEnd}, true, nil, 1},
		"all are early":             {[]rocketkit.Runner{early, early}, false, nil, 0},
		"one fails while it drains": {[]rocketkit.Runner{untilEnd, failsInDrain(two)}, true, []error{two}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			drained.Store(0)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				result := make(chan error, 1)
				go func() { result <- rocketkit.Run(ctx, test.parts...) }()
				synctest.Wait()
				if test.ends {
					if len(result) != 0 {
						t.Fatal("returned before its context ended")
					}
					cancel()
				}
				err := <-result
				if (err == nil) != (len(test.want) == 0) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("error %v, want %v", err, want)
					}
				}
				if n := drained.Load(); n != test.drained {
					t.Errorf("%d drained, want %d", n, test.drained)
				}
			})
		})
	}
}
