package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// patience bounds a wait for a state. It is no promise: a test that passes waits for far less.
const patience = 60 * time.Second

// target is a cluster that behaviors are tried on.
type target struct {
	name    string
	servers []string // its name servers
}

// onEach tries one behavior on every target: a difference between them is a failing test.
func onEach(t *testing.T, try func(t *testing.T, on target)) {
	t.Parallel()
	all := targets()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { try(t, all[name](t)) })
	}
}

// targets are mqtest, over TCP, so that clients in all languages can reach it, and the real RocketMQ where it may run.
func targets() map[string]func(t *testing.T) target {
	return map[string]func(t *testing.T) target{
		"mqtest": func(t *testing.T) target {
			return target{"mqtest", mqtest.New(t, mqtest.Config{TCP: true, Topics: map[string]int{rocketkit.DefaultTraceTopic: 1}}).Addresses()}
		},
		"real": func(t *testing.T) target { return target{"real", rocketmq.Cluster(t).NameServers()} },
	}
}

// before tells whether the target is a real RocketMQ older than version, which can do less; what, is said where this is
// asked.
func (on target) before(version string) bool {
	runs := cmp.Or(os.Getenv(testcluster.VersionVariable), testcluster.DefaultVersion)
	return on.name == "real" && runs < version // one digit each, up to 9
}

// open gives a Client for a tenant of the test's own, so that tests on one cluster don't meet.
func (on target) open(t *testing.T, tenant string) *rocketkit.Client {
	t.Helper()
	client, err := rocketkit.Open(on.config(t, tenant))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

func (on target) config(t *testing.T, tenant string) rocketkit.Config {
	t.Helper()
	return rocketkit.Config{
		NameServers: on.servers,
		Tenant:      tenant,
		Logger:      slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Settings:    rocketkit.Settings{CacheDir: t.TempDir()},
	}
}

// tenantOf makes a tenant's name from a test's.
func tenantOf(t *testing.T, suffix string) string {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.TrimPrefix(t.Name(), "Test"))
	return name[:min(len(name), 31-len(suffix))] + suffix
}

// topic makes a topic with 8 queues and waits until it can be sent to.
func topic(t *testing.T, client *rocketkit.Client, name string) {
	t.Helper()
	if err := admin.New(client).CreateTopic(t.Context(), admin.TopicConfig{Name: name}); err != nil {
		t.Fatal(err)
	}
}

// send sends n messages whose bodies are prefix and a number, and returns their bodies. It may be called on any goroutine.
func send(t *testing.T, client *rocketkit.Client, topic, prefix string, n int) []string {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Error(err)
		return nil
	}
	defer p.Close(t.Context())
	bodies := make([]string, n)
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < n; i += 4 {
				bodies[i] = fmt.Sprintf("%s-%d", prefix, i)
				if _, err := p.Send(t.Context(), producer.Message{Topic: topic, Body: []byte(bodies[i])}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return bodies
}

// running is a consumer that runs until the test stops it.
type running struct {
	*consumer.Consumer
	stop context.CancelFunc
	done chan error
}

// run starts a consumer and waits until it is ready.
func run(t *testing.T, client *rocketkit.Client, cfg consumer.Config) *running {
	t.Helper()
	c, err := consumer.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Consumer: c, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- c.Run(ctx) }()
	t.Cleanup(func() { r.end(t) })
	select {
	case <-c.Ready():
	case err := <-r.done:
		t.Fatalf("Run ended before it was ready: %v", err)
	case <-time.After(patience):
		t.Fatalf("not ready: %+v", c.Stats())
	}
	return r
}

// end stops the consumer and waits for its drain; a second call does nothing.
func (r *running) end(t *testing.T) {
	t.Helper()
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	select {
	case err := <-r.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatalf("doesn't stop: %+v", r.Stats())
	}
}

// tally counts what handlers got, by body.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
	news chan struct{}
}

func newTally() *tally { return &tally{seen: map[string]int{}, news: make(chan struct{}, 1)} }

func (c *tally) add(body string) {
	c.mu.Lock()
	c.seen[body]++
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *tally) count(body string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[body]
}

// all copies the counts.
func (c *tally) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[string]int, len(c.seen))
	for body, n := range c.seen {
		counts[body] = n
	}
	return counts
}

// await waits until done says so of the counts.
func (c *tally) await(t *testing.T, what string, done func(counts map[string]int) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		if done(c.all()) {
			return
		}
		select {
		case <-c.news:
		case <-limit:
			t.Fatalf("%s: not within %v; %d distinct messages so far", what, patience, len(c.all()))
		}
	}
}

// awaitDistinct waits until n different messages have come.
func (c *tally) awaitDistinct(t *testing.T, n int) {
	t.Helper()
	c.await(t, fmt.Sprintf("%d messages", n), func(counts map[string]int) bool { return len(counts) >= n })
}

// eventually waits until ok holds, looking again every few milliseconds: for states that only a server knows.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, patience, what, ok)
}

// within is eventually for what takes brokers longer.
func within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(most); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not within %v", what, most)
		}
	}
}

// exists tells whether the name servers have a route for a topic.
func exists(t *testing.T, client *rocketkit.Client, topic string) bool {
	t.Helper()
	_, err := admin.New(client).Topic(t.Context(), topic)
	if err != nil && !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Fatal(err)
	}
	return err == nil
}
