package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
)

// file writes a file and returns its name.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "billing.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestConf(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	r.expect("", statusFailed, "", "rocketkit: settings of group billing: none, the program's own hold\n", "conf", "get", "-g", "billing")
	r.expect("", 0, nothingSet+`
SETTING NOW NEW
attempts not set 8
topics.orders.timeout not set "30s"
topics.orders.workers not set (16) 32

Wrote revision REV to 3 name servers.

INSTANCE STATUS TOOK
INSTANCE applied TOOK orders 32

Applied on all of 1 instance in TOOK.
`, "", "conf", "put", "-g", "billing", file(t, `{"attempts": 8, "topics": {"orders": {"workers": 32, "timeout": "30s"}}}`), "--yes", "--by", "ann")
	r.expect("", 0, `{
 "attempts": 8,
 "topics": {
 "orders": {
 "workers": 32,
 "timeout": "30s"
 }
 }
}
`, "Settings of group billing: revision REV by ann, AGE ago\n", "conf", "get", "-g", "billing")
	r.expect("", 0, `{
 "group": "billing",
 "revision": REV,
 "at": "AT",
 "by": "ann",
 "spec": {
 "attempts": 8,
 "topics": {
 "orders": {
 "workers": 32,
 "timeout": "30s"
 }
 }
 },
 "nameServers": [
 {
 "address": "SERVER",
 "revision": REV,
 "current": true
 },
 {
 "address": "SERVER",
 "revision": REV,
 "current": true
 },
 {
 "address": "SERVER",
 "revision": REV,
 "current": true
 }
 ]
}
`, "", "conf", "get", "-g", "billing", "-o", "json")

	// What was read is what can be put.
	_, spec, _ := r.run("conf", "get", "-g", "billing")
	r.expect(spec, 0, `Settings of group billing: revision REV by ann, AGE ago
Nothing to change.
`, "", "conf", "put", "-g", "billing", "-", "--dry-run")
	r.expect("y\n", 0, `Settings of group billing: revision REV by ann, AGE ago

SETTING NOW NEW
attempts 8 not set
topics.orders.timeout "30s" not set
topics.orders.workers 32 not set

Write them to 3 name servers, for 1 instance? [y/N] 
Wrote revision REV to 3 name servers.

INSTANCE STATUS TOOK
INSTANCE applied TOOK orders 16

Applied on all of 1 instance in TOOK.
`, "", "conf", "delete", "-g", "billing", "--by", "bob")
	r.expect("", statusFailed, "", "rocketkit: settings of group billing: none, the program's own hold (deleted by revision REV by bob, AGE ago)\n", "conf", "get", "-g", "billing")
	r.expect("", 0, "Settings of group billing: none, the program's own hold (deleted by revision REV by bob, AGE ago)\nNothing to change.\n\n"+
		"INSTANCE STATUS TOOK\nINSTANCE applied TOOK\n\nApplied on all of 1 instance in TOOK.\n", "", "conf", "delete", "-g", "billing")
}

// Settings are held against the schema and the topics of live instances; what is most likely misspelled isn't written.
func TestConfPutOfWhatIsWrong(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	for _, test := range []struct {
		spec, says string
		args       string
		status     int
	}{
		{`{"topics": {"orders": {"workers": 0}}}`, "topics.orders.workers: 0 is not between 1 and 65536", "", statusUsage},
		{"{\n\"topics\": {,}}", "billing.json: line 2: invalid character", "", statusUsage},
		{`{} {}`, "billing.json: line 1: ", "", statusUsage},
		{`[]`, "the settings: is no object", "", statusUsage},
		{``, "unexpected end", "", statusUsage},
		{strings.Repeat(" ", dynconf.MaxRead) + `{}`, "are no settings", "", statusUsage},
		{`{"topics": {"orders": {"wrokers": 3}}}`, "topics.orders.wrokers is no setting that this release knows; did you mean workers?", "", statusUsage},
		{`{"attempt": 3}`, "attempt is no setting that this release knows; did you mean attempts?", "", statusUsage},
		{`{"topics": {"oders": {"workers": 3}}}`, "topics.oders: no live instance of group billing receives it; did you mean orders?", "", statusUsage},
		{`{"topics": {"oders": {"wrokers": 3}}}`, "", "--allow-unknown", 0},
		{`{"topics": {"orders": {"workers": 3}}}`, "--for", "--for -1h", statusUsage},
		{`{"topics": {"orders": {"workers": 3}}}`, "--timeout", "--timeout -1s", statusUsage},
		{`{"x": "` + strings.Repeat("x", dynconf.MaxWritten) + `"}`, "8192 are allowed", "--allow-unknown --yes", statusUsage},
	} {
		args := append(strings.Fields("conf put -g billing "+test.args), file(t, test.spec))
		if !strings.Contains(test.args, "--yes") {
			args = append(args, "--dry-run")
		}
		status, _, errs := r.run(args...)
		if status != test.status || !strings.Contains(errs, test.says) || len(errs) > 600 {
			t.Errorf("%.60s: status %d, %q; want %d, %q", test.spec, status, errs, test.status, test.says)
		}
	}
	// Ahead of the first instance nobody can say which topics there are.
	r.expect("", 0, `Settings of group audit: none, the program's own hold

SETTING NOW NEW
topics.any.workers not set 3

Note: no instance of group audit is connected, and brokers don't know the group; known groups: billing

Wrote revision REV to 3 name servers.
No instance is connected: those that start will apply it.
`, "", "conf", "put", "-g", "audit", file(t, `{"topics": {"any": {"workers": 3}}}`), "--yes")
}

