package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/tenant"
	"github.com/rocketkit/rocketkit/test/peer"
)

var errNotKnown = errors.New("nobody knows")

func leaveOpen(context.Context) error { return errNotKnown }

// Two tenants in one process run the same code with the same producer group and topic: each is asked about its own
// messages only, by logical names.
func testTenantsCheckBacks(t *testing.T, on market) {
	const n = 20
	red := on.open(t, tenantOf(t, "-r"))
	blue, err := red.For(tenantOf(t, "-b"), nil)
	if err != nil {
		t.Fatal(err)
	}
	asked, got := map[string]*tally{}, map[string]*tally{}
	for name, client := range map[string]*rocketkit.Client{"red": red, "blue": blue} {
		topic(t, client, "orders")
		asked[name], got[name] = newTally(), newTally()
		p := checking(t, client, func(_ context.Context, m *rocketkit.Message) error {
			group, _ := m.Property("PGROUP")
			asked[name].add(fmt.Sprint(string(m.Body()), m.Topic(), group))
			return nil
		})
		run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {
			Handler: func(_ context.Context, m *rocketkit.Message) error { got[name].add(string(m.Body())); return nil },
		}}})
		for i := range n {
			_, err := p.Transact(t.Context(), producer.Message{Topic: "orders", Body: fmt.Appendf(nil, "%s-%d", name, i)}, leaveOpen)
			if !errors.Is(err, producer.ErrLeftToCheck) || !errors.Is(err, errNotKnown) {
				t.Fatal(err)
			}
		}
	}
	for name := range got {
		got[name].awaitDistinct(t, n)
		for i := range n {
			if body := fmt.Sprintf("%s-%d", name, i); got[name].count(body) == 0 || asked[name].count(body+"orderscheckout") == 0 {
				t.Errorf("%s: got %d, asked %v", body, got[name].count(body), asked[name].all())
			}
		}
		if len(got[name].all()) != n || len(asked[name].all()) != n {
			t.Errorf("%s got %v, was asked %v", name, got[name].all(), asked[name].all())
		}
	}
}

// A producer of client-go in the same group: what it leaves open is settled by ours, and what ours leave open by both.
func testMixedCheckBacks(t *testing.T, on market) {
	const n = 20
	name := tenantOf(t, "")
	client := on.open(t, name)
	topic(t, client, "orders")
	names, err := tenant.New(name)
	if err != nil {
		t.Fatal(err)
	}
	group, err := names.Group("checkout")
	if err != nil {
		t.Fatal(err)
	}
	physical, err := names.Topic("orders")
	if err != nil {
		t.Fatal(err)
	}
	asked, got := newTally(), newTally()
	theirs := peer.ClientGo.Produce(t, peer.ProducerConfig{NameServers: on.servers, Group: group, Transact: true})
	ours := checking(t, client, func(_ context.Context, m *rocketkit.Message) error { asked.add(string(m.Body())); return nil })
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{"orders": {
		Handler: func(_ context.Context, m *rocketkit.Message) error { got.add(string(m.Body())); return nil },
	}}})
	sends := map[string]func(i int) error{
		"theirs": func(i int) error {
			_, err := theirs.Send(t.Context(), peer.Message{Topic: physical, Body: fmt.Appendf(nil, "theirs-%d", i)})
			return err
		},
		"ours": func(i int) error {
			_, err := ours.Transact(t.Context(), producer.Message{Topic: "orders", Body: fmt.Appendf(nil, "ours-%d", i)}, leaveOpen)
			if errors.Is(err, producer.ErrLeftToCheck) {
				return nil
			}
			return err
		},
	}
	for i := range n {
		for _, send := range sends {
			if err := send(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	got.awaitDistinct(t, 2*n)
	for who, send := range sends {
		i := n
		eventually(t, "ours asked about "+who, func() bool {
			for body := range asked.all() {
				if strings.HasPrefix(body, who) {
					return true
				}
			}
			if err := send(i); err != nil { // a broker asks in turn, and others' questions may have had our turns
				t.Fatal(err)
			}
			i++
			return false
		})
	}
}

// checking makes a producer of the group "checkout" that the brokers ask.
func checking(t *testing.T, client *rocketkit.Client, check func(context.Context, *rocketkit.Message) error) *producer.Producer {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "checkout", Check: check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the brokers know the producer", func() bool { return p.Transactions().Asking > 0 })
	return p
}

// A broker counts how often it has asked, says so, and gives up.
func testCheckLimit(t *testing.T, on market) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	asked := newTally()
	p := checking(t, client, func(_ context.Context, m *rocketkit.Message) error {
		times, _ := m.Property("TRANSACTION_CHECK_TIMES")
		asked.add(times)
		return errNotKnown
	})
	began, err := p.Transact(t.Context(), producer.Message{Topic: "orders", Body: []byte("x")}, leaveOpen)
	if !errors.Is(err, producer.ErrLeftToCheck) {
		t.Fatal(err)
	}
	asked.awaitDistinct(t, 4)
	eventually(t, "the stats say so", func() bool { return p.Transactions().CheckOpen >= 4 })
	s := p.Transactions()
	if s.Oldest == nil || s.Oldest.ID != began.ID || s.Oldest.Topic != "orders" || s.Oldest.Checks != 4 || s.Oldest.Error == "" {
		t.Errorf("%+v, oldest %+v", s, s.Oldest)
	}
	if all := asked.all(); all["1"] != 1 || all["4"] != 1 || len(all) != 4 {
		t.Errorf("asked %v", all)
	}
	givenUp := newTally()
	plain := on.open(t, "")
	eventually(t, "the broker has given up", func() bool { return exists(t, plain, "TRANS_CHECK_MAX_TIME_TOPIC") })
	run(t, plain, consumer.Config{Group: "undertaker", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"TRANS_CHECK_MAX_TIME_TOPIC": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			givenUp.add(m.ID())
			return nil
		}},
	}})
	givenUp.await(t, "the message given up", func(ids map[string]int) bool { return ids[began.ID] == 1 })
}
