package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
)

// following is a document on its way to the instances.
type following struct {
	*change
	document dynconf.Document
	servers  []admin.SettingsServer
	missed   *admin.PartialError // nil: every name server has it
	topics   []string            // whose pools are shown
	width    int                 // of an instance's name

	mu      sync.Mutex
	began   time.Time
	seen    []admin.SettingsProgress
	watched bool
}

// follow tells where a document was written, and watches the instances apply it.
func (c *change) follow(ctx context.Context, written admin.SettingsWritten, missed *admin.PartialError) error {
	f := &following{
		change: c, document: written.Document, servers: written.Servers, missed: missed, began: written.Began,
		topics: slices.Compact(slices.Sorted(slices.Values(append(topicsIn(c.inForce()), topicsIn(written.Document.Spec)...)))),
	}
	if !c.json() {
		where := count(len(f.servers), "name server")
		if missed != nil {
			where = fmt.Sprintf("%d of %s", len(missed.Done), where)
		}
		_, _ = fmt.Fprintf(c.out, "Wrote revision %d to %s.\n", f.document.Rev, where)
	}
	return f.watch(ctx)
}

// confirmApplied is follow for a document that is there already.
func (c *change) confirmApplied(ctx context.Context) error {
	if !c.json() {
		_, _ = fmt.Fprintln(c.out, "Nothing to change.")
	}
	f := &following{change: c, document: c.state.Current, servers: c.state.Servers, began: time.Now(), topics: topicsIn(c.inForce())}
	t := &admin.PartialError{Op: "write the settings of group " + c.group}
	for _, s := range f.servers {
		switch {
		case s.Current:
			continue
		case s.Err == nil:
			s.Err = errors.New("it hasn't got the document")
		}
		t.Failed = append(t.Failed, admin.Failure{Target: "name server " + s.Address, Address: s.Address, Err: s.Err})
	}
	if len(t.Failed) > 0 && c.state.Current.Rev != 0 {
		f.missed = t
	}
	if c.dryRun || c.state.Current.Rev == 0 {
		f.timeout = 0
	}
	return f.watch(ctx)
}

// watch prints a line for each instance as it comes to an end with the document, and what it comes to.
func (f *following) watch(ctx context.Context) (err error) {
	if f.timeout > 0 {
		f.watched = true
		for _, i := range f.live {
			f.width = max(f.width, len(i.ClientID))
		}
		watching, cancel := context.WithTimeout(ctx, f.timeout)
		stop := f.progress(watching)
		err = f.admin.Settings(f.group).Watch(watching, f.document.Rev, f.began, f.add)
		cancel()
		stop()
		f.departed()
	}
	if f.json() {
		if err := printJSON(f.out, f.report()); err != nil {
			return err
		}
	}
	return f.verdict(ctx, err)
}

// departed adds those that were there before the document, and left before anybody asked.
func (f *following) departed() {
	for _, i := range f.live {
		if !slices.ContainsFunc(f.seen, func(p admin.SettingsProgress) bool { return p.ClientID == i.ClientID }) {
			f.add(admin.SettingsProgress{Instance: i, Progress: admin.Left, Took: time.Since(f.began)})
		}
	}
}

// add takes an instance's end with the document and prints its line.
func (f *following) add(p admin.SettingsProgress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := len(f.seen) == 0
	if p.Progress == admin.Expired && !f.document.Expires.After(time.Now()) {
		p.Progress = admin.Applied // it has ended by our clock, too
	}
	f.seen = append(f.seen, p)
	if f.json() {
		return
	}
	f.wipe()
	line := func(instance, status, took, detail string) {
		text := fmt.Sprintf("%-*s  %-8s  %7s  %s", max(f.width, len("INSTANCE")), instance, status, took, detail)
		_, _ = fmt.Fprintln(f.out, strings.TrimRight(text, " "))
	}
	if first {
		f.note()
		line("INSTANCE", "STATUS", "TOOK", "")
	}
	line(clean(p.ClientID), string(p.Progress), seconds(p.Took), strings.ReplaceAll(clean(f.detail(p)), "\n", " "))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// detail says of an instance what its status doesn't.
func (f *following) detail(p admin.SettingsProgress) string {
	switch p.Progress {
	case admin.Applied:
		var pools []string // and what else it says
		for _, pool := range p.Info.Pools() {
			if slices.Contains(f.topics, pool.Topic) {
				pools = append(pools, pool.Topic+" "+poolText(pool))
			}
		}
		if len(p.Settings.Unknown) > 0 {
			pools = append(pools, "ignores "+strings.Join(p.Settings.Unknown, ", "))
		}
		if len(p.Settings.Unapplied) > 0 {
			pools = append(pools, "doesn't apply yet "+strings.Join(p.Settings.Unapplied, ", "))
		}
		return strings.Join(pools, "; ")
	case admin.Refused:
		return fmt.Sprintf("%s: %s", p.Settings.Reason, p.Settings.Error)
	case admin.Expired:
		return "by its machine's clock the settings have ended at " + p.Settings.Expires.UTC().Format(time.RFC3339) + ": its own hold"
	case admin.Replaced:
		return fmt.Sprintf("has revision %d%s", p.Settings.Rev, by(dynconf.Document{By: p.Settings.By}))
	case admin.Without:
		return without(p.Instance)
	case admin.Left:
		return "isn't connected any more"
	}
	if p.Err != nil {
		return "doesn't answer: " + p.Err.Error()
	}
	text := "has none"
	if p.Settings.Rev != 0 {
		text = fmt.Sprintf("has revision %d", p.Settings.Rev)
	}
	if p.Settings.Error != "" {
		text += "; " + p.Settings.Error
	}
	return text
}

// without says why an instance doesn't follow the name servers.
func without(i admin.Instance) string {
	if s, has := i.Info.Settings(); has {
		return "takes its settings from " + s.From
	}
	if len(i.Info.Pools()) > 0 {
		return "follows none: switched off, or an older release"
	}
	return strings.TrimSpace(fmt.Sprintf("another library, %s %s", i.Language, i.Version)) + ", which has none"
}

// progress keeps a line on the terminal until it is stopped.
func (f *following) progress(ctx context.Context) (stop func()) {
	if !f.shared.console.terminal || f.json() {
		return func() {}
	}
	stopped := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-stopped:
				return
			case <-ctx.Done():
				return
			}
			f.mu.Lock()
			f.wipe()
			_, _ = fmt.Fprintf(f.err, "%d of %s, %.1fs", len(f.seen), count(max(len(f.live), len(f.seen)), "instance"), time.Since(f.began).Seconds())
			f.mu.Unlock()
		}
	})
	return func() {
		close(stopped)
		done.Wait()
		f.wipe()
	}
}

// wipe clears the line that progress keeps.
func (f *following) wipe() {
	if f.shared.console.terminal && !f.json() {
		_, _ = fmt.Fprint(f.err, "\r\x1b[K")
	}
}
