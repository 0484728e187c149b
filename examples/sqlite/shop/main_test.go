package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/mqtest"
)

// childVariable makes the test binary the program instead; it holds the database's path.
const childVariable = "SHOP_TEST_CHILD"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVariable); file != "" {
		if err := run(context.Background(), file, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The topic has every order of the database and no other, although the program is killed again and again.
func TestKilledInTheMiddle(t *testing.T) {
	const kills, perRun, extra = 6, 50, 10
	cluster := mqtest.New(t, mqtest.Config{
		TCP: true, Topics: map[string]int{"orders": 4},
		TransactionTimeout: 200 * time.Millisecond, TransactionCheckInterval: 300 * time.Millisecond, TransactionCheckMax: 1000,
	})
	t.Setenv("ROCKETKIT_NAMESRV", strings.Join(cluster.Addresses(), ";"))
	file := filepath.Join(t.TempDir(), "shop.db")
	for round := range kills {
		kill := start(t, file, round, perRun+extra, perRun)
		kill()
	}
	start(t, file, kills, 1, 1) // answers for those that were killed
	b, err := openBook(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		missing, wrong := compare(t, b, cluster)
		if wrong != "" {
			t.Fatalf("%s was sent and isn't taken", wrong)
		}
		if missing == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s is taken and was never sent", missing)
		}
	}
}

// compare finds an order that is taken and not in the topic, and one that is in the topic and not taken.
func compare(t *testing.T, b *book, cluster *mqtest.Cluster) (missing, wrong string) {
	t.Helper()
	sent := map[string]bool{}
	for _, m := range cluster.Messages("orders") {
		sent[string(m.Body())] = true
	}
	orders, err := b.orders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id := range sent {
		if orders[id] != "taken" {
			wrong = id
		}
	}
	for id, state := range orders {
		if state == "taken" && !sent[id] {
			missing = id
		}
	}
	return missing, wrong
}

// start runs the program on some orders, until it has taken so many.
func start(t *testing.T, file string, round, orders, taken int) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+file)
	cmd.Stderr = t.Output()
	var in strings.Builder
	for i := range orders {
		fmt.Fprintf(&in, "%d-%d\n", round, i)
	}
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for range taken {
		if !lines.Scan() {
			t.Fatal("the program has ended by itself")
		}
	}
	return kill
}
