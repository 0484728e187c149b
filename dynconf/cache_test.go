package dynconf

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/mqtest"
)

// copies is a replicated source in memory, of one place.
type copies struct {
	Memory
	cluster string
}

func (c *copies) follow(ctx context.Context, id ID, hear func(hearing)) {
	c.Watch(ctx, id, func(text string, err error) {
		hear(hearing{texts: []string{text}, places: []string{"a"}, all: true, err: err})
	})
}

func (c *copies) origin() string { return c.cluster }

// restart runs a Follower of billing as a process of its own would, and gives what it applied and showed.
func restart(t *testing.T, source Source, dir string, keys ...ed25519.PublicKey) (*following, Status) {
	t.Helper()
	f := follow(t, Config{Source: source, CacheDir: dir, Keys: keys}, nil)
	synctest.Wait()
	f.stop()
	return f, f.Status()
}

// down is a replicated source that can't be read.
type down struct{ copies }

func (*down) follow(ctx context.Context, _ ID, hear func(hearing)) {
	hear(hearing{err: errors.New("no name server answers")})
	<-ctx.Done()
}

// files lists what is in a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestRestartWithAllNameServersDown: what was in force is, at once.
func TestRestartWithAllNameServersDown(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	synctest.Test(t, func(t *testing.T) {
		n, client := names(t)
		first, s := restart(t, NameServers(client.Cluster()), dir)
		if first.last() != "nothing" || s.Rev != 0 {
			t.Errorf("%s, %+v", first.last(), s)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("a directory was made for nothing")
		}
		n.rev(t, 5, 0, 1, 2)
		if second, s := restart(t, NameServers(client.Cluster()), dir); second.last() != `1: {"a":5}` || s.From != "name servers" {
			t.Errorf("%s, %+v", second.last(), s)
		}
		for _, trouble := range []func() func(){
			func() func() { // they are down
				for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
					if err := n.cluster.Stop(server); err != nil {
						t.Fatal(err)
					}
				}
				return func() {
					for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
						if err := n.cluster.Restart(server); err != nil {
							t.Fatal(err)
						}
					}
				}
			},
			func() func() { // they hang
				return n.cluster.Inject(mqtest.Fault{Request: mqtest.RequestGetKV, Break: mqtest.Silence}).Remove
			},
			func() func() { // they have lost all
				n.put(t, billing, "", 0, 1, 2)
				return func() {}
			},
		} {
			end := trouble()
			began := time.Now()
			third, s := restart(t, NameServers(opened(t, n.cluster.Config()).Cluster()), dir)
			if third.last() != `1: {"a":5}` || s.From != "cache" || s.Rev != 5 {
				t.Errorf("%s, %+v", third.last(), s)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the start took %v", took)
			}
			end()
		}
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if list := files(t, dir); len(list) != 1 {
			t.Errorf("%v", list)
		} else if info, err := os.Stat(list[0]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}

// TestRestartThenOlder: a name server's older document doesn't replace that of the cache.
func TestRestartThenOlder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		source := &copies{}
		source.Set(billing, revision(t, 5))
		restart(t, source, dir)
		source.Set(billing, revision(t, 4))
		f, s := restart(t, source, dir)
		if f.last() != `1: {"a":5}` || s.Reason != Older || s.From != "cache" || s.Disagreeing != 1 {
			t.Errorf("%s, %+v", f.last(), s)
		}
		source.Set(billing, revision(t, 6))
		restart(t, source, dir)
		if f, _ := restart(t, &down{}, dir); f.last() != `1: {"a":6}` {
			t.Errorf("%s", f.last())
		}
	})
}

// TestExpiredWhileStopped: what has expired by the next start isn't applied, nor is anything older.
func TestExpiredWhileStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := dated(time.Now(), `{"a":1}`)
		d.Expires = time.Now().Add(time.Hour)
		source := &copies{}
		source.Set(billing, written(t, d, nil))
		restart(t, source, dir)
		time.Sleep(59 * time.Minute)
		if f, s := restart(t, &down{}, dir); f.last() != `1: {"a":1}` || s.Expired {
			t.Errorf("%s, %+v", f.last(), s)
		}
		time.Sleep(time.Minute)
		if f, s := restart(t, &down{}, dir); f.last() != "nothing" || !s.Expired || s.Rev != d.Rev {
			t.Errorf("%s, %+v", f.last(), s)
		}
		source.Set(billing, written(t, dated(time.Now().Add(-2*time.Hour), `{"a":0}`), nil))
		if f, s := restart(t, source, dir); f.last() != "nothing" || s.Reason != Older {
			t.Errorf("%s, %+v", f.last(), s)
		}
	})
}

