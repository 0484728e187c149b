package conformance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/producer"
)

func numberOf(body string) int {
	n, _ := strconv.Atoi(body[strings.LastIndexByte(body, '-')+1:])
	return n
}

// A message that always fails is delivered 1 + Retries times, then lies in the dead-letter topic with its properties.
func TestRetriesThenDeadLetter(t *testing.T) { onEach(t, testRetriesThenDeadLetter) }

func testRetriesThenDeadLetter(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	attempts := newTally()
	run(t, client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(), Retries: 2,
		Topics: map[string]consumer.Topic{"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			attempts.add(fmt.Sprintf("%s attempt %d of %s", m.Topic(), m.Attempt(), m.Body()))
			return consumer.RetryIn(time.Second, errors.New("always"))
		}}},
	})
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	receipt, err := p.Send(t.Context(), producer.Message{
		Topic: "orders", Body: []byte("bad"), Tag: "created", Keys: []string{"k1", "k2"}, Properties: map[string]string{"from": "here"},
	})
	if err != nil {
		t.Fatal(err)
	}
	attempts.awaitDistinct(t, 3)
	for i := 1; i <= 3; i++ {
		if n := attempts.count(fmt.Sprintf("orders attempt %d of bad", i)); n != 1 {
			t.Errorf("attempt %d came %d times", i, n)
		}
	}
	letter := make(chan *rocketkit.Message, 1)
	eventually(t, "dead-letter topic", func() bool { return exists(t, client, "%DLQ%billing") })
	run(t, client, consumer.Config{
		Group: "undertaker", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"%DLQ%billing": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			letter <- m
			return nil
		}}},
	})
	select {
	case m := <-letter:
		from, _ := m.Property("from")
		if m.ID() != receipt.ID || string(m.Body()) != "bad" || m.Tag() != "created" || fmt.Sprint(m.Keys()) != "[k1 k2]" || from != "here" {
			t.Errorf("dead letter %s %q %q %v %q, sent %s", m.ID(), m.Body(), m.Tag(), m.Keys(), from, receipt.ID)
		}
	case <-time.After(patience):
		t.Fatal("no dead letter")
	}
}

// Panics and time-outs are failures like any other; Drop and DeadLetter end a message at once.
func TestVerdicts(t *testing.T) { onEach(t, testVerdicts) }

func testVerdicts(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	got := newTally()
	run(t, client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Timeout: 100 * time.Millisecond, Handler: func(ctx context.Context, m *rocketkit.Message) error {
			body := string(m.Body())
			got.add(body)
			switch {
			case body == "drop":
				return consumer.Drop(errors.New("not wanted"))
			case body == "dead":
				return consumer.DeadLetter(errors.New("not possible"))
			case m.Attempt() > 1:
				return nil
			case body == "panic":
				panic("on purpose")
			case body == "timeout":
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}},
	})
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for _, body := range []string{"drop", "dead", "panic", "timeout"} {
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	got.await(t, "second deliveries", func(counts map[string]int) bool { return counts["panic"] == 2 && counts["timeout"] == 2 })
	if got.count("drop") != 1 || got.count("dead") != 1 {
		t.Errorf("dropped and dead-lettered messages came again: %v", got.all())
	}
	eventually(t, "dead-letter topic", func() bool { return exists(t, client, "%DLQ%billing") })
}

// Where a group begins holds on topics so young that the broker, asked as Apache's clients ask, would say 0.
func TestStartPosition(t *testing.T) { onEach(t, testStartPosition) }

func testStartPosition(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	send(t, client, "orders", "old", 40)
	time.Sleep(5 * time.Millisecond) // "at" must lie between two store times
	middle := time.Now()
	time.Sleep(5 * time.Millisecond)
	send(t, client, "orders", "middle", 40)
	starts := map[string]consumer.Start{"latest": consumer.Latest(), "earliest": consumer.Earliest(), "at": consumer.At(middle)}
	want := map[string]int{"latest": 40, "at": 80, "earliest": 120}
	got := map[string]*tally{}
	for name, start := range starts {
		seen := newTally()
		got[name] = seen
		run(t, client, consumer.Config{Group: name, Start: start, Topics: map[string]consumer.Topic{
			"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error { seen.add(string(m.Body())); return nil }},
		}})
	}
	send(t, client, "orders", "new", 40)
	for name, seen := range got {
		if name == "at" && on.before("5") {
			// Such a broker finds the nearest message, which may be one before, in each of the 8 queues.
			seen.await(t, name, func(counts map[string]int) bool { return len(counts) >= want[name] })
			if n := len(seen.all()); n > want[name]+8 {
				t.Errorf("at: %d messages", n)
			}
			continue
		}
		seen.await(t, name, func(counts map[string]int) bool { return len(counts) == want[name] })
		for body, n := range seen.all() {
			if n != 1 {
				t.Errorf("%s: %s came %d times", name, body, n)
			}
		}
	}
}

// Brokers filter tags by Java's hash of them, which "Aa" and "BB" share; the consumer checks the tag itself.
func TestTags(t *testing.T) { onEach(t, testTags) }

func testTags(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "orders")
	got := newTally()
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"orders": {Tags: []string{"Aa", "end"}, Handler: func(_ context.Context, m *rocketkit.Message) error {
			got.add(m.Tag())
			return nil
		}},
	}})
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for _, tag := range []string{"BB", "Aa", "C", "", "end"} {
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Tag: tag, Body: []byte("x"), ShardingKey: "one queue"}); err != nil {
			t.Fatal(err)
		}
	}
	got.await(t, "the last tag", func(counts map[string]int) bool { return counts["end"] == 1 })
	eventually(t, "filtered messages are passed over", func() bool { return committed(t, client, "billing", "orders") == 5 })
	if all := got.all(); len(all) != 2 || all["Aa"] != 1 {
		t.Errorf("got %v, want Aa and end once each", all)
	}
}

// A slow topic doesn't hold back another of the same consumer.
func TestSlowTopicStarvesNobody(t *testing.T) { onEach(t, testSlowTopicStarvesNobody) }

func testSlowTopicStarvesNobody(t *testing.T, on target) {
	client := on.open(t, tenantOf(t, ""))
	topic(t, client, "slow")
	topic(t, client, "quick")
	release := make(chan struct{})
	var once sync.Once
	free := func() { once.Do(func() { close(release) }) }
	t.Cleanup(free)
	got := newTally()
	run(t, client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"slow":  {Workers: 1, Handler: func(context.Context, *rocketkit.Message) error { <-release; return nil }},
		"quick": {Handler: func(_ context.Context, m *rocketkit.Message) error { got.add(string(m.Body())); return nil }},
	}})
	send(t, client, "slow", "s", 2000)
	send(t, client, "quick", "q", 500)
	got.awaitDistinct(t, 500)
	free()
}
