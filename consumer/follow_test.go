package consumer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/engine"
	"github.com/rocketkit/rocketkit/mqtest"
)

// settings are a group's, in memory.
type settings struct {
	*testing.T
	dynconf.Memory
	id  dynconf.ID
	rev int64
}

// put writes the next document; one without a spec says that there is none any more.
func (s *settings) put(spec string, change ...func(*dynconf.Document)) {
	s.Helper()
	s.rev++
	d := dynconf.Document{Rev: s.rev, At: time.Now(), By: "alice", Spec: json.RawMessage(spec), Deleted: spec == ""}
	for _, c := range change {
		c(&d)
	}
	text, err := d.Encode(s.id, nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Set(s.id, text)
}

// A settings document is in force before the first message is handled, each new one at once, and in the end the program's
// own settings are again: for members of clustering and of broadcasting groups.
func TestConsumerFollowsItsDocument(t *testing.T) {
	for name, broadcast := range map[string]bool{"clustering": false, "broadcasting": true} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, mqtest.Config{Topics: map[string]int{"red%orders": 8}}, func(t *testing.T, cluster *mqtest.Cluster) {
				client := openOn(t, cluster, "red")
				source := &settings{T: t, id: dynconf.ID{Tenant: "red", Group: "billing"}}
				source.put(`{"topics":{"orders":{"workers":3}}}`)
				var now, most atomic.Int32
				cfg := consumer.Config{
					Group: "billing", Start: consumer.Earliest(), Settings: source,
					Topics: map[string]consumer.Topic{"orders": {Workers: 8, Handler: func(context.Context, *rocketkit.Message) error {
						most.Store(max(most.Load(), now.Add(1)))
						defer now.Add(-1)
						time.Sleep(time.Second)
						return nil
					}}},
				}
				if broadcast {
					cfg.Offsets = memory{}
					cfg = cfg.Adjusted(func(e *engine.Config) { e.Broadcast = true })
				}
				bodies := make([]string, 200)
				for i := range bodies {
					bodies[i] = fmt.Sprint(i)
				}
				sendTo(t, client, "orders", bodies...)
				c := run(t, client, cfg)
				for _, step := range []struct {
					spec    string
					workers int32
				}{
					{"", 3}, {`{"topics":{"orders":{"workers":20}}}`, 20}, {`{"topics":{"orders":{"workers":1}}}`, 1},
					{`{"topics":{"orders":{"pause":true}}}`, 0}, {`{}`, 8},
				} {
					if step.spec != "" {
						source.put(step.spec)
					}
					time.Sleep(2500 * time.Millisecond) // those that ran have returned
					synctest.Wait()
					most.Store(now.Load())
					time.Sleep(2 * time.Second)
					if most.Load() != step.workers {
						t.Errorf("%s: at most %d at once, want %d", step.spec, most.Load(), step.workers)
					}
					if s := c.Stats().Settings; s.Rev != source.rev || s.By != "alice" || s.From != "memory" || s.Error != "" {
						t.Errorf("%s: %+v", step.spec, s)
					}
				}
			})
		})
	}
}

// run is a consumer that runs until the test ends.
func run(t *testing.T, client *rocketkit.Client, cfg consumer.Config) *consumer.Consumer {
	t.Helper()
	c, err := consumer.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-c.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("Run returned %v", err)
	}
	return c
}

// What is refused changes nothing and is shown, to the program and to operators' tools; so is what holds.
func TestDocumentsAreReported(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"red%orders": 2}}, func(t *testing.T, cluster *mqtest.Cluster) {
		client := openOn(t, cluster, "red")
		source := &settings{T: t, id: dynconf.ID{Tenant: "red", Group: "billing"}}
		c := run(t, client, consumer.Config{Group: "billing", Settings: source, Topics: map[string]consumer.Topic{"orders": {Handler: (&bodies{}).handle}}})
		told := func() (admin.MemberSettings, admin.Pool) {
			t.Helper()
			synctest.Wait()
			info, err := admin.New(client).RunningInfo(t.Context(), "billing", client.ID(), false)
			if err != nil {
				t.Fatal(err)
			}
			s, follows := info.Settings()
			if !follows || len(info.Pools()) != 1 {
				t.Fatalf("%+v", info.Properties)
			}
			return s, info.Pools()[0]
		}
		if s, _ := told(); s.Rev != 0 || s.Error != "" {
			t.Errorf("without a document: %+v", s)
		}
		expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		source.put(`{"color":1,"a\nsettings: rev=9":2,"topics":{"orders":{"workers":5,"maxWorkers":9,"timeout":"45s","rate":5}}}`, func(d *dynconf.Document) {
			d.Expires, d.By = expires, `"al" ice=5`
		})
		s, p := told()
		if s.Rev != 1 || s.From != "memory" || s.By != `"al" ice=5` || !s.Expires.Equal(expires) || s.Error != "" || time.Since(s.At) > time.Minute ||
			!slices.Equal(s.Unknown, []string{"color", `a\nsettings:\x20rev=9`}) || !slices.Equal(s.Unapplied, []string{"topics.orders.rate"}) {
			t.Errorf("member says %+v", s)
		}
		if p != (admin.Pool{Topic: "orders", Core: 5, Max: 9, Timeout: 45 * time.Second}) {
			t.Errorf("member says %+v", p)
		}
		source.put(`{"topics":{"orders":{"workers":5000}}}`)
		s, p = told()
		if s.Rev != 1 || s.ErrorRev != 2 || s.Reason != string(dynconf.Invalid) || !strings.Contains(s.Error, "topics.orders.workers: 5000") || s.Since.IsZero() || p.Core != 5 {
			t.Errorf("after a bad document the member says %+v, %+v", s, p)
		}
		if own := c.Stats().Settings; own.Error != s.Error || own.Refused[dynconf.Invalid] != 1 {
			t.Errorf("%+v", own)
		}
		time.Sleep(2 * time.Hour)
		if s, p = told(); !s.Expired || p.Core != 16 {
			t.Errorf("after it has expired the member says %+v, %+v", s, p)
		}
		source.put(``)
		if s, p = told(); !s.Deleted || s.Rev != 3 || s.Error != "" || p.Core != 16 {
			t.Errorf("after the tombstone the member says %+v, %+v", s, p)
		}
	})
}

