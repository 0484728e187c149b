package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf"
)

// rows are what the draft changes; none where it changes nothing.
func (c *change) rows(draft admin.SettingsDraft) []difference {
	rows := c.changes(draft)
	if newest, is := c.ahead(); is && len(rows) == 0 { // what name servers have isn't what holds
		after := "as the name servers have it"
		if draft.Deleted {
			after = "none"
		}
		rows = append(rows, difference{"document", fmt.Sprintf("revision %d at the instances", newest.Rev), after})
	}
	return rows
}

// changes are what the draft changes of what name servers have.
func (c *change) changes(draft admin.SettingsDraft) []difference {
	rows := differences(c.inForce(), draft.Spec)
	for i := range rows {
		if rows[i].before == "" {
			rows[i].before = "not set" + c.lives(rows[i].path)
		}
		if rows[i].after == "" {
			rows[i].after = "not set"
		}
	}
	var expires time.Time
	was, is := "unsigned", "unsigned"
	if c.state.InForce(c.now) {
		expires = c.state.Current.Expires
		was = signedBy(c.state.Current.Key)
		if draft.Deleted && len(rows) == 0 { // a document that says nothing goes
			rows = append(rows, difference{"document", "empty", "none"})
		}
	} else if !draft.Deleted && len(rows) == 0 {
		rows = append(rows, difference{"document", "none", "empty"})
	}
	if draft.Deleted {
		return rows
	}
	if c.key != nil {
		is = signedBy(keyID(c.key))
	}
	if !expires.Equal(draft.Expires) {
		rows = append(rows, difference{"expires", c.until(expires), c.until(draft.Expires)})
	}
	if was != is {
		if !c.state.InForce(c.now) {
			was = "none"
		}
		rows = append(rows, difference{"signature", was, is})
	}
	return rows
}

func signedBy(key string) string {
	if key == "" {
		return "unsigned"
	}
	return "key " + key
}

// until tells when settings end.
func (c *change) until(t time.Time) string { return until(t, c.now) }

func until(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("in %s, at %s", rough(t.Sub(now)), clock(t, now))
}

// clock is a time of this day, or of another.
func clock(t, now time.Time) string {
	if t = t.Local(); t.Format(time.DateOnly) == now.Local().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// rough is a duration as people say it.
func rough(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		text := strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	}
	return fmt.Sprintf("%d days", d.Round(24*time.Hour)/(24*time.Hour))
}

// whole is a duration in minutes, or hours where it is long, as --for takes it.
func whole(d time.Duration) string {
	d = max(d.Round(time.Minute), time.Minute)
	if d >= 48*time.Hour {
		return fmt.Sprintf("%dh", d.Round(time.Hour)/time.Hour)
	}
	return rough(d)
}

// lives tells what a setting is on the live instances, in brackets, where they say.
func (c *change) lives(path string) string {
	topic, key, _ := strings.Cut(strings.TrimPrefix(path, "topics."), ".")
	least, most, found := 0, 0, false
	for _, i := range c.live {
		for _, p := range i.Info.Pools() {
			value, ok := map[string]int{"workers": p.Core, "maxWorkers": p.Max}[key]
			if p.Topic != topic || !ok {
				continue
			}
			if !found {
				least, most, found = value, value, true
			}
			least, most = min(least, value), max(most, value)
		}
	}
	switch {
	case !found:
		return ""
	case least == most:
		return fmt.Sprintf(" (%d)", least)
	}
	return fmt.Sprintf(" (%d to %d)", least, most)
}

// show writes what the draft changes, for people.
func (c *change) show(ctx context.Context, draft admin.SettingsDraft, rows []difference) {
	_, _ = fmt.Fprintf(c.out, "Settings of %s: %s\n", c.state.ID, c.standing())
	if len(rows) == 0 {
		return
	}
	_, _ = fmt.Fprintln(c.out)
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, []string{r.path, r.before, r.after})
	}
	_ = table(c.out, []string{"SETTING", "NOW", "NEW"}, cells) // where this can't be written, nothing can
	c.note()
	c.warn(draft, rows)
	if len(c.live) == 0 && !draft.Deleted {
		_, _ = fmt.Fprintf(c.out, "Note: %s\n\n", c.nobody(ctx))
	}
}

// warn tells of settings that the draft doesn't change, and that end with it.
func (c *change) warn(draft admin.SettingsDraft, rows []difference) {
	if draft.Expires.IsZero() {
		return
	}
	var also []string
	for path, value := range leaves(draft.Spec) {
		if !slices.ContainsFunc(rows, func(r difference) bool { return r.path == path }) {
			also = append(also, path+"="+value)
		}
	}
	if len(also) > 0 {
		slices.Sort(also)
		_, _ = fmt.Fprintf(c.out, "At %s all settings of the group end, and the program's own hold. These end with them: %s\n\n",
			clock(draft.Expires, c.now), clean(strings.Join(also, ", ")))
	}
}

// stateText says what document there is.
func stateText(state admin.SettingsState, now time.Time) string {
	d := state.Current
	switch {
	case d.Rev == 0 && slices.ContainsFunc(state.Servers, damaged):
		return "none that counts"
	case d.Rev == 0:
		return "none, the program's own hold"
	}
	written := fmt.Sprintf("revision %d%s, %s ago", d.Rev, by(d), rough(max(now.Sub(d.At), 0)))
	switch {
	case d.Deleted:
		return "none, the program's own hold (deleted by " + written + ")"
	case d.ExpiredAt(now):
		return fmt.Sprintf("none, the program's own hold (%s has expired at %s)", written, clock(d.Expires, now))
	case !d.Expires.IsZero():
		return fmt.Sprintf("%s, expires %s", written, until(d.Expires, now))
	}
	return written
}

func by(d dynconf.Document) string {
	if d.By == "" {
		return ""
	}
	return " by " + clean(d.By)
}

// clean makes text harmless that others have written: anybody can write to name servers, and what is no letter may steer a
// terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// nearestSetting is a hint for a key that isn't known.
func nearestSetting(path string) string {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"$defs"`
	}
	_ = json.Unmarshal(consumer.SettingsSchema(), &schema) // it is one
	known := schema.Properties
	if strings.Count(path, ".") == 2 {
		known = schema.Defs["topic"].Properties
	}
	return didYouMean("setting", path[strings.LastIndex(path, ".")+1:], slices.Sorted(maps.Keys(known)))
}

// poolText is a pool in a line.
func poolText(p admin.Pool) string {
	text := strconv.Itoa(p.Core)
	if p.Max != p.Core {
		text += " to " + strconv.Itoa(p.Max)
	}
	if p.Paused {
		text += ", paused"
	}
	return text
}
