package dynconf

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/mqtest"
)

// table is the settings in the name servers of a cluster.
type table struct {
	cluster *mqtest.Cluster
	client  *rocketkit.Client // the operator's; never closed before the test ends
}

// names are three name servers and a client, in a bubble.
func names(t *testing.T) (table, *rocketkit.Client) {
	t.Helper()
	c := mqtest.New(t, mqtest.Config{NameServers: 3, Logger: slog.New(slog.DiscardHandler)})
	return table{c, opened(t, c.Config())}, opened(t, c.Config())
}

func opened(t *testing.T, cfg rocketkit.Config) *rocketkit.Client {
	t.Helper()
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// put writes a text to the name servers given, by their places.
func (n table) put(t *testing.T, id ID, text string, servers ...int) {
	t.Helper()
	for _, i := range servers {
		put := protocol.PutKV{Namespace: Namespace, Key: id.Key(), Value: text}.Frame()
		if text == "" {
			put = protocol.DeleteKV{Namespace: Namespace, Key: id.Key()}.Frame()
		}
		if _, err := n.client.Cluster().Invoke(t.Context(), n.cluster.Addresses()[i], put); err != nil {
			t.Fatal(err)
		}
	}
}

// rev writes a document of billing at a revision.
func (n table) rev(t *testing.T, rev int64, servers ...int) {
	t.Helper()
	n.put(t, billing, revision(t, rev), servers...)
}

func revision(t *testing.T, rev int64) string {
	t.Helper()
	return written(t, Document{Rev: rev, Spec: json.RawMessage(fmt.Sprintf(`{"a":%d}`, rev))}, nil)
}

// within waits until a revision is applied, and fails when that takes longer.
func (f *following) within(t *testing.T, rev int64, most time.Duration) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		synctest.Wait()
		switch took := time.Since(began); {
		case f.Status().Rev == rev:
			return
		case took > most:
			t.Fatalf("rev %d isn't applied after %v: %+v", rev, took, f.Status())
		}
	}
}

func TestNameServersApplyWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		f.wants(t, "nothing", 0, "", 0)
		for rev := int64(1); rev <= 50; rev++ {
			n.rev(t, rev, 0, 1, 2)
			f.within(t, rev, time.Second)
		}
		if s := f.Status(); s.From != "name servers" || s.Disagreeing != 0 || s.Error != "" || len(s.Refused) != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		if s := f.Status(); time.Since(s.Checked) > time.Second || s.Rev != 50 {
			t.Errorf("%+v", s)
		}
	})
}

// TestOneNameServerIsStale: the first change that it misses takes a poll more, none does after it, and it is told of once.
func TestOneNameServerIsStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 1, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		f.wants(t, `1: {"a":1}`, 1, "", 0)
		n.rev(t, 2, 0, 2)
		f.within(t, 2, 2*time.Second)
		for rev := int64(3); rev <= 50; rev++ {
			n.rev(t, rev, 0, 2)
			f.within(t, rev, time.Second)
		}
		time.Sleep(2 * time.Minute)
		f.wants(t, `50: {"a":50}`, 50, "", 0)
		if s := f.Status(); s.Disagreeing != 1 || f.log.count("name servers miss the settings") != 1 {
			t.Errorf("%+v\n%s", s, &f.log.out)
		}
		n.rev(t, 50, 1) // it is repaired
		time.Sleep(3 * time.Second)
		f.wants(t, `50: {"a":50}`, 50, "", 0)
		if s := f.Status(); s.Disagreeing != 0 || f.log.count("have the settings that are in force again") != 1 {
			t.Errorf("%+v\n%s", s, &f.log.out)
		}
	})
}

// TestStartKnowsAllNameServers: a start without a cache takes the newest, whichever name server has it.
func TestStartKnowsAllNameServers(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			n, client := names(t)
			n.rev(t, 4, 0, 1, 2)
			n.rev(t, 5, i)
			if err := n.cluster.Stop(fmt.Sprintf("namesrv-%c", 'a'+(i+1)%3)); err != nil {
				t.Fatal(err)
			}
			f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
			f.wants(t, `1: {"a":5}`, 5, "", 0)
		})
	}
}