// TestDeletedIsKept: a tombstone is kept as any document is.
func TestDeletedIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		source := &copies{}
		source.Set(billing, written(t, Document{Rev: 5, Deleted: true}, nil))
		restart(t, source, dir)
		source.Set(billing, revision(t, 4))
		if f, s := restart(t, source, dir); f.last() != "nothing" || !s.Deleted || s.Rev != 5 {
			t.Errorf("%s, %+v", f.last(), s)
		}
	})
}

// TestCacheIsItsOwn: of another group, tenant or cluster nothing is taken.
func TestCacheIsItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		source := &copies{cluster: "one"}
		source.Set(billing, revision(t, 5))
		restart(t, source, dir)
		if f, _ := restart(t, &down{copies{cluster: "two"}}, dir); f.last() != "nothing" {
			t.Errorf("another cluster's: %s", f.last())
		}
		if f, _ := restart(t, &down{copies{cluster: "one"}}, dir); f.last() != `1: {"a":5}` {
			t.Errorf("its own: %s", f.last())
		}
		for _, id := range []ID{{"", "billing"}, {"blue", "billing"}, {"red", "Billing"}} {
			a := &applier{}
			f := NewFollower(Config{ID: id, Source: &down{copies{cluster: "one"}}, CacheDir: dir, Apply: a.take})
			f.Start(t.Context())
			if a.last() != "nothing" {
				t.Errorf("%s: %s", id, a.last())
			}
			// Nor when the file is put where it would be looked for.
			if err := os.Rename(newCache(dir, "one", billing).path, f.cache.path); err != nil {
				t.Fatal(err)
			}
			f.Start(t.Context())
			if a.last() != "nothing" {
				t.Errorf("%s, by name: %s", id, a.last())
			}
			if err := os.Rename(f.cache.path, newCache(dir, "one", billing).path); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestCacheWithKeys: a file that others can write is no way around a signature.
func TestCacheWithKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		public, private := key(0)
		source := &copies{}
		source.Set(billing, revision(t, 5))
		restart(t, source, dir)
		if f, s := restart(t, &down{}, dir, public); f.last() != "nothing" || s.Rev != 0 || f.log.count("the last settings can't be had") != 1 {
			t.Errorf("%s, %+v\n%s", f.last(), s, &f.log.out)
		}
		source.Set(billing, written(t, Document{Rev: 3, Spec: json.RawMessage(`{"a":3}`)}, private))
		restart(t, source, dir, public) // and the unsigned one doesn't keep the signed one out of the file
		if f, _ := restart(t, &down{}, dir, public); f.last() != `1: {"a":3}` {
			t.Errorf("%s", f.last())
		}
	})
}

// TestCacheInTrouble: whatever is found there, the start goes on without a wait, and says once what is wrong.
func TestCacheInTrouble(t *testing.T) {
	t.Parallel()
	good := revision(t, 5)
	put := func(text string) func(dir, file string) error {
		return func(_, file string) error { return os.WriteFile(file, []byte(text), 0o600) }
	}
	rights := func(mode os.FileMode) func(dir, file string) error {
		return func(dir, _ string) error { return os.Chmod(dir, mode) }
	}
	for name, test := range map[string]struct {
		spoil         func(dir, file string) error
		reads, writes bool // it says that it can't be
	}{
		"empty":            {put(""), false, false},
		"cut off":          {put(good[:len(good)/2]), true, false},
		"changed":          {put(strings.Replace(good, `"a":5`, `"a":6`, 1)), true, false},
		"far too much":     {put(strings.Repeat("x", 10<<20)), true, false},
		"a directory":      {func(_, file string) error { return os.MkdirAll(filepath.Join(file, "x"), 0o700) }, true, true},
		"a pipe":           {func(_, file string) error { return syscall.Mkfifo(file, 0o600) }, true, false},
		"no directory":     {func(dir, _ string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) }, true, true},
		"can't be written": {rights(0o500), false, true},
		"can't be read":    {rights(0), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(name, "can't") && os.Getuid() == 0 {
				t.Skip("root may do anything")
			}
			dir := filepath.Join(t.TempDir(), "cache")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(dir, newCache(dir, "", billing).path); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				source := &copies{}
				source.Set(billing, good)
				f := follow(t, Config{Source: source, CacheDir: dir}, nil)
				f.wants(t, `1: {"a":5}`, 5, "", 0)
				source.Set(billing, revision(t, 6))
				f.wants(t, `2: {"a":6}`, 6, "", 0)
				if said := f.log.count("can't be had from the cache") == 1; said != test.reads {
					t.Errorf("says that it can't be read: %t\n%s", said, &f.log.out)
				}
				if said := f.log.count("can't be kept in the cache") == 1; said != test.writes {
					t.Errorf("says once that it can't be written: %t\n%s", said, &f.log.out)
				}
				if again, _ := restart(t, &down{}, dir); (again.last() == `1: {"a":6}`) == test.writes {
					t.Errorf("then %s", again.last())
				}
			})
		})
	}
}

