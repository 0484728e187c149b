package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// page is an io.Writer for many goroutines.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func TestRun(t *testing.T) {
	cluster := mqtest.New(t, mqtest.Config{TCP: true, Topics: map[string]int{"red%orders": 8}})
	t.Setenv("ROCKETKIT_NAMESRV", strings.Join(cluster.Addresses(), ";"))
	t.Setenv("ROCKETKIT_TENANT", "red")
	slog.SetDefault(slog.New(slog.NewTextHandler(t.Output(), nil)))
	send(t, cluster, 10)

	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var out page
	done := make(chan error, 1)
	go func() { done <- run(ctx, &out) }()
	if err := cluster.WaitConsumed(ctx, "red%billing", "red%orders"); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i := range 10 {
		attempt := 1
		if i == 9 {
			attempt = 2
		}
		if want := fmt.Sprintf("attempt %d: {\"order\": %d}\n", attempt, i); strings.Count(out.String(), want) != 1 {
			t.Errorf("%q isn't printed once in:\n%s", want, out.String())
		}
	}
}

func send(t *testing.T, cluster *mqtest.Cluster, n int) {
	t.Helper()
	cfg := cluster.Config()
	cfg.Tenant = "red"
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	p, err := producer.New(client, producer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for i := range n {
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: fmt.Appendf(nil, `{"order": %d}`, i)}); err != nil {
			t.Fatal(err)
		}
	}
}