// TestOneStaleOneDownOneHanging: of three name servers only one is right, and reachable at times.
func TestOneStaleOneDownOneHanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 1, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		if err := n.cluster.Stop("namesrv-b"); err != nil {
			t.Fatal(err)
		}
		hangs := n.cluster.Inject(mqtest.Fault{Server: "namesrv-c", Request: mqtest.RequestGetKV, Break: mqtest.Silence})
		for rev := int64(2); rev <= 30; rev++ {
			n.rev(t, rev, 0)
			f.within(t, rev, 1500*time.Millisecond)
		}
		before := hangs.Count()
		time.Sleep(5*time.Minute + time.Second)
		if n := hangs.Count() - before; n < 15 || n > 35 {
			t.Errorf("the one that hangs was asked %d times in five minutes, not each 10 s", n)
		}
		// Now the only one that answers is stale, and the one that is right hangs.
		n.rev(t, 31, 2)
		time.Sleep(5 * time.Minute)
		f.wants(t, `30: {"a":30}`, 30, "", 0)
		hangs.Remove()
		f.within(t, 31, 15*time.Second)
		if hangs.Count() == 0 {
			t.Error("none hung")
		}
	})
}

// TestWipedNameServers: what has lost its table changes nothing, one by one or all.
func TestWipedNameServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		for wiped := range 3 {
			n.put(t, billing, "", wiped)
			time.Sleep(2 * time.Minute)
			f.wants(t, `1: {"a":5}`, 5, "", 0)
			if s := f.Status(); s.Disagreeing != wiped+1 {
				t.Errorf("%d wiped: %+v", wiped+1, s)
			}
			// There is no more to repair from when the last one has lost it.
			if lost := f.log.count("no name server that answers has the settings that are in force"); lost != wiped/2 || f.log.count("conf repair") != 1 {
				t.Errorf("%d wiped:\n%s", wiped+1, &f.log.out)
			}
		}
		n.rev(t, 4, 1) // a backup that is old
		time.Sleep(time.Minute)
		f.wants(t, `1: {"a":5}`, 5, Older, 4)
		n.rev(t, 6, 0, 1, 2) // a revision goes by the clock, so that is how it goes on
		f.within(t, 6, time.Second)
		f.wants(t, `2: {"a":6}`, 6, "", 0)
	})
}

// TestTombstoneIsRemoved: when a deletion has been known for long, it may go.
func TestTombstoneIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.put(t, billing, written(t, Document{Rev: 5, Deleted: true}, nil), 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		n.put(t, billing, "", 0, 1, 2)
		time.Sleep(time.Hour)
		f.wants(t, "nothing", 5, "", 0)
		if s := f.Status(); s.Disagreeing != 0 || !s.Deleted {
			t.Errorf("%+v", s)
		}
	})
}

// TestStrangersDocument: one that is refused, at one name server or at all, holds up none that is good.
func TestStrangersDocument(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, func(spec string) error {
			if spec == `{"a":9}` {
				return fmt.Errorf("9 is too many")
			}
			return nil
		})
		ahead := time.Now().Add(25 * time.Hour).UnixMilli()
		n.rev(t, ahead, 1)
		time.Sleep(3 * time.Second)
		f.wants(t, `1: {"a":5}`, 5, FromTheFuture, ahead)
		n.rev(t, 6, 0, 2)
		f.within(t, 6, 2*time.Second)
		f.wants(t, `2: {"a":6}`, 6, FromTheFuture, ahead)
		n.rev(t, 9, 0, 1) // refused by who applies it
		n.rev(t, 8, 2)
		f.within(t, 8, 3*time.Second)
		time.Sleep(time.Minute)
		f.wants(t, `3: {"a":8}`, 8, Invalid, 9)
		n.put(t, billing, "{", 0, 1, 2)
		time.Sleep(time.Minute)
		f.wants(t, `3: {"a":8}`, 8, Malformed, 0)
		n.rev(t, 10, 0, 1, 2)
		time.Sleep(3 * time.Second)
		f.wants(t, `4: {"a":10}`, 10, "", 0)
		if s := f.Status(); s.Refused[FromTheFuture] != 1 || s.Refused[Invalid] != 1 || s.Refused[Malformed] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestRefusedByOneThatComesAndGoes: a document that is refused counts once, and isn't tried again, whenever it is read; nor
