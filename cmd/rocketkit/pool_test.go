package main

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/mqtest"
)

// expect runs the program and checks what it prints, but for what varies.
func (r *rig) expect(in string, status int, out, errs string, args ...string) {
	r.Helper()
	gotStatus, gotOut, gotErrs := r.answer(in, args...)
	if gotOut, gotErrs = golden(gotOut), golden(gotErrs); gotStatus != status || gotOut != out || gotErrs != errs {
		r.Errorf("rocketkit %s: status %d, want %d\n%s", strings.Join(args, " "), gotStatus, status, differ(gotOut+"---\n"+gotErrs, out+"---\n"+errs))
	}
}

// differ shows two texts, with a mark at the first line that isn't the same.
func differ(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			g[i] = ">" + g[i]
			break
		}
	}
	return "got\n" + strings.Join(g, "\n") + "\nwant\n" + want
}

const nothingSet = "Settings of group billing: none, the program's own hold\n"

func TestPoolSet(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	r.billing("", nil)
	change := nothingSet + `
SETTING NOW NEW
topics.orders.maxWorkers not set (16) 64
topics.orders.workers not set (16) 32

`
	set := []string{"pool", "set", "-g", "billing", "-t", "orders", "--workers", "32", "--max", "64", "--by", "ann@desk"}
	r.expect("", 0, change, "", append(set, "--dry-run")...)
	r.expect("no\n", statusRefused, change+"Write them to 3 name servers, for 2 instances? [y/N] ", "nothing was changed\n", set...)
	r.expect("", statusRefused, change+"Write them to 3 name servers, for 2 instances? [y/N] ", "nothing was changed: nobody has answered; --yes doesn't ask\n", set...)
	r.expect("y\n", 0, change+`Write them to 3 name servers, for 2 instances? [y/N] 
Wrote revision REV to 3 name servers.

INSTANCE STATUS TOOK
INSTANCE applied TOOK orders 32 to 64
INSTANCE applied TOOK orders 32 to 64

Applied on all of 2 instances in TOOK.
`, "", set...)
	r.expect("", 0, `Settings of group billing: revision REV by ann@desk, AGE ago
Nothing to change.

INSTANCE STATUS TOOK
INSTANCE applied TOOK orders 32 to 64
INSTANCE applied TOOK orders 32 to 64

Applied on all of 2 instances in TOOK.
`, "", set...)
	r.expect("", 0, `Settings of group billing: revision REV by ann@desk, AGE ago

TOPIC INSTANCE WORKERS MAX ACTIVE WAITING SETTINGS
orders INSTANCE 32 64 0 0 applied
orders INSTANCE 32 64 0 0 applied
`, "", "pool", "show", "-g", "billing", "-t", "orders")
	r.expect("", 0, `Settings of group billing: revision REV by ann@desk, AGE ago

SETTING NOW NEW
topics.orders.maxWorkers 64 not set
topics.orders.workers 32 not set

Wrote revision REV to 3 name servers.

INSTANCE STATUS TOOK
INSTANCE applied TOOK orders 16
INSTANCE applied TOOK orders 16

Applied on all of 2 instances in TOOK.
`, "", "pool", "set", "-g", "billing", "--undo", "--yes")
}

