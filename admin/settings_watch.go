package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Progress is how far a member has come with a document.
type Progress string

// What a member may have done with it.
const (
	Waiting  Progress = "waiting"  // it hasn't applied it yet, or can't be asked
	Applied  Progress = "applied"  //
	Refused  Progress = "refused"  // it says why in Settings.Reason and Error
	Expired  Progress = "expired"  // it has it, but by its machine's clock it counts no more, so that its own settings hold
	Replaced Progress = "replaced" // it has applied one of a higher revision: somebody else has written
	Without  Progress = "without"  // it has no settings from the name servers: another library, a file of its own, or switched off
	Left     Progress = "left"     // it isn't a member any more
)

// errUnanswered is why nothing is known of a member: a broker gives it 10 s.
var errUnanswered = errors.New("nothing has come yet")

// SettingsProgress is what one member has done with a document.
type SettingsProgress struct {
	Instance
	Settings MemberSettings
	Progress Progress
	Took     time.Duration // from the time that Watch was given until it was seen
}

// How often members are asked, all together at most some hundred times a second, and brokers who they are.
const (
	askMemberEvery  = 100 * time.Millisecond
	askEachMember   = 5 * time.Millisecond // more of them are asked less often each
	askBrokersEvery = time.Second
)

// Watch follows what the members of the group do with the document of a revision: it asks those that haven't come to an
// end with it, and calls report for each when it has, one at a time. It returns when all have, or reports the rest as
// Waiting when ctx ends. Members that join meanwhile are watched like the others. since is what Took is reckoned from:
// SettingsWritten.Began.
//
// Brokers that don't answer are asked again: a member that only they know may be missed. When none has answered until ctx
// ends, that is an error.
func (s Settings) Watch(ctx context.Context, rev int64, since time.Time, report func(SettingsProgress)) error {
	op := "watch the settings of group " + shown(s.group)
	found, err := s.admin.watched(ctx, op, s.group)
	if err != nil {
		return err
	}
	w := &settingsWatch{
		group: found, rev: rev, since: since, all: map[string]*watchedMember{},
		told: make(chan SettingsProgress), listed: make(chan listing),
	}
	ctx, stop := context.WithCancel(ctx)
	defer w.running.Wait()
	defer stop()
	return w.run(ctx, op, report)
}

// settingsWatch is one Watch.
type settingsWatch struct {
	group *watchedGroup
	rev   int64
	since time.Time

	all    map[string]*watchedMember
	told   chan SettingsProgress
	listed chan listing

	running sync.WaitGroup
}

type watchedMember struct {
	last SettingsProgress
	done bool
	stop context.CancelFunc
}

// listing is what the brokers said of who is in the group.
type listing struct {
	members []member
	err     error
}

func (w *settingsWatch) run(ctx context.Context, op string, report func(SettingsProgress)) error {
	w.running.Go(func() { w.list(ctx) })
	listed, lastErr := false, error(nil)
	end := func(p SettingsProgress) {
		m := w.all[p.ClientID]
		m.done = true
		m.stop()
		report(p)
	}
	for {
		select {
		case l := <-w.listed:
			var partial *PartialError
			lastErr = l.err
			listed = listed || l.err == nil || errors.As(l.err, &partial) && len(partial.Done) > 0
			for _, left := range w.meet(ctx, l) {
				end(left)
			}
		case p := <-w.told:
			m := w.all[p.ClientID]
			if m.done { // it has left while it answered
				continue
			}
			if m.last = p; p.Progress != Waiting {
				end(p)
			}
		case <-ctx.Done():
			return w.timedOut(op, listed, lastErr, report)
		}
		if listed && w.finished() {
			return nil
		}
	}
}

// meet begins to ask members that are new, and gives those that have left, which is certain only when every broker says so.
func (w *settingsWatch) meet(ctx context.Context, l listing) (left []SettingsProgress) {
	for _, m := range l.members {
		if known := w.all[m.ClientID]; known != nil && known.last.Progress != Left {
			continue
		}
		asking, stop := context.WithCancel(ctx)
		w.all[m.ClientID] = &watchedMember{stop: stop, last: SettingsProgress{Instance: Instance{m.Member, RunningInfo{}, errUnanswered}, Progress: Waiting}}
		every := max(askMemberEvery, time.Duration(len(l.members))*askEachMember)
		w.running.Go(func() { w.follow(asking, m, every) })
	}
	if l.err != nil {
		return nil
	}
	for id, known := range w.all {
		gone := !slices.ContainsFunc(l.members, func(m member) bool { return m.ClientID == id })
		if gone && known.last.Progress != Left {
			was := known.done
			known.last.Progress, known.last.Took = Left, time.Since(w.since)
			if !was {
				left = append(left, known.last)
			}
		}
	}
	return left
}

func (w *settingsWatch) finished() bool {
	for _, m := range w.all {
		if !m.done {
			return false
		}
	}
	return true
}

func (w *settingsWatch) timedOut(op string, listed bool, err error, report func(SettingsProgress)) error {
	if !listed {
		if err == nil {
			err = context.DeadlineExceeded
		}
		return fmt.Errorf("admin: %s: nobody tells who is in the group: %w", op, err)
	}
	var rest []SettingsProgress
	for _, m := range w.all {
		if !m.done {
			m.last.Took = time.Since(w.since)
			rest = append(rest, m.last)
		}
	}
	slices.SortFunc(rest, func(x, y SettingsProgress) int { return compareMembers(x.Member, y.Member) })
	for _, p := range rest {
		report(p)
	}
	return nil
}

// list asks the brokers who is in the group until ctx ends.
func (w *settingsWatch) list(ctx context.Context) {
	for {
		members, err := w.group.members(ctx)
		select {
		case w.listed <- listing{members, err}:
		case <-ctx.Done():
			return
		}
		if !pause(ctx, askBrokersEvery) {
			return
		}
	}
}

// follow asks a member until it has come to an end with the document, or ctx ends.
func (w *settingsWatch) follow(ctx context.Context, m member, every time.Duration) {
	for {
		info, err := w.group.ask(ctx, m)
		p := w.judge(Instance{m.Member, info, err})
		select {
		case w.told <- p:
		case <-ctx.Done():
			return
		}
		if p.Progress != Waiting || !pause(ctx, every) {
			return
		}
	}
}

// judge tells what a member has done with the document.
func (w *settingsWatch) judge(i Instance) SettingsProgress {
	p := SettingsProgress{Instance: i, Progress: Waiting, Took: time.Since(w.since)}
	if i.Err != nil {
		return p
	}
	var has bool
	p.Settings, has = i.Info.Settings()
	switch {
	case !has || p.Settings.Elsewhere():
		p.Progress = Without
	case p.Settings.Rev == w.rev && p.Settings.Expired:
		p.Progress = Expired
	case p.Settings.Rev == w.rev:
		p.Progress = Applied
	case p.Settings.Rev > w.rev:
		p.Progress = Replaced
	case p.Settings.ErrorRev == w.rev:
		p.Progress = Refused
	}
	return p
}

// Elsewhere tells whether the member takes its settings from somewhere else than the name servers, such as a file.
func (s MemberSettings) Elsewhere() bool {
	return s.From != "" && s.From != fromNameServers && s.From != fromCache
}

// What a member calls where its document came from.
const (
	fromNameServers = "name servers"
	fromCache       = "cache"
)

// pause waits, and tells whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
