package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
)

// billing starts a member of the group billing.
func billing(t *testing.T, cluster *mqtest.Cluster, edit func(*rocketkit.Config), orders consumer.Topic) (id string, stop func()) {
	t.Helper()
	client := openOn(t, cluster, edit)
	orders.Handler = func(context.Context, *rocketkit.Message) error { return nil }
	c, err := consumer.New(client, consumer.Config{Group: "billing", Topics: map[string]consumer.Topic{"orders": orders}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	select {
	case <-c.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	return client.ID(), stop
}

// What each member does with a document is told as soon as it has done it, and once.
func TestSettingsWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := mqtest.New(t, mqtest.Config{NameServers: 3, Brokers: 2, Logger: slog.New(slog.DiscardHandler), Topics: map[string]int{"orders": 4}})
		client := openOn(t, cluster, nil)
		want := map[string]admin.Progress{}
		join := func(as admin.Progress, edit func(*rocketkit.Config), orders consumer.Topic) (string, func()) {
			id, stop := billing(t, cluster, edit, orders)
			want[id] = as
			return id, stop
		}
		follows, _ := join(admin.Applied, nil, consumer.Topic{})
		off, _ := join(admin.Without, func(cfg *rocketkit.Config) { cfg.Settings.Off = true }, consumer.Topic{})
		bounded, _ := join(admin.Refused, nil, consumer.Topic{Workers: 2, Bounds: consumer.Bounds{MaxWorkers: 10}})
		leaves, stop := join(admin.Left, nil, consumer.Topic{})
		late, _ := join(admin.Waiting, nil, consumer.Topic{})
		for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
			cluster.Partition(leaves, server)
			defer cluster.Partition(late, server).Heal()
		}
		s := admin.New(client).Settings("billing")
		written, err := s.Write(t.Context(), workers("20"), nil)
		if err != nil {
			t.Fatal(err)
		}
		joined := make(chan struct{})
		go func() {
			defer close(joined)
			time.Sleep(3 * time.Second)
			stop()
			time.Sleep(3 * time.Second)
			join(admin.Applied, nil, consumer.Topic{})
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		got := map[string]admin.SettingsProgress{}
		if err := s.Watch(ctx, written.Document.Rev, written.Began, func(p admin.SettingsProgress) {
			if was, again := got[p.ClientID]; again {
				t.Errorf("%s: %s, and then %s", p.ClientID, was.Progress, p.Progress)
			}
			got[p.ClientID] = p
		}); err != nil {
			t.Fatal(err)
		}
		<-joined
		seen := map[string]admin.Progress{}
		for id, p := range got {
			seen[id] = p.Progress
		}
		if !maps.Equal(seen, want) {
			t.Errorf("got %v, want %v", seen, want)
		}
		if p := got[follows]; p.Took > 2*time.Second || p.Settings.Rev != written.Document.Rev || p.Settings.By != "ann" || p.Info.Pools()[0].Core != 20 {
			t.Errorf("applied: %+v", p)
		}
		if p := got[bounded]; p.Took > 2*time.Second || p.Settings.Reason != "invalid" || !strings.Contains(p.Settings.Error, "topics.orders.workers: 20") {
			t.Errorf("refused: %+v", p)
		}
		if p := got[off]; p.Took > time.Second {
			t.Errorf("waited for one that has no settings: %v", p.Took)
		}
		if p := got[leaves]; p.Took < 3*time.Second || p.Took > 5*time.Second {
			t.Errorf("left: %v", p.Took)
		}
		if p := got[late]; p.Took != 20*time.Second || p.Settings.Rev != 0 {
			t.Errorf("waiting: %+v", p)
		}
	})
}

// A member by whose clock the document has ended has it, and doesn't follow it.
func TestSettingsWatchSeesTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster, client := threeServers(t, nil)
		billing(t, cluster, nil, consumer.Topic{})
		s := admin.New(client).Settings("billing")
		draft := workers("20")
		draft.Expires = time.Now().Add(10 * time.Second)
		ours := write(t, s, draft)
		for _, want := range []admin.Progress{admin.Applied, admin.Expired} {
			var got []admin.Progress
			if err := s.Watch(t.Context(), ours.Rev, ours.At, func(p admin.SettingsProgress) { got = append(got, p.Progress) }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, []admin.Progress{want}) {
				t.Errorf("it is %v, want %s", got, want)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// Somebody else's document that is newer ends the watch: this one will never be applied.
func TestSettingsWatchSeesAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster, client := threeServers(t, nil)
		id, _ := billing(t, cluster, nil, consumer.Topic{})
		s := admin.New(client).Settings("billing")
		ours := write(t, s, workers("20"))
		theirs := write(t, s, workers("30"))
		var got []admin.SettingsProgress
		if err := s.Watch(t.Context(), ours.Rev, ours.At, func(p admin.SettingsProgress) { got = append(got, p) }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].ClientID != id || got[0].Progress != admin.Replaced || got[0].Settings.Rev != theirs.Rev {
			t.Errorf("%+v", got)
		}
	})
}