// does the log run full.
func TestRefusedByOneThatComesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		tried := 0
		f := follow(t, Config{Source: NameServers(client.Cluster())}, func(spec string) error {
			if spec == `{"a":9}` {
				tried++
				return fmt.Errorf("9 is too many")
			}
			return nil
		})
		n.rev(t, 9, 1)
		for range 12 {
			time.Sleep(5 * time.Second)
			f.wants(t, `1: {"a":5}`, 5, Invalid, 9)
			if err := n.cluster.Stop("namesrv-b"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			f.wants(t, `1: {"a":5}`, 5, "", 0)
			if err := n.cluster.Restart("namesrv-b"); err != nil {
				t.Fatal(err)
			}
		}
		if s := f.Status(); s.Refused[Invalid] != 1 || tried != 1 {
			t.Errorf("tried %d times: %+v", tried, s)
		}
		if refused, again := f.log.count("settings are refused"), f.log.count("none are refused"); refused < 2 || refused > 3 || again < 1 || again > refused {
			t.Errorf("%d and %d lines in two minutes:\n%s", refused, again, &f.log.out)
		}
		time.Sleep(3 * time.Minute) // and then it stays
		f.wants(t, `1: {"a":5}`, 5, Invalid, 9)
		if refused, again := f.log.count("settings are refused"), f.log.count("none are refused"); refused != again+1 {
			t.Errorf("%d and %d lines at the end:\n%s", refused, again, &f.log.out)
		}
	})
}

// TestTooLargeAtOneNameServer: nobody reads megabytes each second, and the others' document counts.
func TestTooLargeAtOneNameServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		n.put(t, billing, strings.Repeat("x", 4<<20), 1)
		time.Sleep(3 * time.Second)
		f.wants(t, `1: {"a":5}`, 5, TooLarge, 0)
		asked := n.cluster.Inject(mqtest.Fault{Server: "namesrv-b", Request: mqtest.RequestGetKV})
		n.rev(t, 6, 0, 2)
		f.within(t, 6, 2*time.Second)
		time.Sleep(3 * time.Minute)
		if n := asked.Count(); n < 2 || n > 4 {
			t.Errorf("it was asked %d times in three minutes", n)
		}
		n.rev(t, 6, 1)
		time.Sleep(61 * time.Second)
		f.wants(t, `2: {"a":6}`, 6, "", 0)
	})
}

// TestSlowNameServers: what takes longer than a poll waits is read all the same.
func TestSlowNameServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		slow := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Delay: 600 * time.Millisecond})
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		n.rev(t, 6, 0, 1, 2)
		f.within(t, 6, 2*time.Second)
		time.Sleep(time.Hour)
		f.wants(t, `2: {"a":6}`, 6, "", 0)
		if s := f.Status(); len(s.Refused) != 0 || slow.Count() == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestAllNameServersDown: what is in force stays, and is followed again afterwards.
func TestAllNameServersDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		each := func(do func(string) error) {
			for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
				if err := do(server); err != nil {
					t.Fatal(err)
				}
			}
		}
		each(n.cluster.Stop)
		time.Sleep(time.Hour)
		f.wants(t, `1: {"a":5}`, 5, Unreadable, 0)
		if s := f.Status(); s.Refused[Unreadable] != 1 || f.log.count("can't be read") != 1 {
			t.Errorf("%+v\n%s", s, &f.log.out)
		}
		each(n.cluster.Restart)
		n.rev(t, 6, 0)
		f.within(t, 6, 5*time.Second)
		f.wants(t, `2: {"a":6}`, 6, "", 0)
	})
}