// A change leaves all else that the document says, whoever wrote it and whatever it is.
func TestPoolSetKeepsTheRest(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	a := admin.New(r.client("", nil))
	spec := `{"attempts":5,"later":{"a":[1.50,"<&"]},"topics":{"orders":{"timeout":"30s","new":1,"workers":2},"gone":{"workers":1}}}`
	if _, err := a.Settings("billing").Write(t.Context(), admin.SettingsDraft{Spec: json.RawMessage(spec)}, nil); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ args, spec string }{
		{"-t orders --workers 3 --max 4 --pause", `{"attempts":5,"later":{"a":[1.50,"<&"]},"topics":{"gone":{"workers":1},"orders":{"maxWorkers":4,"new":1,"pause":true,"timeout":"30s","workers":3}}}`},
		{"-t orders --resume", `{"attempts":5,"later":{"a":[1.50,"<&"]},"topics":{"gone":{"workers":1},"orders":{"maxWorkers":4,"new":1,"pause":false,"timeout":"30s","workers":3}}}`},
		{"-t refunds --max 9", `{"attempts":5,"later":{"a":[1.50,"<&"]},"topics":{"gone":{"workers":1},"orders":{"maxWorkers":4,"new":1,"pause":false,"timeout":"30s","workers":3},"refunds":{"maxWorkers":9}}}`},
		{"-t orders --reset", `{"attempts":5,"later":{"a":[1.50,"<&"]},"topics":{"gone":{"workers":1},"orders":{"new":1,"timeout":"30s"},"refunds":{"maxWorkers":9}}}`},
		{"-t refunds --reset", `{"attempts":5,"later":{"a":[1.50,"<&"]},"topics":{"gone":{"workers":1},"orders":{"new":1,"timeout":"30s"}}}`},
		{"--undo", `{"attempts":5,"later":{"a":[1.50,"<&"]},"topics":{"gone":{"workers":1},"orders":{"new":1,"timeout":"30s"},"refunds":{"maxWorkers":9}}}`},
	} {
		if status, out, errs := r.run(append(strings.Fields("pool set -g billing --yes --timeout 0 "+step.args), "--by", "")...); status != 0 {
			t.Fatalf("%s: %d, %s%s", step.args, status, out, errs)
		}
		state, err := a.Settings("billing").Read(t.Context())
		if err != nil || string(state.Current.Spec) != step.spec || !strings.HasPrefix(state.Current.By, "ann@") {
			t.Errorf("%s: %s by %q, %v; want %s", step.args, state.Current.Spec, state.Current.By, err, step.spec)
		}
	}
	if _, out, _ := r.run("pool", "set", "-g", "billing", "-t", "orders", "--workers", "7", "--yes"); !strings.Contains(out, "orders 7 to 16; ignores later, topics.orders.new, topics.gone") &&
		!strings.Contains(out, "; ignores ") {
		t.Errorf("what instances ignore isn't told: %s", out)
	}
}

// The topic and the group are held against what runs, and near misses are named.
func TestPoolSetOfWhatNobodyReceives(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	r.billing("red", nil)
	for _, test := range []struct {
		args   string
		status int
		says   string
	}{
		{"-g billing -t oders --workers 3", statusUsage, `--topic: no live instance of group billing receives "oders"; did you mean orders?`},
		{"-g billing -t Refudns --workers 3", statusUsage, "did you mean refunds?"},
		{"-g billing -t payments --workers 3", statusUsage, "known topics: orders, refunds"},
		{"-g billing -t refunds --workers 3 --tenant red", statusUsage, `receives "refunds"; known topics: orders`},
		{"-g blling -t orders --workers 3", statusFailed, "--group: no instance of group blling is connected, and brokers don't know the group; did you mean billing?"},
		{"-g shipping -t orders --workers 3 --tenant red", statusFailed, "known groups: billing"},
		{"-g red%billing -t orders --workers 3", statusUsage, "contains '%'"},
		{"-g billing -t orders --workers 3 --tenant Red", statusUsage, "--tenant: tenant: \"Red\" has"},
		{"-g billing -t orders --workers 0", statusUsage, "--workers: topics.orders.workers: 0 is not between 1 and 65536"},
		{"-g billing -t orders --workers 30 --max 3", statusUsage, "--workers, --max: topics.orders.maxWorkers: 3 is below workers, which is 30"},
		{"-g billing --undo", statusFailed, "there are no settings"},
	} {
		status, out, errs := r.run(strings.Fields("pool set " + test.args)...)
		if status != test.status || out != "" && !strings.HasPrefix(out, "Settings") || !strings.Contains(errs, test.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q, %q; want %d, %q", test.args, status, out, errs, test.status, test.says)
		}
	}
	if state, err := admin.New(r.client("", nil)).Settings("billing").Read(t.Context()); err != nil || state.Current.Rev != 0 {
		t.Errorf("written all the same: %+v, %v", state, err)
	}
}

