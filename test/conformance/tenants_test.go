package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
)

// Two tenants run the same code on the same names in one process, over one Client's sockets: no message, retry, dead
// letter or offset crosses.
func TestTenantsDoNotCross(t *testing.T) { onEach(t, testTenantsDoNotCross) }

func testTenantsDoNotCross(t *testing.T, on target) {
	red := on.open(t, tenantOf(t, "-r"))
	blue, err := red.For(tenantOf(t, "-b"), nil)
	if err != nil {
		t.Fatal(err)
	}
	const n = 200
	tenants := map[string]*rocketkit.Client{"red": red, "blue": blue}
	got := map[string]*tally{"red": newTally(), "blue": newTally()}
	for name, client := range tenants {
		topic(t, client, "orders")
		run(t, client, serviceOf(name, got[name]))
	}
	for name, client := range tenants {
		send(t, client, "orders", name, n)
	}
	for name, client := range tenants {
		got[name].awaitDistinct(t, n)
		letters := newTally()
		run(t, client, consumer.Config{
			Group: "undertaker", Start: consumer.Earliest(),
			Topics: map[string]consumer.Topic{"%DLQ%billing": {Handler: func(_ context.Context, m *rocketkit.Message) error {
				letters.add(string(m.Body()))
				return nil
			}}},
		})
		letters.awaitDistinct(t, n/20)
		for _, c := range []*tally{got[name], letters} {
			for body := range c.all() {
				if !strings.HasPrefix(body, name+"-") {
					t.Errorf("%s got %q", name, body)
				}
			}
		}
		eventually(t, "offsets of "+name+" committed", func() bool { return committed(t, client, "billing", "orders") == n })
	}
}

// serviceOf is the code that both tenants run: it notes what it got once it is done with it; every tenth order is
// retried once, every twentieth becomes a dead letter.
func serviceOf(name string, got *tally) consumer.Config {
	return consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			switch body := string(m.Body()); {
			case m.Topic() != "orders":
				return consumer.DeadLetter(nil)
			case strings.HasSuffix(body, "0") && m.Attempt() == 1:
				return consumer.RetryIn(time.Second, nil)
			case numberOf(body)%20 == 3:
				got.add(body)
				return consumer.DeadLetter(nil)
			default:
				got.add(body)
				return nil
			}
		}}},
	}
}

// committed sums up how far a group has come in a topic whose queues began empty.
func committed(t *testing.T, client *rocketkit.Client, group, topic string) int64 {
	t.Helper()
	offsets, err := admin.New(client).Offsets(t.Context(), group, topic)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, q := range offsets {
		sum += q.Committed
	}
	return sum
}