// TestRollingRestart: while there is always one that answers, nothing is wrong.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		for range 3 {
			for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
				if err := n.cluster.Stop(server); err != nil {
					t.Fatal(err)
				}
				time.Sleep(7 * time.Second)
				if err := n.cluster.Restart(server); err != nil {
					t.Fatal(err)
				}
			}
		}
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		if s := f.Status(); len(s.Refused) != 0 || f.log.count("WARN") != 0 {
			t.Errorf("%+v\n%s", s, &f.log.out)
		}
	})
}

// TestHangingNameServers: a start waits a second, and what they say later counts.
func TestHangingNameServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		hang := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Break: mqtest.Silence})
		began := time.Now()
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		if took := time.Since(began); took != time.Second {
			t.Errorf("the start took %v", took)
		}
		f.wants(t, "nothing", 0, "", 0)
		time.Sleep(time.Minute)
		f.wants(t, "nothing", 0, Unreadable, 0)
		hang.Remove()
		f.within(t, 5, 15*time.Second)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
	})
}

// TestStartAfterNameServersHung: that they let others' requests run out of time isn't held against a start.
func TestStartAfterNameServersHung(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		hang := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Break: mqtest.Silence})
		time.Sleep(8 * time.Second)
		hang.Remove()
		id, a := ID{Group: "audit"}, &applier{}
		text, err := Document{Rev: 5, Spec: json.RawMessage(`{"a":5}`)}.Encode(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		n.put(t, id, text, 0, 1, 2)
		p := client.Cluster().Poller(nil).(*poller)
		p.mu.Lock()
		if len(p.resting) != 3 {
			t.Errorf("%v rest", p.resting)
		}
		p.mu.Unlock()
		NewFollower(Config{ID: id, Source: NameServers(client.Cluster()), Apply: a.take, Logger: slog.New(slog.DiscardHandler)}).Start(t.Context())
		if a.last() != `1: {"a":5}` {
			t.Errorf("%s", a.last())
		}
	})
}

// TestOnePollerPerClient: whatever number of groups, tenants and watchers it has.
func TestOnePollerPerClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		blue, err := client.For("blue", nil)
		if err != nil {
			t.Fatal(err)
		}
		asked := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV})
		time.Sleep(time.Hour)
		if asked.Count() != 0 {
			t.Error("it polls though nobody watches")
		}
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		heard := map[ID]*applier{}
		ids := []ID{{"", "billing"}, {"", "audit"}, {"blue", "billing"}}
		for _, c := range []*rocketkit.Client{client, blue} {
			for _, id := range ids { // each twice
				a := &applier{}
				heard[id] = a
				f := NewFollower(Config{ID: id, Source: NameServers(c.Cluster()), Apply: a.take, Logger: slog.New(slog.DiscardHandler)})
				done.Go(func() { f.Run(ctx) })
			}
		}
		synctest.Wait()
		first, second := client.Cluster().Poller(nil), blue.Cluster().Poller(nil)
		if first != second || len(first.(*poller).watched) != len(ids) {
			t.Errorf("two pollers, or %d documents", len(first.(*poller).watched))
		}
		if n := asked.Count(); n != 3*len(ids) {
			t.Errorf("%d requests at the start", n)
		}
		before := asked.Count()
		time.Sleep(59 * time.Second) // the next would be asked of all
		if n := asked.Count() - before; n < len(ids)*61 || n > len(ids)*93 {
			t.Errorf("%d requests in 59 s for %d documents", n, len(ids))
		}
		for i, id := range ids {
			text, err := Document{Rev: 1, Spec: json.RawMessage(fmt.Sprintf(`{"id":%d}`, i))}.Encode(id, nil)
			if err != nil {
				t.Fatal(err)
			}
			n.put(t, id, text, 0, 1, 2)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, id := range ids {
			if got, want := heard[id].last(), fmt.Sprintf(`1: {"id":%d}`, i); got != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
		stop()
		done.Wait()
		before = asked.Count()
		time.Sleep(time.Hour)
		if asked.Count() != before || first.(*poller).rounds != nil {
			t.Error("it polls though nobody watches any more")
		}
	})
}