// deaf is a source that never says anything.
type deaf struct{}

func (deaf) Watch(ctx context.Context, _ dynconf.ID, _ func(string, error)) { <-ctx.Done() }
func (deaf) String() string                                                 { return "nowhere" }

// A source that says nothing holds Run up for a second, and one that is stopped meanwhile not even that; with Off, and
// without a source, none is asked.
func TestSourceThatSaysNothing(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 2}}, func(t *testing.T, cluster *mqtest.Cluster) {
		cfg := consumer.Config{Group: "billing", Settings: deaf{}, Topics: orders((&bodies{}).handle)}
		within(t, 1100*time.Millisecond, func() { run(t, openOn(t, cluster, ""), cfg) })

		c, err := consumer.New(openOn(t, cluster, ""), cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		within(t, 200*time.Millisecond, func() {
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		})

		off := cluster.Config()
		off.Settings.Off, off.Logger = true, slog.New(slog.DiscardHandler)
		client, err := rocketkit.Open(off)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close(context.Background()) })
		cfg.Settings = nil
		quiet := run(t, client, cfg)
		time.Sleep(time.Minute)
		if s := quiet.Stats().Settings; !s.Checked.IsZero() || s.Rev != 0 {
			t.Errorf("it is off, and yet %+v", s)
		}
	})
}

// From the name servers, as it is by default.
func TestDocumentInTheNameServers(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 2}}, func(t *testing.T, cluster *mqtest.Cluster) {
		client := openOn(t, cluster, "")
		c := run(t, client, consumer.Config{Group: "billing", Topics: orders((&bodies{}).handle)})
		id := dynconf.ID{Group: "billing"}
		text, err := dynconf.Document{Rev: time.Now().UnixMilli(), At: time.Now(), Spec: json.RawMessage(`{"topics":{"orders":{"workers":7}}}`)}.Encode(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := admin.New(client).KV(dynconf.Namespace).Put(t.Context(), id.Key(), text); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if s := c.Stats(); s.Topics["orders"].Workers != 7 || s.Topics["orders"].From.Workers != consumer.FromDocument {
			t.Errorf("%+v, %+v", s.Settings, s.Topics["orders"])
		}
	})
}

// A topic that is paused in code, before Run and while it runs.
func TestPauseTopic(t *testing.T) {
	onCluster(t, mqtest.Config{Topics: map[string]int{"orders": 4, "refunds": 4}}, func(t *testing.T, cluster *mqtest.Cluster) {
		got, others := &bodies{}, &bodies{}
		s := serve(t, cluster, map[string]consumer.Topic{"orders": {Handler: got.handle}, "refunds": {Handler: others.handle}})
		if err := s.PauseTopic("orders"); err != nil {
			t.Fatal(err)
		}
		book(t, s.client, "orders", "o", 20)
		book(t, s.client, "refunds", "r", 20)
		time.Sleep(time.Hour)
		synctest.Wait()
		got.mustBe(t, 0)
		others.mustBe(t, 20)
		if stats := s.Stats().Topics["orders"]; !stats.Paused || stats.From.Paused != consumer.FromTune || len(stats.Queues) != 4 {
			t.Errorf("%+v", stats)
		}
		if err := s.ResumeTopic("orders"); err != nil {
			t.Fatal(err)
		}
		consumed(t, cluster, "orders")
		got.mustBe(t, 20)
	})
}
