package conformance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/producer"
)

// transactVariable makes the test binary a shop: it takes orders by transactions as the producer group "checkout", with
// the directory that the variable names for a database. ordersVariable names the orders; of those, one is held at each
// step of its transaction until there is the file that holdVariable names, while others go on.
const (
	transactVariable = "ROCKETKIT_TEST_TRANSACT"
	ordersVariable   = "ROCKETKIT_TEST_TRANSACT_ORDERS"
	holdVariable     = "ROCKETKIT_TEST_TRANSACT_HOLD"
)

// shop is that service. A file of its directory is the row of an order: "done" or "void".
type shop struct {
	rows, hold string
	p          *producer.Producer
}

const (
	ordersOfAShop = 64
	firstHeld     = 24
)

// steps are where a transaction is held.
var steps = []string{"before half", "after half", "after local", "after end"}

var errNoAnswer = errors.New("the database's answer got lost")

// decide makes an order's row, if there is none, and tells what it says: as one INSERT that does nothing on a conflict.
func (s *shop) decide(id, says string) (string, error) {
	draft, err := os.CreateTemp(s.rows, ".draft")
	if err != nil {
		return "", err
	}
	defer os.Remove(draft.Name())
	if _, err := draft.WriteString(says); err != nil {
		return "", err
	}
	if err := draft.Close(); err != nil {
		return "", err
	}
	if err := os.Link(draft.Name(), filepath.Join(s.rows, id)); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	row, err := os.ReadFile(filepath.Join(s.rows, id))
	return string(row), err
}

// check voids an order that isn't there, so that a local step which is late can't make it any more.
func (s *shop) check(_ context.Context, m *rocketkit.Message) error {
	row, err := s.decide(string(m.Body()), "void")
	fmt.Fprintln(os.Stdout, "checked", string(m.Body()), row)
	if err != nil {
		return err
	}
	if row == "void" {
		return producer.Rollback(nil)
	}
	return nil
}

// take takes an order: of four, two are fine, one is refused, and of one the database's answer gets lost.
func (s *shop) take(ctx context.Context, id string, i int) error {
	s.step("before half", i)
	_, err := s.p.Transact(ctx, producer.Message{Topic: "orders", Body: []byte(id)}, func(context.Context) error {
		s.step("after half", i)
		says := "done"
		if i%4 == 2 {
			says = "void"
		}
		row, err := s.decide(id, says)
		s.step("after local", i)
		switch {
		case err != nil:
			return err
		case row == "void":
			return producer.Rollback(nil)
		case i%4 == 3:
			return errNoAnswer
		}
		return nil
	})
	if errors.Is(err, producer.ErrRolledBack) || errors.Is(err, errNoAnswer) {
		err = nil
	}
	s.step("after end", i)
	return err
}

// step holds one order at each step.
func (s *shop) step(name string, i int) {
	if i < firstHeld || i >= firstHeld+len(steps) || steps[i-firstHeld] != name {
		return
	}
	fmt.Fprintln(os.Stdout, "holding", name)
	for {
		if _, err := os.Stat(s.hold); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// transact runs the shop. Without orders it only answers check-backs, until it is killed.
func transact() error {
	cfg, err := rocketkit.FromEnv(os.LookupEnv)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	client, err := rocketkit.Open(cfg)
	if err != nil {
		return err
	}
	s := &shop{rows: os.Getenv(transactVariable), hold: os.Getenv(holdVariable)}
	if s.p, err = producer.New(client, producer.Config{Group: "checkout", Check: s.check}); err != nil {
		return err
	}
	for s.p.Transactions().Asking == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprintln(os.Stdout, "ready")
	orders := os.Getenv(ordersVariable)
	if orders == "" {
		select {}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wg sync.WaitGroup
	failures := make([]error, 8)
	for part := range failures {
		wg.Go(func() {
			for i := part; i < ordersOfAShop && failures[part] == nil; i += len(failures) {
				failures[part] = s.take(ctx, orders+"-"+strconv.Itoa(i), i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(failures...), s.p.Close(ctx), client.Close(ctx))
}