// TestCrossCheckEachMinute: then every name server is asked, and between two of them one at a time, in turn.
func TestCrossCheckEachMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		var asked []*mqtest.Injected
		for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
			asked = append(asked, n.cluster.Inject(mqtest.Fault{Server: server, Request: mqtest.RequestGetKV}))
		}
		follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		var last [3]int
		for i := range asked {
			last[i] = asked[i].Count()
		}
		together, turns := 0, map[int]int{}
		for range 10 * 60 * 100 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			var now []int
			for i := range asked {
				if count := asked[i].Count(); count != last[i] {
					last[i] = count
					now = append(now, i)
				}
			}
			switch len(now) {
			case 0:
			case 1:
				turns[now[0]]++
			case 3:
				together++
			default:
				t.Errorf("%v were asked at once", now)
			}
		}
		if together < 9 || together > 10 {
			t.Errorf("all were asked %d times in ten minutes", together)
		}
		for i := range asked {
			if turns[i] < 200 || turns[i] > 320 {
				t.Errorf("alone %v", turns)
			}
		}
	})
}

// TestCloseWhilePolling: the Client's Close ends the poller, also while a name server hangs, and who watches on hears nothing.
func TestCloseWhilePolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		hang := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Break: mqtest.Silence})
		if err := hang.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if client.Cluster().Poller(nil).(*poller).rounds != nil {
			t.Error("it polls on")
		}
		time.Sleep(time.Hour)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		f.stop()

		// Who begins to watch then is told, and doesn't wait.
		began := time.Now()
		later := NewFollower(Config{ID: billing, Source: NameServers(client.Cluster()), Apply: (&applier{}).take, Logger: slog.New(slog.DiscardHandler)})
		later.Start(t.Context())
		if s := later.Status(); s.Reason != Unreadable || time.Since(began) != 0 {
			t.Errorf("after %v: %+v", time.Since(began), s)
		}
	})
}

// TestNeverOpenedPoller: a Client that is closed before anybody watches has none that runs.
func TestNeverOpenedPoller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, client := names(t)
		if err := client.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		words := 0
		NameServers(client.Cluster()).Watch(ctx, billing, func(_ string, err error) {
			if words++; err == nil {
				t.Error("a word without an error")
			}
		})
		if words != 1 {
			t.Errorf("%d words", words)
		}
	})
}

// TestWatchNameServers: one that isn't a Follower is told of each text.
func TestWatchNameServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		heard := map[string]int{}
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			NameServers(client.Cluster()).Watch(ctx, billing, func(text string, err error) { heard[fmt.Sprint(text, err)]++ })
		})
		for rev := range int64(3) {
			time.Sleep(time.Minute)
			n.rev(t, rev+1, int(rev))
		}
		time.Sleep(time.Minute)
		stop()
		done.Wait()
		for _, want := range []string{"<nil>", revision(t, 1) + "<nil>", revision(t, 2) + "<nil>", revision(t, 3) + "<nil>"} {
			if heard[want] != 1 {
				t.Errorf("%q was heard %d times", want, heard[want])
			}
		}
		if len(heard) != 4 {
			t.Errorf("%v", heard)
		}
	})
}

// TestHoursOfPolling tells what tests pay whose bubbles run for hours.
func TestHoursOfPolling(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		n.rev(t, 5, 0, 1, 2)
		asked := n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV})
		f := follow(t, Config{Source: NameServers(client.Cluster())}, nil)
		time.Sleep(10 * time.Hour)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		t.Logf("%d requests in %v", asked.Count(), 10*time.Hour)
	})
	t.Logf("it took %v", time.Since(began))
}
