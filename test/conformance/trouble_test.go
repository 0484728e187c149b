package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

func nothing(context.Context, *rocketkit.Message) error { return nil }

// A topic that doesn't exist is an error that names it, at once, for who sends and who consumes.
func TestMissingTopic(t *testing.T) { onEach(t, testMissingTopic) }

func testMissingTopic(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	c, err := consumer.New(client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"nowhere": {Handler: nothing}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	_, sendErr := p.Send(t.Context(), producer.Message{Topic: "nowhere", Body: []byte("x")})
	for what, err := range map[string]error{"Run": c.Run(t.Context()), "Send": sendErr} {
		if !errors.Is(err, rocketkit.ErrNoRoute) || !strings.Contains(err.Error(), "nowhere") || strings.Contains(err.Error(), "%") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if producer.Retryable(sendErr) {
		t.Error("a missing topic counts as retryable")
	}
}

// A message that only the broker finds too large is refused, with the topic and the broker's code.
func TestMessageOverTheBrokersLimit(t *testing.T) { onEach(t, testMessageOverTheBrokersLimit) }

func testMessageOverTheBrokersLimit(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	p, err := producer.New(client, producer.Config{Group: "sender", MaxMessageSize: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	_, err = p.Send(t.Context(), producer.Message{Topic: "orders", Body: bytes.Repeat([]byte("x"), 5<<20)})
	if code, _, ok := rocketkit.Code(err); !ok || code != 13 || !strings.Contains(err.Error(), "orders") || producer.Retryable(err) {
		t.Errorf("error %v, code %d", err, code)
	}
}

// With the name servers away at start, Run waits for as long as its context allows, says what for, and goes on by itself
// once they answer.
func TestNameServerAwayAtStart(t *testing.T) { onEach(t, testNameServerAwayAtStart) }

func testNameServerAwayAtStart(t *testing.T, on target) {
	tenant := tenantOf(t, "")
	topic(t, on.open(t, tenant), "orders")
	gate := newGate(t, on.servers[0])
	cfg := on.config(t, tenant)
	cfg.NameServers = []string{gate.address()}
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	c, err := consumer.New(client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: nothing}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	eventually(t, "Stats say what is waited for", func() bool {
		return strings.HasPrefix(c.Stats().WaitingFor, "name servers") && strings.Contains(c.Stats().WaitingFor, gate.address())
	})
	select {
	case <-c.Ready():
		t.Fatal("ready without a name server")
	default:
	}
	gate.open()
	select {
	case <-c.Ready():
	case <-time.After(patience):
		t.Fatalf("not ready once the name server answers: %+v", c.Stats())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// gate is a name server that can't be used until it is opened: it takes connections and closes them.
type gate struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	opened bool
}

func newGate(t *testing.T, to string) *gate {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: listener, to: to}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { g.pass(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return g
}

func (g *gate) address() string { return g.listener.Addr().String() }

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = true
}

func (g *gate) pass(client net.Conn) {
	defer client.Close()
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if !opened {
		return
	}
	server, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client); server.Close() }()
	_, _ = io.Copy(client, server)
}
