package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/admin"
)

// verdict tells what the document has come to: nil where every name server has it and every live instance has applied it.
func (f *following) verdict(ctx context.Context, failed error) error {
	behind := f.behind(ctx, failed)
	missed := f.missedBy(behind == nil)
	switch {
	case behind != nil && missed != nil:
		return outcome{fmt.Errorf("%w\nrocketkit: %w", behind, missed), statusLate}
	case behind != nil:
		return outcome{behind, statusLate}
	case missed != nil:
		return outcome{missed, statusMissed}
	}
	return nil
}

// missedBy names the name servers that lack the document.
func (f *following) missedBy(inForce bool) error {
	if f.missed == nil {
		return nil
	}
	what := "written"
	if inForce {
		what = "in force"
	}
	return fmt.Errorf("the settings are %s, but missed by %s; once that works, run %s", what, missing(f.missed, f.state), f.again("conf repair"))
}

// missing names servers that failed, with the reason where that wasn't told when they were read before.
func missing(p *admin.PartialError, before admin.SettingsState) string {
	var texts []string
	for _, m := range p.Failed {
		told := slices.ContainsFunc(before.Servers, func(s admin.SettingsServer) bool { return s.Address == m.Address && s.Err != nil })
		if told {
			texts = append(texts, m.Target)
		} else {
			texts = append(texts, fmt.Sprintf("%s (%v)", m.Target, m.Err))
		}
	}
	return strings.Join(texts, ", ")
}

// behind tells which live instances haven't applied it, or says that all have.
func (f *following) behind(ctx context.Context, failed error) error {
	if !f.watched {
		return nil
	}
	n := map[admin.Progress]int{}
	var slowest time.Duration
	var other int64
	for _, p := range f.seen {
		n[p.Progress]++
		switch p.Progress {
		case admin.Applied:
			slowest = max(slowest, p.Took)
		case admin.Replaced:
			other = max(other, p.Settings.Rev)
		}
	}
	live := len(f.seen) - n[admin.Left]
	var why []string
	add := func(progress admin.Progress, format string, args ...any) {
		if n[progress] > 0 {
			why = append(why, fmt.Sprintf("%d ", n[progress])+fmt.Sprintf(format, args...))
		}
	}
	add(admin.Refused, "refused it and kept what it had (to go back, run %s)", f.undoing())
	add(admin.Expired, "took it for one that has expired: compare the clocks")
	add(admin.Replaced, "already had revision %d, which somebody else has written meanwhile", other)
	add(admin.Without, "can't have settings from the name servers")
	if errors.Is(ctx.Err(), context.Canceled) {
		add(admin.Waiting, "had not applied it when you stopped watching")
	} else {
		add(admin.Waiting, "didn't apply it within %v", f.timeout)
	}
	switch {
	case failed != nil:
		return fmt.Errorf("the settings are written, but the instances can't be watched: %w", failed)
	case len(why) > 0:
		return fmt.Errorf("applied on %d of %s: %s", n[admin.Applied], count(live, "instance"), strings.Join(why, "; "))
	case !f.json() && live == 0:
		_, _ = fmt.Fprintln(f.out, "No instance is connected: those that start will apply it.")
	case !f.json():
		_, _ = fmt.Fprintf(f.out, "\nApplied on all of %s in %s.\n", count(live, "instance"), seconds(slowest))
	}
	return nil
}

// undoing is the command that takes the change back, signed as it was.
func (f *changeFlags) undoing() string {
	text := f.again("pool set") + " --undo"
	if f.keyFile != "" {
		text += " --key-file " + quote(f.keyFile)
	}
	return text
}