// TestCacheHangs: as a disk in the network may. A start doesn't wait for it, and what follows does without.
func TestCacheHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan struct{})
		defer close(answers)
		source, a, log := &copies{}, &applier{}, &lines{}
		source.Set(billing, revision(t, 5))
		dir := t.TempDir()
		f := NewFollower(Config{ID: billing, Source: source, CacheDir: dir, Apply: a.take, Logger: log.logger()})
		f.cache.read = func(string) (string, error) {
			<-answers
			return "", errors.New("too late")
		}
		began := time.Now()
		f.Start(t.Context())
		if took := time.Since(began); took > time.Second || a.last() != `1: {"a":5}` || log.count("the disk doesn't answer") != 1 {
			t.Errorf("%v, %s\n%s", took, a.last(), &log.out)
		}
		source.Set(billing, revision(t, 6))
		f.Start(t.Context())
		if list := files(t, dir); a.last() != `2: {"a":6}` || len(list) != 0 {
			t.Errorf("%s, %v", a.last(), list)
		}
	})
}

// TestCacheRefusedByApply: a program that was changed meanwhile may refuse what it took before, and takes the next.
func TestCacheRefusedByApply(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		source := &copies{}
		source.Set(billing, revision(t, 5))
		restart(t, source, dir)
		f := follow(t, Config{Source: source, CacheDir: dir}, func(spec string) error {
			if spec == `{"a":5}` {
				return errors.New("5 is too many")
			}
			return nil
		})
		f.wants(t, "nothing", 0, Invalid, 5)
		if n := f.Status().Refused[Invalid]; n != 1 {
			t.Errorf("it is counted %d times, from the cache and from its source", n)
		}
		source.Set(billing, revision(t, 6))
		f.wants(t, `1: {"a":6}`, 6, "", 0)
	})
}

// TestTwoProcessesOnOneCache: the file is whole whenever it is read, and the newest one stays.
func TestTwoProcessesOnOneCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const revisions = 200
	var writers, readers sync.WaitGroup
	end := make(chan struct{})
	for range 2 {
		writers.Go(func() {
			f := &Follower{cfg: Config{ID: billing}, cache: newCache(dir, "", billing)}
			for rev := range int64(revisions) {
				text := revision(t, rev+1)
				f.current, _ = Decode(billing, text, time.Now())
				f.keep(text)
			}
			if f.cache.told {
				t.Error("it couldn't be written")
			}
		})
		readers.Go(func() {
			c := newCache(dir, "", billing)
			for {
				select {
				case <-end:
					return
				default:
				}
				text, err := c.load()
				if err == nil && text != "" {
					_, err = Decode(billing, text, time.Now())
				}
				if err != nil {
					t.Errorf("%v: %q", err, text)
					return
				}
			}
		})
	}
	writers.Wait()
	close(end)
	readers.Wait()
	text, err := newCache(dir, "", billing).load()
	if err != nil || text != revision(t, revisions) {
		t.Errorf("%v: %s", err, text)
	}
	if list := files(t, dir); len(list) != 1 {
		t.Errorf("left over: %v", list)
	}

	// One that comes late with an older one doesn't write it.
	late := &Follower{cfg: Config{ID: billing}, cache: newCache(dir, "", billing)}
	old := revision(t, 1)
	late.current, _ = Decode(billing, old, time.Now())
	late.keep(old)
	if text, err := late.cache.load(); err != nil || text != revision(t, revisions) {
		t.Errorf("%v: %s", err, text)
	}
}
