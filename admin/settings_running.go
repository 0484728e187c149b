package admin

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/dynconf"
)

// RunningPool is a topic's pool of workers as a rocketkit member reports it.
type RunningPool struct {
	Topic   string // logical
	Core    int    // its Workers
	Max     int    // its MaxWorkers
	Active  int    // how many handlers run
	Waiting int    // messages that wait for a worker
	Paused  bool
	Timeout time.Duration // of a handler; 0: none, or it doesn't say
}

// Pools reads the pools from what a member says of itself, sorted by topic. Members of other libraries report none.
func (i RunningInfo) Pools() []RunningPool {
	var pools []RunningPool
	for name, text := range i.Properties {
		topic, ok := strings.CutPrefix(name, "pool ")
		if !ok {
			continue
		}
		f := pairs(text)
		number := func(key string) int {
			n, _ := strconv.Atoi(f[key]) // what isn't said is 0
			return n
		}
		timeout, _ := time.ParseDuration(f["timeout"])
		pools = append(pools, RunningPool{
			Topic: topic, Core: number("core"), Max: number("max"), Active: number("active"), Waiting: number("waiting"),
			Paused: f["paused"] == "true", Timeout: timeout,
		})
	}
	slices.SortFunc(pools, func(x, y RunningPool) int { return cmp.Compare(x.Topic, y.Topic) })
	return pools
}

// RunningSettings is what a rocketkit member reports of its settings document.
type RunningSettings struct {
	Rev     int64     // of the document it has applied; 0: none
	At      time.Time // when that was written; zero when it doesn't say
	Expires time.Time // zero: never
	By      string    // who wrote it
	From    string    // where it came from: "name servers", "cache", "file …"

	Refused int64          // the revision of the document that it has refused; 0: none, or one that has no revision
	Reason  dynconf.Reason // why; empty: it has refused none
	Error   string         // and what was wrong with it
}

// Settings reads what a member says of its settings document. It tells none where the member has no settings that could
// be changed from outside: it runs another library, or was told to leave them alone.
func (i RunningInfo) Settings() (RunningSettings, bool) {
	text, told := i.Properties["settings"]
	refused, failed := i.Properties["settings error"]
	if !told && !failed {
		return RunningSettings{}, false
	}
	f := pairs(text)
	s := RunningSettings{By: f["by"], From: f["from"]}
	s.Rev, _ = strconv.ParseInt(f["rev"], 10, 64)
	s.At, _ = time.Parse(time.RFC3339, f["at"])
	s.Expires, _ = time.Parse(time.RFC3339, f["expires"])
	if failed {
		e := pairs(refused)
		s.Refused, _ = strconv.ParseInt(e["rev"], 10, 64)
		s.Reason, s.Error = dynconf.Reason(e["reason"]), cmp.Or(e["error"], refused)
	}
	return s, true
}

// Elsewhere tells whether the member takes its settings from somewhere else than the name servers, such as a file.
func (s RunningSettings) Elsewhere() bool { return s.From != "" && s.From != fromNameServers && s.From != fromCache }

// What a member calls where its document came from.
const (
	fromNameServers = "name servers"
	fromCache       = "cache"
)

var pairStart = regexp.MustCompile(`(?:^| )([a-zA-Z]+)=`)

// pairs reads "key=value key=value". A value may be quoted, else it goes to the next key.
func pairs(text string) map[string]string {
	found := map[string]string{}
	for text != "" {
		at := pairStart.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		key, rest := text[at[2]:at[3]], text[at[1]:]
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			found[key], _ = strconv.Unquote(quoted) // it is one
			text = rest[len(quoted):]
			continue
		}
		end := len(rest)
		if next := pairStart.FindStringIndex(rest); next != nil {
			end = next[0]
		}
		found[key], text = rest[:end], rest[end:]
	}
	return found
}
