package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/telemetry"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// service fails in every way a handler can, by what the body says.
func service(_ context.Context, m *rocketkit.Message) error {
	switch body := string(m.Body()); {
	case body == "retry" && m.Attempt() == 1:
		return consumer.RetryIn(time.Second, errLedgerBusy)
	case body == "panic" && m.Attempt() == 1:
		panic("the ledger is gone")
	case body == "hopeless":
		return consumer.DeadLetter(errLedgerBusy)
	case body == "useless":
		return consumer.Drop(errLedgerBusy)
	case body == "slow":
		time.Sleep(2 * time.Second)
	case body == "exhausting":
		return errLedgerBusy
	}
	return nil
}

func TestWhatHappensIsCounted(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"red%orders": 4}}, func(r *rig) {
		client := r.open(r.measured("red"))
		p := r.producer(client)
		stop := r.consume(context.Background(), client, consumer.Config{
			Group: "billing", Retries: 2,
			Topics: map[string]consumer.Topic{"orders": {Handler: service, Timeout: time.Second, Workers: 3, MaxWorkers: 5}},
		})
		for _, body := range []string{"fine", "fine", "retry", "panic", "hopeless", "useless", "slow", "exhausting"} {
			r.send(p, producer.Message{Topic: "orders", Body: []byte(body), Keys: []string{"key-of-" + body}})
		}
		if _, err := p.SendBatch(r.Context(), []producer.Message{{Topic: "orders", Body: []byte("fine")}, {Topic: "orders", Body: []byte("fine")}}); err != nil {
			r.Fatal(err)
		}
		if _, err := p.Send(r.Context(), producer.Message{Topic: "nowhere", Body: []byte("fine")}); !errors.Is(err, rocketkit.ErrNoRoute) {
			r.Fatal(err)
		}
		red, err := r.cluster.Tenant("red")
		if err != nil {
			r.Fatal(err)
		}
		if err := errors.Join(red.WaitDeadLetters(r.Context(), "billing", 2), red.WaitConsumed(r.Context(), "billing", "orders")); err != nil {
			r.Fatal(err)
		}
		synctest.Wait()
		all := r.read()
		for _, c := range []struct {
			metric     string
			want       float64
			attributes []string
		}{
			{"messaging.client.sent.messages", 10, []string{"messaging.destination.name", "orders", "error.type", ""}},
			{"messaging.client.sent.messages", 1, []string{"messaging.destination.name", "nowhere", "error.type", "no_route"}},
			{"messaging.client.operation.duration", 9, []string{"messaging.operation.name", "send", "messaging.destination.name", "orders"}},
			{"messaging.client.consumed.messages", 14, nil}, // 10, and 1 + 1 + 2 of them again
			{"messaging.client.consumed.messages", 7, []string{"error.type", ""}},
			{"messaging.process.duration", 14, nil},
			{"messaging.process.duration", 1, []string{"error.type", "panic"}},
			{"messaging.process.duration", 3, []string{"error.type", "retry"}},
			{"messaging.process.duration", 2, []string{"error.type", "dead_letter"}},
			{"rocketkit.consumer.delay", 14, []string{"messaging.consumer.group.name", "billing"}},
			{"rocketkit.consumer.retries", 4, nil},
			{"rocketkit.consumer.dead_letters", 2, nil},
			{"rocketkit.consumer.dropped", 1, nil},
			{"rocketkit.consumer.timeouts", 1, nil},
			{"rocketkit.consumer.lag", 0, []string{"messaging.destination.name", "orders"}},
			{"rocketkit.consumer.queues", 4, []string{"messaging.destination.name", "orders"}},
			{"rocketkit.consumer.queues", 1, []string{"messaging.destination.name", "%RETRY%billing"}},
			{"rocketkit.consumer.workers.core", 3, nil},
			{"rocketkit.consumer.workers.max", 5, nil},
		} {
			if _, ok := all[c.metric]; !ok {
				r.Errorf("there is no %s", c.metric)
			}
			if got := sum(all[c.metric], c.attributes...); got != c.want {
				r.Errorf("%s %v: %v, want %v: %v", c.metric, c.attributes, got, c.want, points(all[c.metric]))
			}
		}
		lowCardinality(r)
		stop()
		if _, ok := r.read()["rocketkit.consumer.lag"]; ok {
			r.Error("a consumer that has ended is still shown")
		}
	})
}

