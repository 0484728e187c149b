package producer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

func TestStatsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "red%orders", 4, "a", "b")
		busy := true
		f.answer = func(sent) (int32, string) {
			if busy {
				busy = false
				return protocol.CodeSystemBusy, "busy"
			}
			time.Sleep(time.Millisecond)
			return 0, ""
		}
		p := f.producer("red", producer.Config{Compression: producer.Compression{Algorithm: producer.Zlib}})
		if s := p.Stats(); !reflect.DeepEqual(s, producer.Stats{Topics: map[string]producer.TopicStats{}, Failures: []producer.Failure{}}) {
			t.Errorf("of an unused Producer: %+v", s)
		}
		body := []byte("12345")
		for i := range 20 {
			if i == 1 {
				time.Sleep(time.Second) // until the one that was busy is tried again
			}
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		s := p.Stats()
		if s.Sent != 20 || s.Retried != 1 || s.Failed != 0 || s.Bytes != 100 || s.InFlight != 0 || len(s.Failures) != 0 {
			t.Errorf("%+v", s)
		}
		if len(s.Topics) != 1 || len(s.Topics["orders"].Brokers) != 2 {
			t.Fatalf("topics %+v", s.Topics)
		}
		for i, b := range s.Topics["orders"].Brokers {
			if b.Broker != string("ab"[i]) || b.Latency != time.Millisecond || b.InFlight != 0 {
				t.Errorf("%+v", b)
			}
		}
		if _, err := p.SendBatch(t.Context(), []producer.Message{{Topic: "orders", Body: body}, {Topic: "orders", Body: body}}); err != nil {
			t.Fatal(err)
		}
		if err := p.SendOneWay(t.Context(), producer.Message{Topic: "orders", Body: bytes.Repeat(body, 10_000)}); err != nil {
			t.Fatal(err)
		}
		if s := p.Stats(); s.Sent != 23 || s.Bytes < 110 || s.Bytes > 1000 {
			t.Errorf("with a batch and a compressed message: %+v", s)
		}
	})
}

// The ring has the newest failures, with all that was known of them.
func TestStatsTellOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "red%orders", 4, "a")
		f.answer = func(s sent) (int32, string) {
			return protocol.CodeMessageIllegal, "the topic red%orders won't have " + string(s.body)
		}
		p := f.producer("red", producer.Config{})
		for i := range 70 {
			m := producer.Message{Topic: "orders", Body: fmt.Append(nil, i), Queue: rocketkit.Queue{Broker: "a", ID: 3}}
			if _, err := p.Send(t.Context(), m); err == nil {
				t.Fatal("no error")
			}
		}
		s := p.Stats()
		if s.Failed != 70 || s.Sent != 0 || len(s.Failures) != 64 {
			t.Fatalf("%d failed, %d in the ring", s.Failed, len(s.Failures))
		}
		for i, got := range s.Failures {
			if !strings.HasSuffix(got.Error, fmt.Sprintf("the topic orders won't have %d", i+6)) || got.Attempts != 1 || len(got.ID) != 32 ||
				got.Queue != (rocketkit.Queue{Topic: "orders", Broker: "a", ID: 3}) || got.Topic != "orders" || got.Messages != 1 || !got.Time.Equal(time.Now()) {
				t.Errorf("%d: %+v", i, got)
			}
		}

		f.stop("a:10911")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, _ = p.SendBatch(ctx, []producer.Message{{Topic: "orders", Body: []byte("x")}, {Topic: "orders", Body: []byte("x")}})
		_, _ = p.Send(t.Context(), producer.Message{Topic: "odrers", Body: []byte("x")})
		_, _ = p.Send(t.Context(), producer.Message{Topic: "orders"}) // refused before anything is tried
		s = p.Stats()
		away, unknown := s.Failures[62], s.Failures[63]
		if away.Messages != 2 || away.Took != 3*time.Second || away.Attempts < 2 || away.Queue.Broker != "a" || !strings.Contains(away.Error, "deadline") {
			t.Errorf("broker that is away: %+v", away)
		}
		if unknown.Topic != "odrers" || unknown.Queue != (rocketkit.Queue{}) || s.Failed != 73 {
			t.Errorf("unknown topic: %+v, %d failed", unknown, s.Failed)
		}

		text, err := json.Marshal(s)
		if err != nil || strings.Contains(string(text), "red%") {
			t.Errorf("as JSON: %s, %v", text, err)
		}
	})
}

// Brokers are "avoided" with the reason, or "slow".
func TestStatsTellHowBrokersStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pacedCluster(t, "a", "b", "c")
		p := c.producer("", producer.Config{})
		c.sendFor(t, p, 1, time.Second, producer.Message{})
		c.set("b", 300*time.Millisecond)
		c.sendFor(t, p, 1, time.Second, producer.Message{})
		c.stop("c:10911")
		synctest.Wait()
		c.sendFor(t, p, 1, 50*time.Millisecond, producer.Message{})
		s := p.Stats()
		brokers := s.Topics["orders"].Brokers
		if len(brokers) != 3 {
			t.Fatalf("%+v", brokers)
		}
		for i, want := range []string{"well", "slow", "avoided"} {
			if b := brokers[i]; b.Standing != want || (b.Why != "") != (want == "avoided") {
				t.Errorf("%+v, want it %s", b, want)
			}
		}
		if !strings.Contains(brokers[2].Why, "connection refused") && !strings.Contains(brokers[2].Why, "c:10911") {
			t.Errorf("why: %s", brokers[2].Why)
		}
	})
}
