package tenant_test

import (
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/tenant"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "t", "0", "red", "eu-west-1", "a-", "a--b", "rmq", "mq-instrument", strings.Repeat("a", 32)} {
		names, err := tenant.New(name)
		if err != nil || names.Tenant() != name {
			t.Errorf("New(%q) = %q, %v", name, names.Tenant(), err)
		}
	}
	const rule, reserved = "1 to 32 of a-z, 0-9 and '-'", "RocketMQ keeps for itself"
	for name, says := range map[string]string{
		"Red":                   rule,
		"-red":                  rule,
		"a_b":                   rule,
		"a%b":                   rule,
		"a b":                   rule,
		" ":                     rule,
		"a\x00":                 rule,
		"röt":                   rule,
		"%RETRY%":               rule,
		"red\n":                 rule,
		strings.Repeat("a", 33): rule,
		"rmq_sys_x":             reserved,
		"rmq-sys-x":             reserved,
		"RMQ_SYS_X":             reserved,
		"CID_RMQ_SYS_X":         reserved,
		"cid-rmq-sys-x":         reserved,
		"MQ_INST_1_2":           reserved,
		"mq-inst-1":             reserved,
	} {
		if names, err := tenant.New(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("New(%q) = %q, %v; want an error that says %q", name, names.Tenant(), err, says)
		}
	}
}

// hostile holds names that must never become a physical name, and what the error says.
var hostile = []struct{ name, says string }{
	{"", "has no name"},
	{"t%x", "'%'"},
	{"t%", "'%'"},
	{"%t", "'%'"},
	{"u%x", "'%'"},
	{"BA%secret", "'%'"},
	{"A%%RETRY%g", "'%'"},
	{"%", "ends a tenant's name"},
	{"%%", "'%'"},
	{"%RETRY", "'%'"},
	{"%retry%g", "'%'"},
	{"%dlq%g", "'%'"},
	{"%LMQ%x", "'%'"},
	{"%RETRY%", "has no name"},
	{"%DLQ%", "has no name"},
	{"%RETRY%t%g", "'%'"},
	{"%RETRY%u%g", "'%'"},
	{"%RETRY%%DLQ%x", "'%'"},
	{"%DLQ%%RETRY%x", "'%'"},
	{"%RETRY%%RETRY%x", "'%'"},
	{"%RETRY%g+orders", "'+'"},
	{"%RETRY%BenchmarkTest", "system topic"},
	{"%DLQ%rmq_sys_x", "system topic"},
	{"CID_RMQ_SYS_x", "keeps for groups"},
	{"rmq_sys_%x", "'%'"},
	{"rmq_sys_a.b", "'.'"},
	{"TBW102\x00", `'\x00'`},
	{"a/b", "'/'"},
	{"../a", "'.'"},
	{"a.b", "'.'"},
	{"a|b", "'|'"},
	{"a b", "' '"},
	{" a", "' '"},
	{"a\n", `'\n'`},
	{"a\x00", `'\x00'`},
	{"a\xff", "at byte 1"},
	{"ørders", "'ø'"},
	{"оrders", "'о'"}, // a Cyrillic o
	{strings.Repeat("a", 128), "shorten it by"},
	{strings.Repeat("\xff", 1<<20), "(1048576 bytes)"},
	{"%RETRY%" + strings.Repeat("a", 121), "shorten it by"},
}

func TestHostileNamesAreRefused(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"", "t"} {
		names := newNames(t, who)
		for _, h := range hostile {
			physical, err := names.Resource(h.name)
			if err == nil || !strings.Contains(err.Error(), h.says) || len(err.Error()) > 1000 {
				t.Errorf("tenant %q: Resource(%.40q) = %q, %v; want an error that says %q", who, h.name, physical, err, h.says)
			}
			if physical, err = names.Group(h.name); err == nil && h.name != "CID_RMQ_SYS_x" {
				t.Errorf("tenant %q: Group(%.40q) = %q, want an error", who, h.name, physical)
			}
			for _, of := range []func(string) (string, error){names.Retry, names.DeadLetter} {
				if physical, err = of(h.name); err == nil && h.name != "CID_RMQ_SYS_x" {
					t.Errorf("tenant %q: a topic of group %.40q is %q, want an error", who, h.name, physical)
				}
			}
		}
	}
}

