package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/mqtest"
)

// forget has name servers lose their tables.
func (r *rig) forget(servers ...string) {
	r.Helper()
	kv := admin.New(r.client("", nil)).KV(dynconf.Namespace)
	for _, at := range servers {
		for _, key := range []string{"billing", "billing#previous"} {
			if err := kv.At(at).Delete(r.Context(), key); err != nil {
				r.Fatal(err)
			}
		}
	}
}

// refused runs the program and checks that it fails, saying so.
func (r *rig) refused(says string, args ...string) {
	r.Helper()
	if status, out, errs := r.run(args...); status != statusFailed || !strings.Contains(golden(errs), says) {
		r.Errorf("rocketkit %s: %d, %s%s", strings.Join(args, " "), status, out, errs)
	}
}

// expectStatus runs the program and checks its status alone.
func (r *rig) expectStatus(status int, args ...string) {
	r.Helper()
	if got, out, errs := r.run(args...); got != status {
		r.Errorf("rocketkit %s: %d, want %d, %s%s", strings.Join(args, " "), got, status, out, errs)
	}
}

// Where no name server that answers has what instances have applied, a change of a part would lose the rest: a pause, say.
func TestWhatNameServersHaveLost(t *testing.T) {
	r := newRig(t)
	id, _ := r.billing("", nil)
	r.expectStatus(0, "conf", "put", "-g", "billing", file(t, `{"topics":{"orders":{"pause":true}}}`), "--yes")
	r.forget(r.cluster.Addresses()...)
	set := []string{"pool", "set", "-g", "billing", "-t", "orders", "--workers", "3", "--yes"}
	r.refused("instances have applied revision REV by ann@", set...)
	r.refused("instances have applied revision REV by ann@", "pool", "set", "-g", "billing", "-t", "orders", "--reset", "--yes")
	r.refused("replace all settings by rocketkit conf put", "pool", "set", "-g", "billing", "--undo", "--yes")
	if _, out, _ := r.run("pool", "show", "-g", "billing"); !strings.HasPrefix(golden(out), "Settings of group billing: none on the name servers that answer; instances keep revision REV by ann@") {
		t.Error(out)
	}
	if status, out, errs := r.run("conf", "delete", "-g", "billing", "--yes"); status != 0 || !strings.Contains(golden(out), "document revision REV at the instances none") || !strings.Contains(out, id) {
		t.Errorf("%d, %s%s", status, out, errs)
	}
	r.expectStatus(0, set...)
}

// One name server that is behind, while the others are down, isn't what the next change is made from.
func TestWhatIsOnlyOnNameServersThatAreDown(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	set := func(n string) []string {
		return []string{"pool", "set", "-g", "billing", "-t", "orders", "--workers", n, "--yes"}
	}
	r.expectStatus(0, set("3")...)
	kv := admin.New(r.client("", nil)).KV(dynconf.Namespace)
	old, _, err := kv.Get(t.Context(), "billing")
	if err != nil {
		t.Fatal(err)
	}
	r.expectStatus(0, "pool", "set", "-g", "billing", "-t", "refunds", "--pause", "--yes")
	if err := kv.At(r.cluster.Addresses()[2]).Put(t.Context(), "billing", old); err != nil {
		t.Fatal(err)
	}
	others := []string{"namesrv-a", "namesrv-b"}
	for _, name := range others {
		if err := r.cluster.Stop(name); err != nil {
			t.Fatal(err)
		}
	}
	r.refused("which no name server has that answers, so what else it says isn't known: run this again once all of them answer", set("5")...)
	if status, _, errs := r.run("conf", "repair", "-g", "audit"); status != statusFailed || !strings.Contains(errs, "there are no settings") {
		t.Errorf("repair of nothing: %d, %s", status, errs)
	}
	for _, name := range others {
		if err := r.cluster.Restart(name); err != nil {
			t.Fatal(err)
		}
	}
	r.expectStatus(0, set("5")...)
	r.expectStatus(0, "conf", "get", "-g", "billing")
}