// lowCardinality fails the test when a metric has an attribute whose values grow with the messages, or names a tenant's
// topic or group as brokers do.
func lowCardinality(r *rig) {
	r.Helper()
	for name, m := range r.read() {
		for _, p := range points(m) {
			for _, a := range p.attributes.ToSlice() {
				switch a.Key {
				case "messaging.system", "messaging.operation.name", "messaging.operation.type", "messaging.destination.name",
					"messaging.consumer.group.name", "messaging.rocketmq.namespace", "error.type", "rocketkit.producer.group.name":
				default:
					r.Errorf("%s has the attribute %s", name, a.Key)
				}
				if strings.Contains(a.Value.AsString(), "red%") || strings.Contains(a.Value.AsString(), "key-of") {
					r.Errorf("%s has %s=%q", name, a.Key, a.Value.AsString())
				}
			}
			if tenant, _ := p.attributes.Value("messaging.rocketmq.namespace"); tenant.AsString() != "red" {
				r.Errorf("%s is of tenant %q: %v", name, tenant.AsString(), p.attributes.ToSlice())
			}
		}
	}
}

// Two members of one group in one process, as a platform may have, show their sum.
func TestMembersOfOneProcessAddUp(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 4}}, func(r *rig) {
		held := make(chan struct{})
		handle := func(context.Context, *rocketkit.Message) error { <-held; return nil }
		cfg := consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: handle, Workers: 2}}}
		for range 2 {
			r.consume(context.Background(), r.open(r.measured("")), cfg)
		}
		p := r.producer(r.open(r.cluster.Config()))
		time.Sleep(time.Minute) // for the queues to be shared out, on the bubble's clock
		for range 40 {
			r.send(p, producer.Message{Topic: "orders", Body: []byte("fine")})
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		all := r.read()
		for metric, want := range map[string]float64{
			"rocketkit.consumer.queues": 4, "rocketkit.consumer.lag": 40, "rocketkit.consumer.active": 4, "rocketkit.consumer.waiting": 36,
			"rocketkit.consumer.workers": 4, "rocketkit.consumer.cached": 40,
		} {
			if got := sum(all[metric], "messaging.destination.name", "orders"); got != want {
				r.Errorf("%s: %v, want %v", metric, got, want)
			}
		}
		if got := sum(all["rocketkit.consumer.longest"]); got < 9 || got > 11 {
			r.Errorf("the oldest handler runs for %v s, want 10", got)
		}
		close(held)
	})
}

// Pulling stops when a topic holds as much as it may; that is counted.
func TestFlowControlIsCounted(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"orders": 1}}, func(r *rig) {
		held := make(chan struct{})
		client := r.open(r.measured(""))
		p := r.producer(client)
		for range 40 {
			batch := make([]producer.Message, 50)
			for i := range batch {
				batch[i] = producer.Message{Topic: "orders", Body: []byte("fine")}
			}
			if _, err := p.SendBatch(r.Context(), batch); err != nil {
				r.Fatal(err)
			}
		}
		handle := func(context.Context, *rocketkit.Message) error { <-held; return nil }
		r.consume(context.Background(), client, consumer.Config{
			Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: handle, Workers: 1, Timeout: -1}},
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := sum(r.read()["rocketkit.consumer.flow_control"], "messaging.destination.name", "orders"); got != 1 {
			r.Errorf("%v pauses, want 1", got)
		}
		close(held)
	})
}