func TestBack(t *testing.T) {
	t.Parallel()
	type back struct {
		tenant, physical string
		logical          string // "" where the name isn't the tenant's
	}
	for _, c := range []back{
		{"t", "t%orders", "orders"},
		{"t", "%RETRY%t%g", "%RETRY%g"},
		{"t", "%DLQ%t%g", "%DLQ%g"},
		{"t", "TBW102", "TBW102"},
		{"t", "rmq_sys_wheel_timer", "rmq_sys_wheel_timer"},
		{"t", "%RETRY%CID_RMQ_SYS_x", "%RETRY%CID_RMQ_SYS_x"},
		{"t", "orders", ""},
		{"t", "red%orders", ""},
		{"t", "tt%orders", ""},
		{"t", "%orders", ""},
		{"t", "t%", ""},
		{"t", "t", ""},
		{"t", "", ""},
		{"t", "t%t%orders", ""},
		{"t", "%RETRY%g", ""},
		{"t", "%RETRY%red%g", ""},
		{"t", "t%%RETRY%g", ""},
		{"t", "%RETRY%%DLQ%t%g", ""},
		{"t", "t%TBW102", ""},
		{"t", "t%CID_RMQ_SYS_x", ""},
		{"t", "%RETRY%t%CID_RMQ_SYS_x", ""},
		{"t", "%RETRY%t%g+t%orders", ""}, // POP's
		{"t", "T%orders", ""},
		{"t", "t%" + strings.Repeat("a", 126), ""},
		{"", "orders", "orders"},
		{"", "%RETRY%g", "%RETRY%g"},
		{"", "red%orders", ""},
		{"", "%RETRY%red%g", ""},
		{"", "%DLQ%", ""},
		{"", "", ""},
	} {
		logical, ok := newNames(t, c.tenant).LogicalTopic(c.physical)
		if logical != c.logical || ok != (c.logical != "") {
			t.Errorf("tenant %q: LogicalTopic(%q) = %q, %t; want %q", c.tenant, c.physical, logical, ok, c.logical)
		}
	}
	for _, c := range []back{
		{"t", "t%g", "g"},
		{"t", "CID_RMQ_SYS_x", "CID_RMQ_SYS_x"},
		{"t", "CID_RMQ_SYS_%", ""},
		{"t", "g", ""},
		{"t", "red%g", ""},
		{"t", "%RETRY%t%g", ""},
		{"t", "t%TBW102", ""},
		{"", "g", "g"},
		{"", "red%g", ""},
		{"", "TBW102", ""},
	} {
		logical, ok := newNames(t, c.tenant).LogicalGroup(c.physical)
		if logical != c.logical || ok != (c.logical != "") {
			t.Errorf("tenant %q: LogicalGroup(%q) = %q, %t; want %q", c.tenant, c.physical, logical, ok, c.logical)
		}
	}
}

// The limits are those of the broker's names, so a tenant leaves that much less.
func TestLimits(t *testing.T) {
	t.Parallel()
	for who, left := range map[string]int{"": 0, "t": 2, strings.Repeat("a", 32): 33} {
		names := newNames(t, who)
		atMost := func(what string, limit int, of func(string) (string, error)) {
			t.Helper()
			if _, err := of(strings.Repeat("x", limit-left)); err != nil {
				t.Errorf("tenant %q: a %s of %d bytes: %v", who, what, limit, err)
			}
			if _, err := of(strings.Repeat("x", limit-left+1)); err == nil || !strings.HasSuffix(err.Error(), "shorten it by 1") {
				t.Errorf("tenant %q: a %s of %d bytes: %v, want to hear how much it is over", who, what, limit+1, err)
			}
		}
		atMost("topic", 127, names.Topic)
		atMost("group", 120, names.Group)
		atMost("retry topic's group", 120, names.Retry)
		atMost("dead-letter topic's group", 120, names.DeadLetter)
	}
}
