package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// childVariable makes the test binary the program instead; it holds the database's path.
const childVariable = "LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVariable); file != "" {
		if err := run(context.Background(), file, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Each payment is booked exactly once, although the program is killed again and again while it books, and payments that
// can't be read are given up in between.
func TestKilledInTheMiddle(t *testing.T) {
	cluster := mqtest.New(t, mqtest.Config{TCP: true, Topics: map[string]int{"payments": 4}})
	t.Setenv("ROCKETKIT_NAMESRV", strings.Join(cluster.Addresses(), ";"))
	file := filepath.Join(t.TempDir(), "ledger.db")
	const payments, accounts, kills = 2000, 7, 5
	pay(t, cluster, payments, accounts)
	for range kills {
		booking := start(t, file)
		for range payments / (2 * kills) { // half of them, in the end
			if !booking.lines.Scan() {
				t.Fatal("the program has ended by itself")
			}
		}
		booking.kill()
	}
	booking := start(t, file)
	go io.Copy(io.Discard, booking.out) // or it would stand still
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cluster.WaitConsumed(ctx, "ledger", "payments"); err != nil {
		t.Error(err)
	}
	booking.kill()
	check(t, file, payments, accounts)
}

// pay sends payments of 1 cent, 2 cents and so on, and between them some that nobody can read.
func pay(t *testing.T, cluster *mqtest.Cluster, payments, accounts int) {
	t.Helper()
	client, err := rocketkit.Open(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	p, err := producer.New(client, producer.Config{Group: "checkout"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	for i := range payments {
		bodies := [][]byte{fmt.Appendf(nil, `{"account": "a%d", "cents": %d}`, i%accounts, i+1)}
		if i%100 == 50 {
			bodies = append(bodies, []byte("not a payment"))
		}
		for _, body := range bodies {
			if _, err := p.Send(t.Context(), producer.Message{Topic: "payments", Body: body}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func check(t *testing.T, file string, payments, accounts int) {
	t.Helper()
	l, err := openLedger(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := make([]int64, accounts)
	for i := range payments {
		want[i%accounts] += int64(i + 1)
	}
	for i, cents := range want {
		got, err := l.balance(t.Context(), fmt.Sprintf("a%d", i))
		if err != nil || got != cents {
			t.Errorf("account a%d has %d cents, want %d (%v)", i, got, cents, err)
		}
	}
}

// child is the program in a process of its own.
type child struct {
	cmd   *exec.Cmd
	out   io.Reader
	lines *bufio.Scanner
}

func start(t *testing.T, file string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+file)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, out: out, lines: bufio.NewScanner(out)}
	t.Cleanup(c.kill)
	return c
}

// kill is a kill -9.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

// A reset by an operator is carried out, and a Commit that comes late is not.
func TestCommitOnlyRaises(t *testing.T) {
	l, err := openLedger(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	q := rocketkit.Queue{Topic: "payments", Broker: "broker-a", ID: 3}
	commit := func(next int64) func() error {
		return func() error { return l.Commit(t.Context(), map[rocketkit.Queue]int64{q: next}) }
	}
	for i, step := range []struct {
		do   func() error
		want int64
	}{
		{commit(0), 0},
		{func() error { return l.Book(t.Context(), payment{"a", 5}, q, 0) }, 1},
		{func() error { return l.Book(t.Context(), payment{"a", 5}, q, 1) }, 2},
		{commit(1), 2}, // late
		{commit(7), 7}, // what lay between was given up
		{commit(4), 4}, // a reset
		{func() error { return l.Book(t.Context(), payment{"a", 5}, q, 4) }, 5},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		var next int64
		if err := l.db.QueryRowContext(t.Context(), "SELECT next FROM positions WHERE queue = 3").Scan(&next); err != nil || next != step.want {
			t.Errorf("step %d: %d, %v, want %d", i, next, err, step.want)
		}
	}
	if got, err := l.Load(t.Context(), []rocketkit.Queue{q, {Topic: "payments"}}); err != nil || len(got) != 1 || got[q] != 5 {
		t.Errorf("loaded %v, %v", got, err)
	}
	if cents, err := l.balance(t.Context(), "a"); err != nil || cents != 15 {
		t.Errorf("%d cents, %v", cents, err)
	}
}
