package storm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// fullVariable asks for the storm at full length.
const fullVariable = "ROCKETKIT_STORM"

// patience bounds a wait for a state; it is no promise.
const patience = 60 * time.Second

var rocketmq testcluster.Suite

func TestMain(m *testing.M) { rocketmq.Main(m) }

// storm is how much there is of it: so many Clients, each with a member of so many groups, started and stopped so often.
type storm struct{ clients, groups, cycles, settled int }

func full() bool { return os.Getenv(fullVariable) == "1" }

func size() storm {
	if full() {
		return storm{clients: 10, groups: 5, cycles: 200, settled: 20}
	}
	return storm{clients: 4, groups: 3, cycles: 8, settled: 3}
}

// Consumers that are started and stopped over and over under load leave nothing behind: no goroutine, no connection, no
// memory, and no message that isn't handled.
func TestStartsAndStopsUnderLoad(t *testing.T) {
	for name, servers := range map[string]func(t *testing.T) []string{
		"mqtest": func(t *testing.T) []string { return mqtest.New(t, mqtest.Config{TCP: true}).Addresses() },
		"real":   func(t *testing.T) []string { return rocketmq.Cluster(t).NameServers() },
	} {
		t.Run(name, func(t *testing.T) { testStartsAndStops(t, servers(t), name == "real") })
	}
}

func testStartsAndStops(t *testing.T, servers []string, remote bool) {
	s := size()
	sockets := &sockets{}
	cfg := rocketkit.Config{
		NameServers: servers, Tenant: "storm", Dial: sockets.dial, Logger: slog.New(slog.DiscardHandler),
	}
	load := startLoad(t, cfg)
	var before runtime.MemStats
	goroutines, connections := runtime.NumGoroutine(), sockets.open.Load()
	for cycle := range s.cycles {
		s.once(t, cfg, load, cycle)
		if t.Failed() {
			return
		}
		awaitAtMost(t, "connections", connections, sockets.open.Load)
		if cycle+1 == s.settled || cycle+1 == s.cycles {
			awaitAtMost(t, "goroutines", int64(goroutines), func() int64 { return int64(runtime.NumGoroutine()) })
			heap := heapNow()
			t.Logf("after %d cycles of %d consumers: %d goroutines, %d connections, %.1f MB heap; %d messages sent, %d handlings, %d connections made",
				cycle+1, s.clients*s.groups, runtime.NumGoroutine(), sockets.open.Load(), float64(heap.HeapAlloc)/(1<<20),
				load.sent.Load(), load.handled.Load(), sockets.made.Load())
			if cycle+1 == s.settled {
				before = heap
			} else if grown := int64(heap.HeapAlloc) - int64(before.HeapAlloc); remote && grown > 4<<20 { // mqtest keeps its messages here
				t.Errorf("the heap has grown by %.1f MB", float64(grown)/(1<<20))
			}
		}
	}
	load.finish(t, cfg, s.groups)
}

