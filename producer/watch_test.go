package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
	"github.com/rocketkit/rocketkit/mqtest"
)

// spy is a hook that notes what it is told, and adds a property to each message.
type spy struct {
	name  string
	off   bool
	value string
	told  *[]string
}

type spyKey struct{ name string }

func (s *spy) On() bool { return !s.off }

func (s *spy) Sending(ctx context.Context, send *hook.Sending) context.Context {
	for i := range send.Messages {
		m := &send.Messages[i]
		*s.told = append(*s.told, fmt.Sprintf("%s: %s to %s of %d, %s %v %v %d bytes", s.name, send.Group, send.Topic, len(send.Messages), m.Tag, m.Keys, m.Own, m.Size))
		m.Properties = append(m.Properties, hook.Property{Name: s.name, Value: s.value})
	}
	return context.WithValue(ctx, spyKey{s.name}, true)
}

func (s *spy) Sent(ctx context.Context, send *hook.Sending, r *hook.Sent) {
	same := ctx.Value(spyKey{s.name}) == true
	*s.told = append(*s.told, fmt.Sprintf("%s: sent %s, failed=%t, attempts=%d, stored=%t, its context=%t",
		s.name, send.Messages[0].ID, r.Err != nil, r.Attempts, r.Queue.Broker != "" && r.OffsetID != "" && r.Address != "", same))
}

// watchedBy runs a test with a Producer that hooks watch.
func watchedBy(t *testing.T, test func(t *testing.T, cluster *mqtest.Cluster, p *Producer, hooks []*spy, told *[]string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 1}, Logger: slog.New(slog.DiscardHandler)})
		cfg := cluster.Config()
		cfg.Tenant = "red"
		client, err := rocketkit.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(client, Config{Group: "checkout"})
		if err != nil {
			t.Fatal(err)
		}
		told := &[]string{}
		hooks := []*spy{{name: "a", value: "1", told: told}, {name: "off", value: "1", off: true, told: told}, {name: "b", value: "2", told: told}}
		p.hooks = []hook.Sender{hooks[0], hooks[1], hooks[2]}
		test(t, cluster, p, hooks, told)
		if err := errors.Join(p.Close(context.Background()), client.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
}

// Hooks are told of each send, by logical names, and what they add is stored with each message.
func TestHooksAreToldOfSends(t *testing.T) {
	watchedBy(t, func(t *testing.T, cluster *mqtest.Cluster, p *Producer, _ []*spy, told *[]string) {
		m := Message{Topic: "orders", Body: []byte("two"), Tag: "paid", Keys: []string{"k"}, Properties: map[string]string{"city": "Berlin"}}
		receipt, err := p.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		of := ": checkout to orders of 1, paid [k] map[city:Berlin] 3 bytes"
		sent := ": sent " + receipt.ID + ", failed=false, attempts=1, stored=true, its context=true"
		if want := []string{"a" + of, "b" + of, "b" + sent, "a" + sent}; !slices.Equal(*told, want) {
			t.Errorf("told\n%q, want\n%q", *told, want)
		}
		if _, err := p.SendBatch(t.Context(), []Message{m, m}); err != nil {
			t.Fatal(err)
		}
		stored := cluster.Messages("red%orders")
		if len(stored) != 3 {
			t.Fatalf("%d stored", len(stored))
		}
		for _, m := range stored {
			a, _ := m.Property("a")
			b, _ := m.Property("b")
			if city, _ := m.Property("city"); a != "1" || b != "2" || city != "Berlin" {
				t.Errorf("stored with a=%q b=%q city=%q", a, b, city)
			}
		}
	})
}

// Hooks are told why a send failed.
func TestHooksAreToldOfFailures(t *testing.T) {
	watchedBy(t, func(t *testing.T, cluster *mqtest.Cluster, p *Producer, _ []*spy, told *[]string) {
		cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Code: 13}) // MESSAGE_ILLEGAL of ResponseCode
		if _, err := p.Send(t.Context(), Message{Topic: "orders", Body: []byte("x")}); err == nil {
			t.Fatal("no error")
		}
		if last := (*told)[len(*told)-1]; !strings.HasSuffix(last, "failed=true, attempts=1, stored=false, its context=true") {
			t.Errorf("told %q", *told)
		}
	})
}

// What hooks add never makes a send fail: where there is no room for it, the message goes without.
func TestWhatHooksAddMakesNoSendFail(t *testing.T) {
	watchedBy(t, func(t *testing.T, cluster *mqtest.Cluster, p *Producer, hooks []*spy, _ *[]string) {
		hooks[0].value = strings.Repeat("x", 40_000)
		m := Message{Topic: "orders", Body: []byte("x"), Properties: map[string]string{"city": "Berlin"}}
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Error(err)
		}
		if _, err := p.SendBatch(t.Context(), []Message{m}); err != nil {
			t.Error(err)
		}
		for _, m := range cluster.Messages("red%orders") {
			_, a := m.Property("a")
			if city, _ := m.Property("city"); a || city != "Berlin" {
				t.Errorf("stored with city=%q, and with the property that is too long: %t", city, a)
			}
		}
		p.cfg.MaxMessageSize = 2048
		hooks[0].value = strings.Repeat("x", 400)
		stored := len(cluster.Messages("red%orders"))
		if _, err := p.SendBatch(t.Context(), []Message{{Topic: "orders", Body: make([]byte, 800)}, {Topic: "orders", Body: make([]byte, 800)}}); err != nil {
			t.Error(err)
		}
		if _, err := p.SendBatch(t.Context(), []Message{{Topic: "orders", Body: make([]byte, 1200)}, {Topic: "orders", Body: make([]byte, 1200)}}); err == nil {
			t.Error("a batch that is too large by itself was sent")
		}
		if n := len(cluster.Messages("red%orders")) - stored; n != 2 {
			t.Errorf("%d messages of batches stored", n)
		}
		m.Properties["city"] = strings.Repeat("x", 40_000)
		if _, err := p.Send(t.Context(), m); err == nil {
			t.Error("the caller's own properties are too long, and the send succeeded")
		}
	})
}