// Which settings document is in force is shown, and how many were refused; and a topic that is paused.
func TestSettingsAreShown(t *testing.T) {
	bubble(t, mqtest.Config{Topics: map[string]int{"red%orders": 1}}, func(r *rig) {
		id, source := dynconf.ID{Tenant: "red", Group: "billing"}, dynconf.NewMemory()
		put := func(rev int64, spec string) {
			text, err := dynconf.Document{Rev: rev, At: time.Now(), Spec: json.RawMessage(spec)}.Encode(id, nil)
			if err != nil {
				r.Fatal(err)
			}
			source.Set(id, text)
			synctest.Wait()
		}
		r.consume(context.Background(), r.open(r.measured("red")), consumer.Config{
			Group: "billing", Settings: source, Topics: map[string]consumer.Topic{"orders": {Handler: service}},
		})
		shown := func(rev, refused, paused, core float64) {
			r.Helper()
			all := r.read()
			for metric, want := range map[string]float64{
				"rocketkit.consumer.settings.rev": rev, "rocketkit.consumer.settings.refused": refused,
				"rocketkit.consumer.paused": paused, "rocketkit.consumer.workers.core": core,
			} {
				if got := sum(all[metric], "messaging.consumer.group.name", "billing"); got != want {
					r.Errorf("%s: %v, want %v: %v", metric, got, want, points(all[metric]))
				}
			}
			if got := sum(all["rocketkit.consumer.settings.refused"], "error.type", "invalid"); got != refused {
				r.Errorf("%v invalid documents, want %v", got, refused)
			}
		}
		shown(0, 0, 0, 16)
		put(5, `{"topics":{"orders":{"workers":4,"pause":true}}}`)
		shown(5, 0, 1, 4)
		put(6, `{"topics":{"orders":{"workers":-4}}}`)
		shown(5, 1, 1, 4)
		put(7, `{}`)
		shown(7, 1, 0, 16)
		lowCardinality(r)
	})
}

// Topics that don't exist may be any number, and have no name of their own from some thousand on.
func TestNamesOfTopicsAreBounded(t *testing.T) {
	bubble(t, mqtest.Config{}, func(r *rig) {
		p := r.producer(r.open(r.measured("")))
		for i := range 1100 {
			if _, err := p.Send(r.Context(), producer.Message{Topic: fmt.Sprintf("guess-%d", i), Body: []byte("x")}); err == nil {
				r.Fatal("sent to a topic that doesn't exist")
			}
		}
		all := r.read()
		if n := len(points(all["messaging.client.operation.duration"])); n != 1001 {
			r.Errorf("%d series", n)
		}
		if got := sum(all["messaging.client.operation.duration"], "messaging.destination.name", "_OTHER"); got != 100 || math.IsNaN(got) {
			r.Errorf("%v sends to others, want the last hundred", got)
		}
	})
}

// What the conventions name is named so, with their units; what they don't is ours.
func TestNamesAreTheConventions(t *testing.T) {
	t.Parallel()
	meter := noop.NewMeterProvider().Meter("")
	type named interface {
		Name() string
		Unit() string
	}
	theirs := map[string]string{}
	note := func(n named, err error) {
		if err != nil {
			t.Fatal(err)
		}
		theirs[n.Name()] = n.Unit()
	}
	duration, err := messagingconv.NewClientOperationDuration(meter)
	note(duration, err)
	sent, err := messagingconv.NewClientSentMessages(meter)
	note(sent, err)
	consumed, err := messagingconv.NewClientConsumedMessages(meter)
	note(consumed, err)
	processed, err := messagingconv.NewProcessDuration(meter)
	note(processed, err)
	for _, i := range telemetry.Instruments() {
		unit, known := theirs[i.Name]
		switch {
		case known && unit != i.Unit:
			t.Errorf("%s is in %s, want %s", i.Name, i.Unit, unit)
		case !known && !strings.HasPrefix(i.Name, "rocketkit."):
			t.Errorf("%s is neither of the conventions nor ours", i.Name)
		case i.Description == "" || (i.Kind == telemetry.Histogram) != (len(i.Bounds) > 0):
			t.Errorf("%+v", i)
		}
		delete(theirs, i.Name)
	}
	if len(theirs) > 0 {
		t.Errorf("missing: %v", theirs)
	}
	for _, key := range []attribute.Key{
		semconv.MessagingSystemKey, semconv.MessagingOperationNameKey, semconv.MessagingOperationTypeKey, semconv.MessagingDestinationNameKey,
		semconv.MessagingConsumerGroupNameKey, semconv.MessagingRocketMQNamespaceKey, semconv.ErrorTypeKey,
	} {
		if !strings.Contains(strings.Join(telemetry.Keys(), " "), string(key)) {
			t.Errorf("no metric has the convention's %s", key)
		}
	}
}