// A document ends as a whole, so a change neither ends what is to stay nor keeps what is to end unasked.
func TestPoolSetForATime(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	r.expect("", 0, nothingSet+`
SETTING NOW NEW
topics.refunds.workers not set (4) 8

Wrote revision REV to 3 name servers.
`, "", strings.Fields("pool set -g billing -t refunds --workers 8 --yes --timeout 0 --by ann")...)
	r.expect("", 0, `Settings of group billing: revision REV by ann, AGE ago

SETTING NOW NEW
topics.orders.maxWorkers not set (16) 64
expires never in AWHILE

at TIME all settings of the group end, and the program's own hold. These end with them: topics.refunds.workers=8

Wrote revision REV to 3 name servers.
`, "", strings.Fields("pool set -g billing -t orders --max 64 --for 2h --yes --timeout 0 --by ann")...)
	r.expect("", statusUsage, "", "rocketkit: wrong usage: --for is missing: the settings of group billing end in AWHILE; give --for 2h to have them all end about then, or --for never to have them all stay\n",
		strings.Fields("pool set -g billing -t refunds --workers 2 --yes")...)
	r.expect("", 0, `Settings of group billing: revision REV by ann, AGE ago, expires in AWHILE

SETTING NOW NEW
topics.refunds.workers 8 2
expires in AWHILE never

`, "", strings.Fields("pool set -g billing -t refunds --workers 2 --dry-run --for never")...)
}

// Statuses 4 and 5: the change is in force, though a name server missed it; it is written, though an instance hasn't
// applied it.
func TestPoolSetInPart(t *testing.T) {
	r := newRig(t)
	_, leave := r.billing("", nil)
	if err := r.cluster.Stop("namesrv-c"); err != nil {
		t.Fatal(err)
	}
	r.expect("", statusMissed, nothingSet+`
SETTING NOW NEW
topics.orders.workers not set (16) 32

Wrote revision REV to 2 of 3 name servers.

INSTANCE STATUS TOOK
INSTANCE applied TOOK orders 32

Applied on all of 1 instance in TOOK.
`, `name server SERVER doesn't answer: ERROR
rocketkit: the settings are in force, but missed by name server SERVER; once that works, run rocketkit conf repair -g billing
`, strings.Fields("pool set -g billing -t orders --workers 32 --yes --by ann")...)
	if status, _, errs := r.run("conf", "get", "-g", "billing"); status != statusMissed || !strings.Contains(errs, "name servers differ") {
		t.Errorf("conf get: %d, %s", status, errs)
	}
	if status, out, errs := r.run("conf", "repair", "-g", "billing"); status != statusMissed || !strings.Contains(golden(out), "no answer no answer") || !strings.Contains(errs, "rocketkit: settings of group billing: still missed by name server 127.0.0.1:") {
		t.Errorf("conf repair: %d, %s, %s", status, out, errs)
	}
	r.billing("", func(cfg *rocketkit.Config) { cfg.Settings.Off = true })
	status, out, errs := r.run(strings.Fields("pool set -g billing -t orders --workers 2000 --yes --timeout 5s")...)
	if status != statusLate || !strings.Contains(golden(out), "INSTANCE refused TOOK invalid: topics.orders.workers: 2000 is more than Bounds.MaxWorkers lets") ||
		!strings.Contains(golden(out), "INSTANCE without TOOK follows none: switched off, or an older release\n") ||
		!strings.Contains(errs, "rocketkit: applied on 0 of 2 instances: 1 refused it and kept what it had (to go back, run rocketkit pool set -g billing --undo); 1 can't have settings from the name servers\nrocketkit: the settings are written, but missed by") {
		t.Errorf("%d, %s, %s", status, out, errs)
	}
	if _, out, _ := r.run("pool", "show", "-g", "billing"); strings.Count(out, ": refuses revision") != 1 || !strings.Contains(out, "refused the newest") || !strings.Contains(out, "follows none: switched off, or an older release") {
		t.Errorf("%s", out)
	}
	if err := r.cluster.Restart("namesrv-c"); err != nil {
		t.Fatal(err)
	}
	r.expect("", 0, "NAME SERVER BEFORE NOW\nSERVER revision REV revision REV\nSERVER revision REV revision REV\nSERVER none revision REV\n", "", "conf", "repair", "-g", "billing")
	leave()
}