// A name server that has lost its table, and one whose document was damaged, are healed.
func TestConfRepair(t *testing.T) {
	r := newRig(t)
	client := r.client("red", nil)
	kv, at := admin.New(client).KV(dynconf.Namespace), r.cluster.Addresses()
	repair := []string{"conf", "repair", "-g", "billing", "--tenant", "red"}
	r.expect("", statusFailed, "", "rocketkit: admin: repair the settings of group billing: there are no settings: the program's own hold\n", repair...)
	r.expect("", 0, `Settings of group billing of tenant red: none, the program's own hold

SETTING NOW NEW
attempts not set 3

Note: no instance of group billing is connected, and brokers don't know the group; there are no groups

Wrote revision REV to 3 name servers.
No instance is connected: those that start will apply it.
`, "", "conf", "put", "-g", "billing", "--tenant", "red", file(t, `{"attempts": 3}`), "--yes")
	if err := errors.Join(kv.At(at[0]).Delete(t.Context(), "red%billing"), kv.At(at[2]).Put(t.Context(), "red%billing", "{")); err != nil {
		t.Fatal(err)
	}
	damage := "name server SERVER has a document that counts for nothing: no JSON of a document: unexpected end of JSON input\n"
	status, _, errs := r.run("conf", "get", "-g", "billing", "--tenant", "red")
	if status != statusMissed || !strings.Contains(golden(errs), damage) ||
		!strings.Contains(golden(errs), "name servers differ (SERVER: none, SERVER: damaged); run rocketkit conf repair -g billing --tenant red\n") {
		t.Errorf("%d, %s", status, errs)
	}
	r.expect("", 0, "NAME SERVER BEFORE NOW\nSERVER none revision REV\nSERVER revision REV revision REV\nSERVER damaged revision REV\n", damage, repair...)
	r.expect("", 0, "NAME SERVER BEFORE NOW\nSERVER revision REV revision REV\nSERVER revision REV revision REV\nSERVER revision REV revision REV\n", "", repair...)
}

