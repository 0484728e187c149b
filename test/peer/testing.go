package peer

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// patience bounds a start, downloads and compilers included, and is no promise.
const patience = 3 * time.Minute

const testTimeout = 20 * time.Second

// Consume starts a push consumer that is killed with the test at the latest. The Java client's skips the test unless
// testcluster.Require lets it run, and fails it where Java or Maven is missing. What the library logs is the test's output.
func (l Library) Consume(t testing.TB, cfg ConsumerConfig) *Consumer {
	t.Helper()
	l.require(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cfg.Timeout = cmp.Or(cfg.Timeout, testTimeout)
	c, err := l.StartConsumer(ctx, cfg, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c
}

// Produce starts a producer likewise.
func (l Library) Produce(t testing.TB, cfg ProducerConfig) *Producer {
	t.Helper()
	l.require(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cfg.Timeout = cmp.Or(cfg.Timeout, testTimeout)
	p, err := l.StartProducer(ctx, cfg, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func (l Library) require(t testing.TB) {
	t.Helper()
	if l == Java {
		testcluster.Require(t)
	}
}