// What isn't signed is undone by going back to what was.
func TestUndoOfWhatCountsForNothing(t *testing.T) {
	r := newRig(t)
	key := filepath.Join(t.TempDir(), "a.key")
	r.expectStatus(0, "keys", "new", key)
	private, err := readKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := private.Public().(ed25519.PublicKey) // it is one
	r.billing("", func(cfg *rocketkit.Config) { cfg.Settings.Keys = []ed25519.PublicKey{public} })
	set := func(n string, more ...string) []string {
		return append([]string{"pool", "set", "-g", "billing", "-t", "orders", "--workers", n, "--yes"}, more...)
	}
	r.expectStatus(0, set("3", "--key-file", key)...)
	if status, _, errs := r.run(set("4", "--timeout", "5s")...); status != statusLate || !strings.Contains(errs, "--undo)") {
		t.Errorf("%d, %s", status, errs)
	}
	r.env["ROCKETKIT_SETTINGS_KEYS"] = base64.StdEncoding.EncodeToString(public)
	r.refused("--undo --key-file '"+key+"', which writes that again", set("5", "--key-file", key)...)
	at := r.env["ROCKETKIT_NAMESRV"]
	delete(r.env, "ROCKETKIT_NAMESRV") // a hint is of the same cluster
	r.refused("run rocketkit pool set -g billing --namesrv '", set("5", "--key-file", key, "--namesrv", at)...)
	r.env["ROCKETKIT_NAMESRV"] = at
	if status, out, errs := r.run("pool", "set", "-g", "billing", "--undo", "--yes", "--key-file", key); status != 0 || !strings.Contains(golden(out), "applied TOOK orders 3") {
		t.Errorf("%d, %s%s", status, out, errs)
	}
}

// A document that counts for nothing, on the one name server that answers, can be replaced.
func TestDamageOnTheLastNameServer(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	if err := admin.New(r.client("", nil)).KV(dynconf.Namespace).At(r.cluster.Addresses()[2]).Put(t.Context(), "billing", "{}"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"namesrv-a", "namesrv-b"} {
		if err := r.cluster.Stop(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, out, errs := r.run("pool", "show", "-g", "billing"); !strings.HasPrefix(out, "Settings of group billing: none that counts\n") || !strings.Contains(errs, "has a document that counts for nothing: ") {
		t.Errorf("%s%s", out, errs)
	}
	for said := ""; !strings.Contains(said, ": refuses a document: "); { // the instance asks each 0.8 s
		_, said, _ = r.run("pool", "show", "-g", "billing")
	}
	r.expectStatus(statusMissed, "pool", "set", "-g", "billing", "-t", "orders", "--workers", "5", "--yes")
}

// What somebody has written since name servers were read is read again.
func TestWhatIsWrittenMeanwhile(t *testing.T) {
	r := newRig(t)
	id, _ := r.billing("", nil)
	set := func(n string) []string {
		return []string{"pool", "set", "-g", "billing", "-t", "orders", "--workers", n, "--yes"}
	}
	r.expectStatus(0, set("3")...)
	kv := admin.New(r.client("", nil)).KV(dynconf.Namespace)
	old, _, err := kv.Get(t.Context(), "billing")
	if err != nil {
		t.Fatal(err)
	}
	r.expectStatus(0, set("4")...)
	if err := kv.At(r.cluster.Addresses()[2]).Put(t.Context(), "billing", old); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"namesrv-a", "namesrv-b"} { // the tool hears them the second time
		defer r.cluster.Partition(id, name).Heal()
		r.cluster.Inject(mqtest.Fault{Server: name, Request: mqtest.RequestGetKV, Code: 1, Times: 1})
	}
	if status, out, errs := r.run("pool", "set", "-g", "billing", "-t", "orders", "--workers", "5", "--dry-run"); status != 0 || !strings.Contains(golden(out), "topics.orders.workers 4 5") {
		t.Errorf("%d, %s%s", status, out, errs)
	}
}