// once starts all consumers at once, lets most of them get somewhere, and stops them at once.
func (s storm) once(t *testing.T, cfg rocketkit.Config, load *load, cycle int) {
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	began := load.handled.Load()
	var ready sync.WaitGroup
	for range s.clients {
		client, err := rocketkit.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var members sync.WaitGroup
		for group := range s.groups {
			c, err := consumer.New(client, load.config(group))
			if err != nil {
				t.Fatal(err)
			}
			ready.Add(1)
			members.Go(func() {
				done := make(chan error, 1)
				go func() { done <- c.Run(ctx) }()
				if cycle%5 != 4 { // else they are stopped while they start
					select {
					case <-c.Ready():
					case <-time.After(patience):
						t.Errorf("not ready: %+v", c.Stats())
					}
				}
				ready.Done()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		}
		running.Go(func() {
			members.Wait()
			if err := client.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	ready.Wait()
	for limit := time.Now().Add(patience); cycle%5 != 4 && load.handled.Load() < began+100; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Error("nothing is handled")
			break
		}
	}
	stop()
	running.Wait()
}

// load sends until it is finished, and counts what is handled.
type load struct {
	client        *rocketkit.Client
	stop          context.CancelFunc
	done          chan struct{}
	sent, handled atomic.Int64

	mu   sync.Mutex
	seen []numbers // by group
}

// numbers is a set of messages' numbers, which takes next to nothing of the heap that is watched.
type numbers struct {
	bits  big.Int
	count int64
}

func (n *numbers) add(number int) {
	if n.bits.Bit(number) == 0 {
		n.bits.SetBit(&n.bits, number, 1)
		n.count++
	}
}

func startLoad(t *testing.T, cfg rocketkit.Config) *load {
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	if err := admin.New(client).CreateTopic(t.Context(), admin.TopicConfig{Name: "orders"}); err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &load{client: client, stop: stop, done: make(chan struct{}), seen: make([]numbers, size().groups)}
	go func() {
		defer close(l.done)
		defer p.Close(context.Background())
		for ctx.Err() == nil {
			_, err := p.Send(context.WithoutCancel(ctx), producer.Message{Topic: "orders", Body: fmt.Append(nil, l.sent.Load())})
			if err != nil {
				t.Errorf("send: %v", err)
				return
			}
			l.sent.Add(1)
			time.Sleep(2 * time.Millisecond) // the pace
		}
	}()
	t.Cleanup(func() { stop(); <-l.done })
	for l.sent.Load() == 0 { // its connections are made
		time.Sleep(time.Millisecond)
	}
	return l
}

// config is that of a group's members: some of their handlers fail, some panic.
func (l *load) config(group int) consumer.Config {
	return consumer.Config{
		Group: fmt.Sprint("billing-", group), Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Workers: 4, Handler: func(_ context.Context, m *rocketkit.Message) error {
			l.handled.Add(1)
			if m.Attempt() == 1 {
				switch chance := rand.IntN(200); {
				case chance == 0:
					return consumer.RetryIn(time.Second, errors.New("on purpose"))
				case chance == 1 && full(): // comes again after 10 s at the earliest
					panic("on purpose")
				}
			}
			number, err := strconv.Atoi(string(m.Body()))
			if err != nil {
				return consumer.Drop(err)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.seen[group].add(number)
			return nil
		}}},
	}
}

// finish ends the sending and has each group handle what is left: nothing may be missing.
func (l *load) finish(t *testing.T, cfg rocketkit.Config, groups int) {
	l.stop()
	<-l.done
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var members []rocketkit.Runner
	for group := range groups {
		c, err := consumer.New(client, l.config(group))
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, c)
	}
	go func() { done <- rocketkit.Run(ctx, members...) }()
	for limit := time.Now().Add(2 * patience); ; time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		missing := int64(0)
		for i := range groups {
			missing += l.sent.Load() - l.seen[i].count
		}
		l.mu.Unlock()
		if missing == 0 {
			break
		}
		if time.Now().After(limit) {
			t.Errorf("%d messages of %d in %d groups are missing", missing, l.sent.Load(), groups)
			break
		}
	}
	stop()
	if err := errors.Join(<-done, client.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

// sockets counts connections.
type sockets struct{ open, made atomic.Int64 }

func (s *sockets) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	s.made.Add(1)
	return &socket{Conn: conn, of: s}, nil
}

type socket struct {
	net.Conn
	of    *sockets
	close sync.Once
}

func (c *socket) Close() error {
	c.close.Do(func() { c.of.open.Add(-1) })
	return c.Conn.Close()
}

// awaitAtMost waits until there are no more than limit; what is over in a moment, as goroutines that are just returning, counts
// for nothing.
func awaitAtMost(t *testing.T, what string, limit int64, now func() int64) {
	t.Helper()
	for until := time.Now().Add(15 * time.Second); now() > limit; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			var stacks strings.Builder
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Fatalf("%d %s are left, where there were %d before\n%s", now(), what, limit, stacks.String())
		}
	}
}

func heapNow() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC() // what finalizers freed
	runtime.ReadMemStats(&m)
	return m
}
