package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// followed is a group whose settings documents are followed.
type followed struct {
	*dynconf.Follower
	mu      sync.Mutex
	applied string
	end     func()
}

func (f *followed) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// followDocuments follows billing's documents in the name servers until the test ends, or end is called.
func followDocuments(t *testing.T, client *rocketkit.Client, cacheDir string) *followed {
	t.Helper()
	f := &followed{}
	f.Follower = dynconf.NewFollower(dynconf.Config{
		ID: dynconf.ID{Tenant: client.Tenant(), Group: "billing"}, Source: dynconf.NameServers(client.Cluster()), CacheDir: cacheDir,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Apply: func(spec json.RawMessage, _ bool) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.applied = string(spec)
			return nil
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	f.Start(ctx)
	var done sync.WaitGroup
	done.Go(func() { f.Run(ctx) })
	f.end = func() {
		stop()
		done.Wait()
	}
	t.Cleanup(f.end)
	return f
}

func document(t *testing.T, client *rocketkit.Client, rev int64, spec string) (key, text string) {
	t.Helper()
	id := dynconf.ID{Tenant: client.Tenant(), Group: "billing"}
	text, err := dynconf.Document{Rev: rev, At: time.Now(), By: "ann <ann@x> \"é\"", Spec: json.RawMessage(spec)}.Encode(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id.Key(), text
}

// A name server gives a document back as it was written, whatever it holds, up to the size that may be written.
func TestDocumentsInNameServers(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		client := on.open(t, tenantOf(t, ""))
		kv := admin.New(client).KV(dynconf.Namespace)
		f := followDocuments(t, client, "")
		if s := f.Status(); s.Checked.IsZero() || s.Error != "" || s.Rev != 0 {
			t.Errorf("without a document: %+v", s)
		}
		for i, spec := range []string{
			`{}`,
			`{"topics":{"orders":{"workers":16}}}`,
			`{"a<b>&c":"</script>` + "\u2028" + `é漢😀\u0000\\\"=;:","x":1.50e+3}`,
			`{"long":"` + strings.Repeat("é", 3900) + `"}`,
		} {
			rev := time.Now().UnixMilli() + int64(i)
			key, text := document(t, client, rev, spec)
			if err := kv.Put(t.Context(), key, text); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is applied", func() bool { return f.Status().Rev == rev })
			if got := f.last(); got != spec {
				t.Errorf("%s, want %s", got, spec)
			}
		}
		if s := f.Status(); s.Error != "" || len(s.Refused) != 0 || s.Disagreeing != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Of three name servers one hangs, one is killed, then all; a restart has the last good document, and when they are back,
// two of them with an old one, nothing older is applied.
func TestDocumentsWhileNameServersFail(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{NameServers: 3})
	on := target{"real", cluster.NameServers()}
	client, cache := on.open(t, tenantOf(t, "")), t.TempDir()
	kv := admin.New(client).KV(dynconf.Namespace)
	f := followDocuments(t, client, cache)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(rev int64, servers ...int) {
		t.Helper()
		key, text := document(t, client, rev, fmt.Sprintf(`{"a":%d}`, rev))
		for _, i := range servers {
			must(kv.At(on.servers[i]).Put(t.Context(), key, text))
		}
	}
	has := func(f *followed, rev int64) func() bool {
		return func() bool { return f.Status().Rev == rev && f.last() == fmt.Sprintf(`{"a":%d}`, rev) }
	}
	put(1, 0, 1, 2)
	eventually(t, "the first is applied", has(f, 1))
	must(cluster.NameServer(0).Pause())
	must(cluster.NameServer(1).Kill())
	put(2, 2)
	eventually(t, "the second is applied, which one of three has", has(f, 2))
	must(cluster.NameServer(2).Kill())
	eventually(t, "none can be read", func() bool { return f.Status().Reason == dynconf.Unreadable })
	f.end()

	restarted := followDocuments(t, on.open(t, tenantOf(t, "")), cache)
	if s := restarted.Status(); !has(restarted, 2)() || s.From != "cache" {
		t.Errorf("after a restart: %+v, %s", s, restarted.last())
	}
	must(cluster.NameServer(0).Resume())
	must(cluster.NameServer(1).Start(t.Context()))
	must(cluster.NameServer(2).Start(t.Context()))
	eventually(t, "it is confirmed", func() bool { s := restarted.Status(); return s.Error == "" && s.From == "name servers" })
	restarted.end()
	if s := restarted.Status(); !has(restarted, 2)() {
		t.Errorf("the old ones are back: %+v, %s", s, restarted.last())
	}
	fresh := followDocuments(t, on.open(t, tenantOf(t, "")), "")
	if s := fresh.Status(); !has(fresh, 2)() || s.Disagreeing != 2 {
		t.Errorf("name servers keep what they were given: %+v, %s", s, fresh.last())
	}
}
