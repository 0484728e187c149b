package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/mqtest"
)

func TestRun(t *testing.T) {
	cluster := mqtest.New(t, mqtest.Config{TCP: true})
	t.Setenv("ROCKETKIT_NAMESRV", strings.Join(cluster.Addresses(), ";"))
	t.Setenv("ROCKETKIT_TENANT", "red")
	var out bytes.Buffer
	if err := run(t.Context(), 3, &out); err != nil {
		t.Fatal(err)
	}
	if n := len(cluster.Messages("red%orders")); n != 3 {
		t.Errorf("the broker has %d messages, want 3", n)
	}
	if n := strings.Count(out.String(), "orders/broker-a/"); n != 3 {
		t.Errorf("printed:\n%s", out.String())
	}
}
