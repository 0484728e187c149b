package admin

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pool is the workers of one topic, as a rocketkit member reports them.
type Pool struct {
	Topic     string // logical
	Core, Max int    // how many handlers may run at once, and how many while messages wait
	Active    int    // how many do
	Waiting   int    // messages received that wait for a worker
	Paused    bool   // no handler is called
	Timeout   time.Duration
}

// MemberSettings is the settings document that a rocketkit member has applied last, and the one that it has refused since.
type MemberSettings struct {
	Rev     int64 // 0: none
	At      time.Time
	Expires time.Time // zero: never
	From    string    // where it has it from: "name servers", "cache", "file x"
	By      string    // who wrote it
	Expired bool      // it counts for nothing any more
	Deleted bool      // it says that there are no settings

	Error    string // why a document was refused, or none could be read; empty: neither is so
	Reason   string // of Error, a dynconf.Reason
	ErrorRev int64  // the revision that it claims; 0: none can be read
	Since    time.Time

	Unknown, Unapplied []string // paths of what means nothing to the member, and of what it doesn't apply yet
}

// Pools reads the "pool <topic>" properties of a rocketkit member, sorted by topic. Other libraries' members have none.
func (i RunningInfo) Pools() (pools []Pool) {
	for name, text := range i.Properties {
		topic, ok := strings.CutPrefix(name, "pool ")
		if !ok {
			continue
		}
		said := pairs(text)
		pools = append(pools, Pool{
			Topic: topic, Core: said.number("core"), Max: said.number("max"), Active: said.number("active"),
			Waiting: said.number("waiting"), Paused: said["paused"] == "true", Timeout: said.duration("timeout"),
		})
	}
	slices.SortFunc(pools, func(x, y Pool) int { return strings.Compare(x.Topic, y.Topic) })
	return pools
}

// Settings reads the settings document that a rocketkit member reports. It is false for one that follows none, and for
// members of other libraries.
func (i RunningInfo) Settings() (s MemberSettings, follows bool) {
	text, follows := i.Properties["settings"]
	if !follows {
		return s, false
	}
	said, refused := pairs(text), pairs(i.Properties["settings error"])
	return MemberSettings{
		Rev: int64(said.number("rev")), At: said.time("at"), Expires: said.time("expires"), From: said["from"], By: said["by"],
		Expired: said["expired"] == "true", Deleted: said["deleted"] == "true",
		Error: refused["error"], Reason: refused["reason"], ErrorRev: int64(refused.number("rev")), Since: refused.time("since"),
		Unknown: strings.Fields(i.Properties["settings unknown"]), Unapplied: strings.Fields(i.Properties["settings unapplied"]),
	}, true
}

// said is what a member says in key=value pairs. What it doesn't say, or not as expected, is zero: it may be of another
// release.
type said map[string]string

// pairs reads key=value pairs with a space between them; a value may be quoted as Go does.
func pairs(text string) said {
	all := said{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " ") {
		key, rest, ok := strings.Cut(text, "=")
		if !ok {
			break
		}
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			all[key], _ = strconv.Unquote(quoted)
			text = rest[len(quoted):]
			continue
		}
		all[key], text, _ = strings.Cut(rest, " ")
	}
	return all
}

func (s said) number(key string) int {
	n, _ := strconv.Atoi(s[key])
	return n
}

func (s said) duration(key string) time.Duration {
	d, _ := time.ParseDuration(s[key])
	return d
}

func (s said) time(key string) time.Time {
	t, _ := time.Parse(time.RFC3339, s[key])
	return t
}
