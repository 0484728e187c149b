package admin

import (
	"reflect"
	"testing"
	"time"
)

// What members of this release say is read, and of what others say as much as is there.
func TestPoolsAndSettingsAreRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 3, 0, 0, 5e6, time.UTC)
	info := RunningInfo{Properties: map[string]string{
		"PROP_CONSUME_TYPE": "CONSUME_PASSIVELY",
		"pool refunds":      "core=3 max=3 active=0 waiting=7 paused=true timeout=none",
		"pool orders":       "core=16 max=64 active=3 waiting=0 paused=false timeout=1m30s later=5",
		"pool old":          "core=4 max=4 active=1 waiting=2",
		"pool odd":          `core= max==5 "x`,
		"settings":          `rev=5 at=2026-11-24T03:00:00.005Z from="file /etc/a b.json" by="al\"ice= rev=9" expires=2026-11-24T03:00:00.005Z expired=true deleted=false`,
		"settings error":    `reason=invalid rev=6 since=2026-11-24T03:00:00.005Z error="topics.orders.workers: 0 is \"not\" between"`,
		"settings unknown":  "color topics.nowhere",
	}}
	want := []Pool{
		{Topic: "odd"},
		{Topic: "old", Core: 4, Max: 4, Active: 1, Waiting: 2},
		{Topic: "orders", Core: 16, Max: 64, Active: 3, Timeout: 90 * time.Second},
		{Topic: "refunds", Core: 3, Max: 3, Waiting: 7, Paused: true},
	}
	if got := info.Pools(); !reflect.DeepEqual(got, want) {
		t.Errorf("pools %+v", got)
	}
	s, follows := info.Settings()
	if !follows || !reflect.DeepEqual(s, MemberSettings{
		Rev: 5, At: at, Expires: at, From: "file /etc/a b.json", By: `al"ice= rev=9`, Expired: true,
		Error: `topics.orders.workers: 0 is "not" between`, Reason: "invalid", ErrorRev: 6, Since: at, Unknown: []string{"color", "topics.nowhere"}, Unapplied: []string{},
	}) {
		t.Errorf("settings %+v", s)
	}
	if _, follows := (RunningInfo{}).Settings(); follows {
		t.Error("a member that says nothing follows a document")
	}
}
