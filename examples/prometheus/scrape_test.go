package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
)

const patience = 60 * time.Second

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// scrape reads what is served as Prometheus does.
func scrape(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v: %s", resp.Status, err, text)
	}
	return string(text)
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// The program serves what it sends and receives until it is stopped.
func TestTheServiceIsScraped(t *testing.T) {
	cluster := mqtest.New(t, mqtest.Config{Logger: slog.New(slog.DiscardHandler)})
	cfg := cluster.Config()
	cfg.Tenant = "red"
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	handled := make(chan struct{}, 1000)
	go func() {
		done <- serve(ctx, cfg, listener, func(context.Context, *rocketkit.Message) error {
			handled <- struct{}{}
			return nil
		})
	}()
	for range 3 {
		select {
		case <-handled:
		case err := <-done:
			t.Fatalf("the service has ended: %v", err)
		}
	}
	var text string
	eventually(t, "three orders counted", func() bool {
		text = scrape(t, listener.Addr().String())
		return !strings.Contains(text, `} 2`+"\n") && strings.Contains(text, "messaging_client_consumed_messages_total{")
	})
	for _, want := range []string{
		"messaging_client_sent_messages_total{", "messaging_client_operation_duration_seconds_bucket{", "rocketkit_consumer_lag{",
		`messaging_consumer_group_name="billing"`, `messaging_destination_name="orders"`, `messaging_rocketmq_namespace="red"`,
		`rocketkit_producer_group_name="checkout"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "red%") {
		t.Errorf("a name of the broker's is among the labels:\n%s", text)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