// An instance that is cut off from the name servers is waited for no longer than is said.
func TestPoolSetWaitsNoLonger(t *testing.T) {
	r := newRig(t)
	id, _ := r.billing("", nil)
	for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
		defer r.cluster.Partition(id, server).Heal()
	}
	status, out, errs := r.run(strings.Fields("pool set -g billing -t orders --workers 32 --yes --timeout 1s")...)
	if status != statusLate || !strings.Contains(golden(out), "INSTANCE waiting TOOK has none") || !strings.Contains(errs, "applied on 0 of 1 instance: 1 didn't apply it within 1s") {
		t.Errorf("%d, %s, %s", status, out, errs)
	}
}

// On a terminal a line counts until all is said, and is gone then; lines for instances stand alone.
func TestPoolSetOnATerminal(t *testing.T) {
	r := newRig(t)
	r.terminal = true
	id, _ := r.billing("", nil)
	r.billing("", nil)
	for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
		defer r.cluster.Partition(id, server).Heal()
	}
	status, out, errs := r.run(strings.Fields("pool set -g billing -t orders --workers 32 --yes --timeout 5s")...)
	if status != statusLate || strings.Contains(out, "\r") || !regexp.MustCompile(`\x1b\[K1 of 2 instances, \d\.\ds\r`).MatchString(errs) ||
		!strings.Contains(errs, "\r\x1b[Krocketkit: applied on 1 of 2 instances") {
		t.Errorf("%d, %q, %q", status, out, errs)
	}
}

// Who stops watching isn't told that all is well.
func TestPoolSetStopped(t *testing.T) {
	r := newRig(t)
	id, _ := r.billing("", nil)
	for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
		defer r.cluster.Partition(id, server).Heal()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := r.cluster.Inject(mqtest.Fault{Request: 307, Skip: 3, Times: 1, Code: 1}) // the first is for the topic
	go func() {
		if asked.Wait(ctx, 1) == nil {
			cancel()
		}
	}()
	r.ctx = ctx
	status, _, errs := r.run(strings.Fields("pool set -g billing -t orders --workers 32 --yes")...)
	if status != statusLate || !strings.Contains(errs, "applied on 0 of 1 instance: 1 had not applied it when you stopped watching") {
		t.Errorf("%d, %q", status, errs)
	}
}