func TestConfRepairOfAll(t *testing.T) {
	r := newRig(t)
	r.env["ROCKETKIT_TENANT"] = "red"
	all := []string{"conf", "repair", "--all"}
	if status, _, errs := r.run(append(all, "-g", "billing")...); status != statusUsage || !strings.Contains(errs, "exclude each other") {
		t.Errorf("%d, %s", status, errs)
	}
	r.expect("", statusFailed, "", "rocketkit: no group has settings\n", all...)
	a := admin.New(r.client("red", nil))
	for _, group := range []string{"audit", "billing"} {
		if _, err := a.Settings(group).Write(t.Context(), admin.SettingsDraft{Spec: json.RawMessage(`{"attempts":3}`)}, nil); err != nil {
			t.Fatal(err)
		}
		if err := a.KV(dynconf.Namespace).At(r.cluster.Addresses()[1]).Delete(t.Context(), "red%"+group); err != nil {
			t.Fatal(err)
		}
	}
	r.expect("", 0, `Settings of group audit of tenant red
NAME SERVER BEFORE NOW
SERVER revision REV revision REV
SERVER none revision REV
SERVER revision REV revision REV

Settings of group billing of tenant red
NAME SERVER BEFORE NOW
SERVER revision REV revision REV
SERVER none revision REV
SERVER revision REV revision REV

`, "", all...)
	var repaired []heldJSON
	if _, out, _ := r.run(append(all, "-o", "json")...); json.Unmarshal([]byte(out), &repaired) != nil || len(repaired) != 2 || repaired[1].Group != "billing" {
		t.Errorf("no one JSON value: %s", out)
	}
	if err := r.cluster.Stop("namesrv-a"); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := r.run("conf", "get", "-g", "audit"); status != statusMissed || !strings.Contains(errs, "; once all answer, run rocketkit conf repair") {
		t.Errorf("%d, %s", status, errs)
	}
	if status, _, errs := r.run(all...); status != statusMissed || strings.Count(errs, ": still missed by name server ") != 2 {
		t.Errorf("%d, %s", status, errs)
	}
}

func TestKeys(t *testing.T) {
	r := newRig(t)
	name := filepath.Join(t.TempDir(), "operators.key")
	status, public, errs := r.run("keys", "new", name)
	info, err := os.Stat(name)
	if status != 0 || err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(errs, "--key-file") {
		t.Fatalf("%d, %s, %s, %v", status, public, errs, err)
	}
	if status, _, errs := r.run("keys", "new", name); status != statusUsage || !strings.Contains(errs, "exists, and may be a key that is in use") {
		t.Errorf("over it: %d, %s", status, errs)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	r.run("keys", "new", other)

	r.env["ROCKETKIT_SETTINGS_KEYS"] = strings.TrimSpace(public)
	keys, err := rocketkit.FromEnv(func(name string) (string, bool) { return r.env[name], true })
	if err != nil {
		t.Fatal(err)
	}
	r.billing("", func(cfg *rocketkit.Config) { cfg.Settings.Keys = keys.Settings.Keys })
	set := strings.Fields("pool set -g billing -t orders --workers 2000 --yes")
	if status, _, errs := r.run(set...); status != statusUsage || !strings.Contains(errs, "give a --key-file") {
		t.Errorf("unsigned: %d, %s", status, errs)
	}
	if status, _, errs := r.run(append(set, "--key-file", other)...); status != statusUsage || !strings.Contains(errs, "is none of those in ROCKETKIT_SETTINGS_KEYS") {
		t.Errorf("another key: %d, %s", status, errs)
	}
	if status, out, _ := r.run(append(set, "--key-file", name)...); status != 0 || !strings.Contains(golden(out), "\nsignature none key ") || !strings.Contains(golden(out), "applied TOOK orders 2000") {
		t.Errorf("signed: %d, %s", status, out)
	}
	// One who hasn't got the variable learns from the instances.
	delete(r.env, "ROCKETKIT_SETTINGS_KEYS")
	status, out, _ := r.run(strings.Fields("pool set -g billing -t orders --workers 3 --yes")...)
	if status != statusLate || !strings.Contains(golden(out), "INSTANCE refused TOOK signature: it isn't signed, and this program takes only what is") {
		t.Errorf("%d, %s", status, out)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.key")
	if status, _, errs := call(t, nil, "keys", "new", name); status != 0 {
		t.Fatal(errs)
	}
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rsa := bytes.Replace(good, []byte("PRIVATE KEY"), []byte("RSA PRIVATE KEY"), 2)
	cut := bytes.Replace(good, []byte("\nMC4CAQAw"), []byte("\nMC4CAQAA"), 1)
	for says, text := range map[string][]byte{"is no private key": nil, "is no private key that": rsa, "asn1": cut} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readKey(name); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--key-file") {
			t.Errorf("%v, want %s", err, says)
		}
	}
	if err := os.WriteFile(name, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := readKey(name); err != nil || len(key) == 0 {
		t.Error(err)
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := readKey(name); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
	if _, err := readKey(name + "x"); !errors.Is(err, errUsage) {
		t.Error(err)
	}
	if status, _, errs := call(t, nil, "keys", "new", filepath.Join(name, "x")); status != statusFailed {
		t.Errorf("%d, %s", status, errs)
	}
}
