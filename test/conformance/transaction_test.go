package conformance

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/mqtest"
)

// checkEvery is how often the brokers of these tests look for transactions to ask about.
const checkEvery = time.Second

// market is a cluster that asks soon, and whose broker can be killed.
type market struct {
	target
	kill, start func() error
}

// checkMax is how often these brokers ask before they give up: less than usual where that is tried, and more where a
// broker, or all producers, may be away for a while.
const (
	fewChecks  = "4"
	manyChecks = "10000"
)

// What consumers get agrees with the database, whatever was killed at which step of a transaction, with kill -9: the
// producer before the half message, between it and the local step, between that and the outcome, and after; the broker at
// the same places; both; each with other transactions under way. Before that: who is asked about what, and how often.
func TestTransactions(t *testing.T) {
	t.Parallel()
	t.Run("mqtest", func(t *testing.T) {
		market := func(t *testing.T, most string) market {
			n, _ := strconv.Atoi(most)
			c := mqtest.New(t, mqtest.Config{
				TCP: true, TransactionCheckInterval: checkEvery, TransactionTimeout: checkEvery / 2, TransactionCheckMax: min(n, 1000),
			})
			broker := c.Brokers()[0]
			return market{
				target: target{"mqtest", c.Addresses()},
				kill:   func() error { return c.Stop(broker) },
				start:  func() error { return c.Restart(broker) },
			}
		}
		testAsked(t, market(t, fewChecks))
		testKilledTransactions(t, market(t, manyChecks))
	})
	t.Run("real", func(t *testing.T) {
		c := testcluster.Run(t, testcluster.Config{BrokerProperties: map[string]string{
			"transactionCheckInterval": "1000", "transactionTimeOut": "500", "transactionCheckMax": fewChecks,
			"transactionOpBatchInterval": "100", // or what is settled is asked for all the same
		}})
		on := market{
			target: target{"real", c.NameServers()},
			kill:   func() error { return c.Broker(0).Kill() },
			start:  func() error { return c.Broker(0).Start(t.Context()) },
		}
		testAsked(t, on)
		if said, err := c.Admin(t.Context(), "updateBrokerConfig", "-b", c.Broker(0).Address(), "-k", "transactionCheckMax", "-v", manyChecks); err != nil {
			t.Fatal(said, err)
		}
		testKilledTransactions(t, on)
	})
}

// testAsked needs a broker that runs.
func testAsked(t *testing.T, on market) {
	t.Run("asked", func(t *testing.T) {
		t.Run("tenants", func(t *testing.T) { t.Parallel(); testTenantsCheckBacks(t, on) })
		t.Run("clientgo", func(t *testing.T) { t.Parallel(); testMixedCheckBacks(t, on) })
		t.Run("limit", func(t *testing.T) { t.Parallel(); testCheckLimit(t, on) })
	})
}

func testKilledTransactions(t *testing.T, on market) {
	tenant := tenantOf(t, "")
	client := on.open(t, tenant)
	topic(t, client, "orders")
	got, checked := newTally(), newTally()
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {
		Handler: func(_ context.Context, m *rocketkit.Message) error { got.add(string(m.Body())); return nil },
	}}})
	rows, holds := t.TempDir(), t.TempDir()
	shop := func(orders string) (*child, *tally) {
		said := newTally()
		return startWith(t, on.target, tenant, func(line string) {
			said.add(line)
			if strings.HasPrefix(line, "checked") {
				checked.add(line)
			}
		}, transactVariable+"="+rows, ordersVariable+"="+orders, holdVariable+"="+filepath.Join(holds, orders)), said
	}
	begin := func(orders string) (shopkeeper *child, release func()) {
		shopkeeper, said := shop(orders)
		said.await(t, "an order held at each step", func(lines map[string]int) bool {
			return !slices.ContainsFunc(steps, func(step string) bool { return lines["holding "+step] == 0 })
		})
		return shopkeeper, func() {
			if err := os.WriteFile(filepath.Join(holds, orders), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	dead, _ := begin("producer-dies")
	_ = dead.signal(syscall.SIGKILL)

	dead, _ = begin("both-die")
	survivor, release := begin("broker-dies")
	if err := on.kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.signal(syscall.SIGKILL)
	release()
	if err := on.start(); err != nil {
		t.Fatal(err)
	}
	if <-survivor.ended; survivor.cmd.Wait() != nil {
		t.Error("the shop whose broker was killed failed")
	}
	shop("") // answers for all of them
	awaitAgreement(t, rows, got, checked)
}

// awaitAgreement waits until every order that was done has been delivered and the brokers have nothing left to ask, and
// tells of those that were delivered and aren't done.
func awaitAgreement(t *testing.T, rows string, got, checked *tally) {
	t.Helper()
	quiet, questions := time.Now(), -1
	eventually(t, "all settled", func() bool {
		total := 0
		for _, n := range checked.all() {
			total += n
		}
		if total != questions {
			quiet, questions = time.Now(), total
		}
		done, _ := rowsOf(t, rows)
		for _, id := range done {
			if got.count(id) == 0 {
				return false
			}
		}
		return time.Since(quiet) > 3*checkEvery
	})
	done, void := rowsOf(t, rows)
	repeated := 0
	for _, n := range got.all() {
		repeated += n - 1
	}
	t.Logf("%d orders done, %d void, %d delivered, %d of them again, %d answers to check-backs", len(done), len(void), len(got.all()), repeated, questions)
	if len(done) < ordersOfAShop || len(void) < ordersOfAShop/4 {
		t.Errorf("only %d orders were done, %d void", len(done), len(void))
	}
	if len(got.all()) != len(done) {
		t.Errorf("%d orders were delivered, %d are done", len(got.all()), len(done))
	}
	for _, id := range void {
		if got.count(id) > 0 {
			t.Errorf("%s is void and was delivered", id)
		}
	}
}

// rowsOf lists the orders of the database.
func rowsOf(t *testing.T, dir string) (done, void []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			continue
		}
		row, err := os.ReadFile(filepath.Join(dir, f.Name()))
		switch {
		case err != nil:
			t.Fatal(err)
		case string(row) == "done":
			done = append(done, f.Name())
		default:
			void = append(void, f.Name())
		}
	}
	return done, void
}