// A member that can't be asked, and a broker that can't, leave a member waiting and say why; brokers that can't be asked
// at all are an error.
func TestSettingsWatchWhereNobodyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster, client := threeServers(t, nil)
		id, _ := billing(t, cluster, nil, consumer.Topic{})
		s := admin.New(client).Settings("billing")
		written := write(t, s, workers("20"))
		asked := cluster.Inject(mqtest.Fault{Request: 307, Client: client.ID(), Code: 1, Remark: "it hangs"})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var got []admin.SettingsProgress
		if err := s.Watch(ctx, written.Rev, written.At, func(p admin.SettingsProgress) { got = append(got, p) }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].ClientID != id || got[0].Progress != admin.Waiting || !strings.Contains(got[0].Err.Error(), "it hangs") {
			t.Errorf("%+v", got)
		}
		asked.Remove()
		cluster.Inject(mqtest.Fault{Request: 203, Code: 1, Remark: "too busy"})
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := s.Watch(ctx, written.Rev, written.At, func(p admin.SettingsProgress) { t.Errorf("%+v", p) })
		if err == nil || !strings.Contains(err.Error(), "too busy") {
			t.Errorf("%v", err)
		}
	})
}

// A member that is frozen holds up neither who asks for the others nor who watches them.
func TestInstancesWithOneThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster, client := threeServers(t, nil)
		billing(t, cluster, nil, consumer.Topic{})
		frozen, _ := billing(t, cluster, nil, consumer.Topic{})
		defer cluster.Partition(frozen, "").Heal()
		a := admin.New(client)
		began := time.Now()
		all, err := a.Instances(t.Context(), "billing")
		if err != nil || len(all) != 2 || (all[0].Err == nil) == (all[1].Err == nil) || time.Since(began) > rocketkit.DefaultRequestTimeout {
			t.Errorf("%+v, %v after %v", all, err, time.Since(began))
		}
		s := a.Settings("billing")
		written := write(t, s, workers("20"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Watch(ctx, written.Rev, written.At, func(p admin.SettingsProgress) {
			switch {
			case p.ClientID != frozen && p.Progress == admin.Applied && p.Took < 3*time.Second:
			case p.ClientID == frozen && p.Progress == admin.Waiting && p.Err != nil && p.Took == 5*time.Second:
			default:
				t.Errorf("%+v", p)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestInstances(t *testing.T) {
	t.Parallel()
	cluster, client := threeServers(t, nil)
	a := admin.New(client)
	if none, err := a.Instances(t.Context(), "billing"); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	id, _ := billing(t, cluster, nil, consumer.Topic{Workers: 3, MaxWorkers: 5})
	all, err := a.Instances(t.Context(), "billing")
	if err != nil || len(all) != 1 || all[0].ClientID != id || all[0].Language != "GO" || all[0].Err != nil || len(all[0].Info.Pools()) != 1 || all[0].Info.Pools()[0].Max != 5 {
		t.Errorf("%+v, %v", all, err)
	}
	fault := cluster.Inject(mqtest.Fault{Request: 307, Code: 1, Remark: "it hangs"})
	if all, err = a.Instances(t.Context(), "billing"); err != nil || len(all) != 1 || all[0].Err == nil {
		t.Errorf("%+v, %v", all, err)
	}
	fault.Remove()
	if _, err = a.Instances(t.Context(), "a b"); !errors.Is(err, rocketkit.ErrConfig) {
		t.Error(err)
	}
}

// A name server that hangs delays neither who asks instances nor who watches them.
func TestInstancesWithANameServerThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster, client := threeServers(t, nil)
		id, _ := billing(t, cluster, nil, consumer.Topic{})
		a := admin.New(client)
		s := a.Settings("billing")
		written := write(t, s, workers("20"))
		time.Sleep(2 * time.Second) // so that it is applied
		defer cluster.Partition(client.ID(), "namesrv-b").Heal()
		began := time.Now()
		all, err := a.Instances(t.Context(), "billing")
		if err != nil || len(all) != 1 || time.Since(began) > time.Second {
			t.Errorf("%+v, %v after %v", all, err, time.Since(began))
		}
		if err := s.Watch(t.Context(), written.Rev, time.Now(), func(p admin.SettingsProgress) {
			if p.ClientID != id || p.Progress != admin.Applied || p.Took > time.Second {
				t.Errorf("%+v", p)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}