func TestPoolSetAsJSON(t *testing.T) {
	r := newRig(t)
	r.billing("red", nil)
	r.env["ROCKETKIT_TENANT"] = "red"
	status, out, errs := r.run(strings.Fields("pool set -g billing -t orders --workers 32 --yes -o json")...)
	var got struct {
		Tenant, Group string
		Revision      int64
		Spec          json.RawMessage
		NameServers   []struct{ Current bool }
		Instances     []struct {
			Status  string
			Seconds float64
			Pools   []struct {
				Topic   string
				Workers int
			}
		}
		Applied, Live int
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || errs != "" {
		t.Fatalf("%d, %s, %s, %v", status, out, errs, err)
	}
	if got.Tenant != "red" || got.Group != "billing" || got.Revision == 0 || got.Applied != 1 || got.Live != 1 || len(got.NameServers) != 3 || !got.NameServers[2].Current ||
		len(got.Instances) != 1 || got.Instances[0].Status != "applied" || got.Instances[0].Seconds <= 0 || got.Instances[0].Pools[0].Workers != 32 {
		t.Errorf("%+v", got)
	}
	for _, args := range []string{"--workers 32 --dry-run", "--workers 32 --yes --timeout 0", "--max 40 --yes --timeout 0"} { // nobody is watched
		if _, out, _ := r.run(strings.Fields("pool set -g billing -t orders -o json " + args)...); !strings.Contains(out, `"live": 1`) {
			t.Errorf("%s: there is an instance: %s", args, out)
		}
	}
	r.run(strings.Fields("pool set -g billing --undo --yes")...)
	status, out, errs = r.run(strings.Fields("pool set -g billing -t orders --workers 33 --dry-run -o json")...)
	if status != 0 || errs != "" || !strings.Contains(out, `"setting": "topics.orders.workers"`) || !strings.Contains(out, `"now": "32"`) || !strings.Contains(out, `"new": "33"`) {
		t.Errorf("%d, %s, %s", status, out, errs)
	}
	status, out, errs = r.run(strings.Fields("pool show -g billing -o json")...)
	if status != 0 || errs != "" || !json.Valid([]byte(out)) || !strings.Contains(out, `"maxWorkers": 32`) {
		t.Errorf("%d, %s, %s", status, out, errs)
	}
}

// Members of another library are told apart: no settings reach them.
func TestPoolShowOfOtherLibraries(t *testing.T) {
	r := newRig(t)
	r.billing("", func(cfg *rocketkit.Config) { cfg.Settings.Off = true })
	r.expect("", 0, nothingSet+`
TOPIC INSTANCE WORKERS MAX ACTIVE WAITING SETTINGS
orders INSTANCE 16 16 0 0 follows none: switched off, or an older release
refunds INSTANCE 4 8 0 0 follows none: switched off, or an older release
`, "", "pool", "show", "-g", "billing")
	hangs := r.cluster.Inject(mqtest.Fault{Request: 307, Code: 1, Remark: "it hangs"})
	status, out, errs := r.run("pool", "show", "-g", "billing")
	if status != 0 || !strings.Contains(out, "doesn't answer: ") || !strings.Contains(out, "it hangs") || errs != "" {
		t.Errorf("%d, %s, %s", status, out, errs)
	}
	if status, _, errs = r.run(strings.Fields("pool set -g billing -t orders --workers 3")...); status != statusFailed || !strings.Contains(errs, "no instance of group billing says whether it receives topic orders (no answer from 1 of 1 instance): GET") {
		t.Errorf("%d, %s", status, errs)
	}
	hangs.Remove()
	java := admin.Instance{Member: admin.Member{ClientID: "a@1", Language: "JAVA", Version: "V5_3_0"}}
	if text := without(java); text != "another library, JAVA V5_3_0, which has none" {
		t.Error(text)
	}
}

func TestCompletion(t *testing.T) {
	r := newRig(t)
	r.billing("", nil)
	for args, want := range map[string][]string{
		"pool set -g b":                     {"billing"},
		"pool set -g billing -t ":           {"orders", "refunds"},
		"conf get -g ":                      {"billing"},
		"pool show -g billing -t or":        {"orders"},
		"pool show --tenant red -g ":        nil,
		"pool set --namesrv 127.0.0.1:1 -g": nil,
	} {
		words := strings.Split("__complete "+args, " ")
		if words[len(words)-1] == "-g" {
			words = append(words, "")
		}
		_, out, _ := r.run(words...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if got := lines[:len(lines)-1]; !slices.Equal(got, want) || lines[len(lines)-1] != ":4" {
			t.Errorf("%s: %q, want %q", args, lines, want)
		}
	}
}
