package admin_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/mqtest"
)

const requestPutKV = int(protocol.ReqPutKV)

// threeServers is a cluster with as many name servers, and a Client of it.
func threeServers(t *testing.T, edit func(*rocketkit.Config)) (*mqtest.Cluster, *rocketkit.Client) {
	t.Helper()
	cluster := mqtest.New(t, mqtest.Config{NameServers: 3, Logger: slog.New(slog.DiscardHandler), Topics: map[string]int{"orders": 1}})
	return cluster, openOn(t, cluster, edit)
}

func openOn(t *testing.T, cluster *mqtest.Cluster, edit func(*rocketkit.Config)) *rocketkit.Client {
	t.Helper()
	cfg := cluster.Config()
	cfg.Settings.CacheDir = "off"
	if edit != nil {
		edit(&cfg)
	}
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

// workers is a draft.
func workers(n string) admin.SettingsDraft {
	return admin.SettingsDraft{Spec: json.RawMessage(`{"topics":{"orders":{"workers":` + n + `}}}`), By: "ann"}
}

// read gives what there is; every name server has to answer.
func read(t *testing.T, s admin.Settings) admin.SettingsState {
	t.Helper()
	state, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// write writes to every name server.
func write(t *testing.T, s admin.Settings, draft admin.SettingsDraft) dynconf.Document {
	t.Helper()
	written, err := s.Write(t.Context(), draft, nil)
	if err != nil {
		t.Fatal(err)
	}
	return written.Document
}

// have checks which revision each name server has, and that those of the current document are marked.
func have(t *testing.T, state admin.SettingsState, revs ...int64) {
	t.Helper()
	if len(state.Servers) != len(revs) {
		t.Fatalf("%d servers, want %d", len(state.Servers), len(revs))
	}
	for i, s := range state.Servers {
		if s.Rev != revs[i] || s.Current != (revs[i] == state.Current.Rev) {
			t.Errorf("name server %d: %+v, want revision %d", i, s, revs[i])
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	_, client := threeServers(t, func(cfg *rocketkit.Config) { cfg.Tenant = "red" })
	a := admin.New(client)
	s := a.Settings("billing")
	state := read(t, s)
	if state.ID != (dynconf.ID{Tenant: "red", Group: "billing"}) || state.Current.Rev != 0 || state.InForce(time.Now()) {
		t.Errorf("before: %+v", state)
	}
	have(t, state, 0, 0, 0)
	if _, err := state.Undo(time.Now()); !errors.Is(err, admin.ErrNoSettings) {
		t.Errorf("undo of nothing: %v", err)
	}
	if _, err := s.Repair(t.Context()); !errors.Is(err, admin.ErrNoSettings) {
		t.Errorf("repair of nothing: %v", err)
	}

	before := time.Now().UnixMilli()
	first := write(t, s, workers("1"))
	if first.Rev < before || first.Rev > time.Now().UnixMilli() || first.By != "ann" || string(first.Spec) != `{"topics":{"orders":{"workers":1}}}` {
		t.Errorf("%+v", first)
	}
	second := write(t, s, workers("2"))
	third := write(t, s, workers("3"))
	if second.Rev <= first.Rev || third.Rev <= second.Rev { // within a millisecond, too
		t.Errorf("revisions %d, %d, %d", first.Rev, second.Rev, third.Rev)
	}
	state = read(t, s)
	have(t, state, third.Rev, third.Rev, third.Rev)
	if !state.InForce(time.Now()) || state.Current.Rev != third.Rev || state.Previous.Rev != second.Rev {
		t.Errorf("%+v", state)
	}
	if value, found, err := a.KV(dynconf.Namespace).Get(t.Context(), "red%billing"); !found || err != nil || !strings.Contains(value, `"workers":3`) {
		t.Errorf("%q, %t, %v", value, found, err)
	}

	draft, err := state.Undo(time.Now())
	if err != nil || draft.Over != third.Rev || string(draft.Spec) != string(second.Spec) || draft.Deleted {
		t.Errorf("undo: %+v, %v", draft, err)
	}
	write(t, s, draft)
	if draft, err = read(t, s).Undo(time.Now()); err != nil || string(draft.Spec) != string(third.Spec) {
		t.Errorf("undo of the undo: %+v, %v", draft, err)
	}
	gone := write(t, s, admin.SettingsDraft{Deleted: true})
	state = read(t, s)
	if state.InForce(time.Now()) || !state.Current.Deleted || state.Current.Rev != gone.Rev || state.Previous.Deleted {
		t.Errorf("deleted: %+v", state)
	}
	if other := read(t, admin.New(client).Settings("audit")); other.Current.Rev != 0 {
		t.Errorf("another group: %+v", other)
	}
}

func TestSettingsUndoOfWhatDoesNotHold(t *testing.T) {
	t.Parallel()
	_, client := threeServers(t, nil)
	s := admin.New(client).Settings("billing")
	short := workers("1")
	short.Expires = time.Now().Add(time.Hour)
	write(t, s, short)
	if draft, err := read(t, s).Undo(time.Now()); err != nil || !draft.Deleted {
		t.Errorf("of the first document: %+v, %v", draft, err)
	}
	write(t, s, workers("2"))
	state := read(t, s)
	if draft, err := state.Undo(time.Now()); err != nil || draft.Deleted || !draft.Expires.Equal(state.Previous.Expires) {
		t.Errorf("with time left: %+v, %v", draft, err)
	}
	if draft, err := state.Undo(time.Now().Add(time.Hour)); err != nil || !draft.Deleted || draft.Spec != nil {
		t.Errorf("expired meanwhile: %+v, %v", draft, err)
	}
	if state.InForce(state.Current.At) == false || !read(t, s).InForce(time.Now().Add(time.Hour)) {
		t.Error("the current one never expires")
	}
	// A writer that was killed between its two requests.
	kv := admin.New(client).KV(dynconf.Namespace)
	current, _, err := kv.Get(t.Context(), "billing")
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Put(t.Context(), "billing#previous", current); err != nil {
		t.Fatal(err)
	}
	if draft, err := read(t, s).Undo(time.Now()); !errors.Is(err, admin.ErrNoPrevious) {
		t.Errorf("%+v, %v", draft, err)
	}
}

func TestSettingsDraftsAreCheckedUnsent(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.open(t, "").Settings("billing")
	for field, err := range map[string]error{
		"Spec: is no JSON object":    failure(s.Write(t.Context(), admin.SettingsDraft{Spec: json.RawMessage(`[1]`)}, nil)),
		"Spec: is no JSON":           failure(s.Write(t.Context(), admin.SettingsDraft{}, nil)),
		"Deleted":                    failure(s.Write(t.Context(), admin.SettingsDraft{Deleted: true, Spec: json.RawMessage(`{}`)}, nil)),
		"Expires":                    failure(s.Write(t.Context(), admin.SettingsDraft{Spec: json.RawMessage(`{}`), Expires: time.Now()}, nil)),
		"group: ":                    failure(f.open(t, "").Settings("a b").Read(t.Context())),
		"group: tenant: the group":   failure(f.open(t, "").Settings("").Write(t.Context(), workers("1"), nil)),
		"group: CID_RMQ_SYS_TRANS b": failure(f.open(t, "").Settings("CID_RMQ_SYS_TRANS").Repair(t.Context())),
	} {
		if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), field) {
			t.Errorf("%v, want one about %s", err, field)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("sent %v", f.asked)
	}
	large := admin.SettingsDraft{Spec: json.RawMessage(`{"x":"` + strings.Repeat("x", dynconf.MaxWritten) + `"}`)}
	if _, err := s.Write(t.Context(), large, nil); !errors.Is(err, rocketkit.ErrConfig) || len(f.sent(protocol.ReqPutKV)) > 0 {
		t.Errorf("too large: %v", err)
	}
}

func failure[T any](_ T, err error) error { return err }

// A name server that is down misses a document, which is in force all the same, and Repair gives it what it has missed.
func TestSettingsWithANameServerDown(t *testing.T) {
	t.Parallel()
	cluster, client := threeServers(t, nil)
	s := admin.New(client).Settings("billing")
	first := write(t, s, workers("1"))
	if err := cluster.Stop("namesrv-b"); err != nil {
		t.Fatal(err)
	}
	written, err := s.Write(t.Context(), workers("2"), nil)
	var partial *admin.PartialError
	if !errors.As(err, &partial) || len(partial.Done) != 2 || len(partial.Failed) != 1 || partial.Failed[0].Address != cluster.Addresses()[1] ||
		!strings.Contains(err.Error(), "write the settings of group billing: done on name server "+cluster.Addresses()[0]) {
		t.Fatalf("%v", err)
	}
	state, err := s.Read(t.Context())
	if !errors.As(err, &partial) || state.Current.Rev != written.Document.Rev || state.Servers[1].Err == nil || state.Servers[1].Current {
		t.Errorf("%+v, %v", state, err)
	}
	if _, err := s.Repair(t.Context()); !errors.As(err, &partial) || len(partial.Done) != 2 {
		t.Errorf("repair while it is down: %v", err)
	}
	if err := cluster.Restart("namesrv-b"); err != nil {
		t.Fatal(err)
	}
	s = admin.New(openOn(t, cluster, nil)).Settings("billing") // which dials at once
	state = read(t, s)
	have(t, state, written.Document.Rev, first.Rev, written.Document.Rev)
	state, err = s.Repair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	have(t, state, written.Document.Rev, written.Document.Rev, written.Document.Rev)
	again := openOn(t, cluster, func(cfg *rocketkit.Config) { cfg.NameServers = cfg.NameServers[1:2] })
	if healed := read(t, admin.New(again).Settings("billing")); healed.Previous.Rev != first.Rev {
		t.Errorf("the previous document isn't healed: %+v", healed)
	}
}

func TestSettingsWithEveryNameServerDown(t *testing.T) {
	t.Parallel()
	cluster, client := threeServers(t, nil)
	s := admin.New(client).Settings("billing")
	for _, server := range []string{"namesrv-a", "namesrv-b", "namesrv-c"} {
		if err := cluster.Stop(server); err != nil {
			t.Fatal(err)
		}
	}
	for what, err := range map[string]error{"read": failure(s.Read(t.Context())), "write": failure(s.Write(t.Context(), workers("1"), nil)), "repair": failure(s.Repair(t.Context()))} {
		var partial *admin.PartialError
		if !errors.As(err, &partial) || len(partial.Done) != 0 || len(partial.Failed) != 3 || !strings.Contains(err.Error(), what+" the settings of group billing") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A name server that lost its table, and one whose document was damaged, are told apart, and healed.
func TestSettingsRepairHealsLossAndDamage(t *testing.T) {
	t.Parallel()
	cluster, client := threeServers(t, nil)
	a := admin.New(client)
	s := a.Settings("billing")
	write(t, s, workers("1"))
	now := write(t, s, workers("2"))
	kv, at := a.KV(dynconf.Namespace), cluster.Addresses()
	if err := errors.Join(kv.At(at[0]).Delete(t.Context(), "billing"), kv.At(at[0]).Delete(t.Context(), "billing#previous"),
		kv.At(at[2]).Put(t.Context(), "billing", `{"s":1,"rev":9999999999999}`)); err != nil {
		t.Fatal(err)
	}
	state := read(t, s)
	have(t, state, 0, now.Rev, 0)
	var refusal *dynconf.Refusal
	if state.Servers[0].Err != nil || !errors.As(state.Servers[2].Err, &refusal) || refusal.Reason != dynconf.Malformed {
		t.Errorf("%v, %v", state.Servers[0].Err, state.Servers[2].Err)
	}
	state, err := s.Repair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	have(t, state, now.Rev, now.Rev, now.Rev)
	if _, found, err := kv.At(at[0]).Get(t.Context(), "billing#previous"); !found || err != nil {
		t.Errorf("previous: %t, %v", found, err)
	}
}

// A name server that hangs delays a write by one time-out, for it isn't tried again; one that hangs or refuses when
// it is written is named.
func TestSettingsWithANameServerThatFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault mqtest.Fault
		says  string
	}{
		{"hangs", mqtest.Fault{Request: mqtest.RequestGetKV, Break: mqtest.Silence}, "deadline"},
		{"hangs when written", mqtest.Fault{Request: requestPutKV, Break: mqtest.Silence}, "deadline"},
		{"read-only", mqtest.Fault{Request: requestPutKV, Code: 1, Remark: "read-only file system"}, "read-only file system"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { settingsWithFault(t, test.fault, test.says) })
		})
	}
}

func settingsWithFault(t *testing.T, fails mqtest.Fault, says string) {
	t.Helper()
	cluster, client := threeServers(t, nil)
	s := admin.New(client).Settings("billing")
	first := write(t, s, workers("1"))
	fails.Server = "namesrv-c"
	fault := cluster.Inject(fails)
	began := time.Now()
	written, err := s.Write(t.Context(), workers("2"), nil)
	var partial *admin.PartialError
	if !errors.As(err, &partial) || len(partial.Done) != 2 || len(partial.Failed) != 1 || partial.Failed[0].Address != cluster.Addresses()[2] ||
		!strings.Contains(err.Error(), says) {
		t.Fatalf("%v", err)
	}
	if n := fault.Count(); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
	if took := time.Since(began); took > rocketkit.DefaultRequestTimeout {
		t.Errorf("it took %v", took)
	}
	fault.Remove()
	have(t, read(t, s), written.Document.Rev, written.Document.Rev, first.Rev)
	if _, err := s.Repair(t.Context()); err != nil {
		t.Error(err)
	}
}

// A name server that says yes and stores nothing is found out by reading back.
func TestSettingsAreReadBack(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.fault = func(address string, req *frame.Frame) *frame.Frame {
		if address == names2 && req.Code == protocol.ReqPutKV {
			return &frame.Frame{}
		}
		return nil
	}
	s := f.open(t, "").Settings("billing")
	_, err := s.Write(t.Context(), workers("1"), nil)
	var partial *admin.PartialError
	if !errors.As(err, &partial) || len(partial.Done) != 1 || partial.Failed[0].Address != names2 || !strings.Contains(err.Error(), "accepted the document, but has none") {
		t.Errorf("%v", err)
	}
	if _, err := s.Repair(t.Context()); !errors.As(err, &partial) || partial.Failed[0].Address != names2 {
		t.Errorf("repair: %v", err)
	}
}

func TestSettingsChangedByAnother(t *testing.T) {
	t.Parallel()
	f := newFake()
	ours, theirs := f.open(t, "").Settings("billing"), f.open(t, "").Settings("billing")
	none := workers("1")
	none.Over = admin.NoSettings
	first := write(t, ours, none)
	if _, err := theirs.Write(t.Context(), none, nil); !errors.Is(err, admin.ErrSettingsChanged) {
		t.Errorf("two first documents: %v", err)
	}
	over := workers("2")
	over.Over = first.Rev
	second := write(t, theirs, over)
	puts := len(f.sent(protocol.ReqPutKV))
	_, err := ours.Write(t.Context(), over, nil)
	if !errors.Is(err, admin.ErrSettingsChanged) || !strings.Contains(err.Error(), "by ann") || len(f.sent(protocol.ReqPutKV)) != puts {
		t.Errorf("over an older one: %v", err)
	}

	// One that writes between the put and the reading back.
	won := dynconf.Document{Rev: second.Rev + 3_600_000, At: time.Now(), By: "bob", Spec: json.RawMessage(`{}`)}
	text, err := won.Encode(dynconf.ID{Group: "billing"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.fault = func(address string, req *frame.Frame) *frame.Frame {
		if key, _ := req.Fields.Get("key"); address == names2 && req.Code == protocol.ReqPutKV && key == "billing" {
			f.kv[address][key] = text
			return &frame.Frame{}
		}
		return nil
	}
	over.Over = second.Rev
	if _, err := ours.Write(t.Context(), over, nil); !errors.Is(err, admin.ErrSettingsChanged) || !strings.Contains(err.Error(), "by bob on name server "+names2) {
		t.Errorf("at the same time: %v", err)
	}
}

// Where keys are configured, what isn't signed counts for nothing; it is still overwritten, since readers without keys
// would follow it.
func TestSettingsSigned(t *testing.T) {
	t.Parallel()
	cluster, plain := threeServers(t, nil)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keyed := openOn(t, cluster, func(cfg *rocketkit.Config) { cfg.Settings.Keys = []ed25519.PublicKey{public} })
	s := admin.New(keyed).Settings("billing")
	if _, err := s.Write(t.Context(), workers("1"), nil); !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "isn't signed") {
		t.Errorf("unsigned: %v", err)
	}
	written, err := s.Write(t.Context(), workers("1"), private)
	if err != nil || written.Document.Key != dynconf.KeyID(public) {
		t.Fatalf("%+v, %v", written, err)
	}
	forged := write(t, admin.New(plain).Settings("billing"), workers("99"))
	state := read(t, s)
	if state.Current.Rev != 0 || state.Previous.Rev != written.Document.Rev {
		t.Errorf("%+v", state)
	}
	undo, err := state.Undo(time.Now())
	if err != nil || string(undo.Spec) != string(written.Document.Spec) || undo.Over != admin.NoSettings {
		t.Errorf("%+v, %v: what was signed doesn't come back", undo, err)
	}
	again, err := s.Write(t.Context(), undo, private)
	if err != nil || again.Document.Rev <= forged.Rev {
		t.Errorf("%+v, %v", again, err)
	}
	// One whose signature was taken away is the same document, and the signed one heals it.
	at := cluster.Addresses()
	kv := admin.New(plain).KV(dynconf.Namespace)
	text, _, err := kv.Get(t.Context(), "billing")
	if err != nil {
		t.Fatal(err)
	}
	stripped := text[:strings.Index(text, `,"key"`)] + "}"
	if err := kv.At(at[0]).Put(t.Context(), "billing", stripped); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.New(plain).Settings("billing").Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	have(t, read(t, s), again.Document.Rev, again.Document.Rev, again.Document.Rev)
}

// Members that have applied a revision take no lower one, also where name servers have lost it; what no member can have
// applied moves nothing.
func TestSettingsAbove(t *testing.T) {
	t.Parallel()
	_, client := threeServers(t, nil)
	s := admin.New(client).Settings("billing")
	draft, now := workers("1"), time.Now()
	draft.Above = now.Add(time.Hour).UnixMilli()
	if d := write(t, s, draft); d.Rev != draft.Above+1 {
		t.Errorf("revision %d", d.Rev)
	}
	for _, above := range []int64{now.Add(dynconf.MaxAhead + time.Hour).UnixMilli(), math.MaxInt64, -5} {
		draft.Above = above
		if d := write(t, s, draft); d.Rev > now.Add(2*time.Hour).UnixMilli() {
			t.Errorf("above %d: revision %d", above, d.Rev)
		}
	}
}

// One who doesn't know which keys count doesn't spread what may be a forgery.
func TestSettingsRepairIsNotFooled(t *testing.T) {
	t.Parallel()
	cluster, client := threeServers(t, nil)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := admin.New(client)
	s := a.Settings("billing")
	signed, err := s.Write(t.Context(), workers("1"), private)
	if err != nil {
		t.Fatal(err)
	}
	at := cluster.Addresses()
	forgery := dynconf.Document{Rev: signed.Document.Rev + 1, At: time.Now(), Spec: json.RawMessage(`{"topics":{"orders":{"pause":true}}}`)}
	text, err := forgery.Encode(dynconf.ID{Group: "billing"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.KV(dynconf.Namespace).At(at[1]).Put(t.Context(), "billing", text); err != nil {
		t.Fatal(err)
	}
	if state, err := s.Repair(t.Context()); err == nil || !strings.Contains(err.Error(), "give the keys that count") || !strings.Contains(err.Error(), dynconf.KeyID(public)) {
		t.Errorf("%+v, %v", state, err)
	}
	have(t, read(t, s), signed.Document.Rev, forgery.Rev, signed.Document.Rev)
	keyed := openOn(t, cluster, func(cfg *rocketkit.Config) { cfg.Settings.Keys = []ed25519.PublicKey{public} })
	state, err := admin.New(keyed).Settings("billing").Repair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	have(t, state, signed.Document.Rev, signed.Document.Rev, signed.Document.Rev)
}

func TestSettingsGroups(t *testing.T) {
	t.Parallel()
	cluster, client := threeServers(t, nil)
	a, red := admin.New(client), admin.New(openOn(t, cluster, func(cfg *rocketkit.Config) { cfg.Tenant = "red" }))
	if groups, err := a.SettingsGroups(t.Context()); err != nil || len(groups) != 0 {
		t.Errorf("%v, %v", groups, err)
	}
	for range 2 { // so that there are previous ones, too
		write(t, a.Settings("billing"), workers("1"))
		write(t, red.Settings("audit"), workers("1"))
	}
	if err := cluster.Stop("namesrv-a"); err != nil {
		t.Fatal(err)
	}
	_, err := a.Settings("shipping").Write(t.Context(), workers("1"), nil)
	var partial *admin.PartialError
	if !errors.As(err, &partial) {
		t.Fatal(err)
	}
	if groups, err := a.SettingsGroups(t.Context()); !errors.As(err, &partial) || len(partial.Failed) != 1 || !slices.Equal(groups, []string{"billing", "shipping"}) {
		t.Errorf("%v, %v", groups, err)
	}
	if groups, _ := red.SettingsGroups(t.Context()); !slices.Equal(groups, []string{"audit"}) {
		t.Errorf("red: %v", groups)
	}
}

// Write finishes what it has begun: name servers that differ are worse than a caller that waits.
func TestSettingsWriteFinishes(t *testing.T) {
	t.Parallel()
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	f.fault = func(_ string, req *frame.Frame) *frame.Frame {
		if req.Code == protocol.ReqPutKV {
			cancel()
		}
		return nil
	}
	s := f.open(t, "").Settings("billing")
	if _, err := s.Write(ctx, workers("1"), nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Write(ctx, workers("1"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("one that hadn't begun: %v", err)
	}
}

// A caller that gives up while name servers are read leaves them as they are: one that hasn't answered yet would be missed.
func TestSettingsWriteGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster, client := threeServers(t, nil)
		s := admin.New(client).Settings("billing")
		first := write(t, s, workers("1"))
		hung := cluster.Inject(mqtest.Fault{Server: "namesrv-c", Request: mqtest.RequestGetKV, Break: mqtest.Silence})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := s.Write(ctx, workers("2"), nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "nothing was written") {
			t.Error(err)
		}
		hung.Remove()
		have(t, read(t, s), first.Rev, first.Rev, first.Rev)
	})
}
