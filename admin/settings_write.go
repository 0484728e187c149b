package admin

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/dynconf"
)

// NoSettings is the SettingsDraft.Over of a draft that is to be the first document.
const NoSettings = -1

// SettingsDraft is a document that is to be written.
type SettingsDraft struct {
	Spec    json.RawMessage // all of the settings, a JSON object; none when Deleted. What may stand in it is said by package consumer
	Expires time.Time       // from then on the program's own settings hold again; zero: never. Rounded to milliseconds
	Deleted bool            // there shall be no settings, so that the program's own hold
	By      string          // who writes it, for people; may be empty

	// Over is the revision of the document that this one was made from. When another is in force, nothing is written, and
	// the error wraps ErrSettingsChanged. 0 replaces whatever is there, NoSettings is for the first document.
	Over int64

	// Above is a revision that the new one is to exceed besides those that name servers have: members that have applied it
	// take no lower one, though name servers may have lost it. One too far in the future for any member counts for nothing.
	Above int64
}

// SettingsWritten is a document that was written.
type SettingsWritten struct {
	Document dynconf.Document
	Began    time.Time        // when the first name server was about to get it
	Servers  []SettingsServer // what each of them has after it
}

// check tells what is wrong with the draft itself.
func (d SettingsDraft) check(op string, now time.Time) error {
	switch {
	case d.Deleted && (len(d.Spec) > 0 || !d.Expires.IsZero()):
		return invalid(op, "Deleted", errors.New("goes with neither Spec nor Expires"))
	case !d.Deleted && !isObject(d.Spec):
		return invalid(op, "Spec", errors.New("is no JSON object"))
	case !d.Expires.IsZero() && !d.Expires.After(now):
		return invalid(op, "Expires", fmt.Errorf("%s is past", d.Expires.Format(time.RFC3339)))
	}
	return nil
}

func isObject(text json.RawMessage) bool {
	return json.Valid(text) && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{"))
}

// Write puts a document on every name server that answers and keeps what it replaces for Undo. Its revision is the time in
// milliseconds, or one more than the highest that is there. A key signs it; nil leaves it unsigned.
//
// Where a name server missed it, the error is a [*PartialError], though the document is in force as soon as one has it:
// Done tells. A name server that can't be read isn't written either, and a document that a name server has accepted, but
// doesn't have when it is read back, counts as missed. Where somebody else wrote at the same time and won, the error wraps
// [ErrSettingsChanged]. What Write has begun it finishes, within a few request time-outs, also when ctx ends; when ctx is
// canceled before that, nothing is written.
//
// Write knows nothing of what Spec means: whoever applies it may refuse it. [Settings.Watch] tells.
func (s Settings) Write(ctx context.Context, draft SettingsDraft, key ed25519.PrivateKey) (SettingsWritten, error) {
	const verb = "write the settings of "
	op := verb + "group " + shown(s.group)
	if err := draft.check(op, time.Now()); err != nil {
		return SettingsWritten{}, err
	}
	state, err := s.read(ctx, verb)
	if answering := answering(state); len(answering) == 0 {
		return SettingsWritten{}, err
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) { // the others haven't failed: they weren't asked to the end
		return SettingsWritten{}, fmt.Errorf("admin: %s: nothing was written: %w", op, err)
	}
	if draft.Over != 0 && max(draft.Over, 0) != state.Current.Rev {
		return SettingsWritten{}, fmt.Errorf("admin: %s: %s: %w", op, describeRev("in force is", state.Current), ErrSettingsChanged)
	}
	now := time.Now()
	text, document, err := s.encode(op, state, draft, key, now)
	if err != nil {
		return SettingsWritten{}, err
	}
	ctx = context.WithoutCancel(ctx)
	servers := answering(state)
	written := SettingsWritten{Document: document, Began: time.Now()}
	outcomes := s.put(ctx, servers, state.ID, state.current, text)
	back, _ := s.readFrom(ctx, state.ID, servers)
	written.Servers = after(state.Servers, back.Servers)
	return written, judge(op, written, text, servers, outcomes)
}

// encode makes the document, and reads it as those will who apply it.
func (s Settings) encode(op string, state SettingsState, draft SettingsDraft, key ed25519.PrivateKey, now time.Time) (string, dynconf.Document, error) {
	d := dynconf.Document{
		Rev: max(state.seen+1, believable(draft.Above, now)+1, now.UnixMilli()), At: now,
		Expires: draft.Expires, Deleted: draft.Deleted, By: draft.By, Spec: draft.Spec,
	}
	text, err := d.Encode(state.ID, key)
	if err == nil {
		d, err = s.decode(state.ID, text, now)
	}
	if err != nil {
		return "", d, fmt.Errorf("admin: %s: %w: %w", op, err, rocketkit.ErrConfig)
	}
	return text, d, nil
}

// believable is a revision that a member may have applied, else 0.
func believable(rev int64, now time.Time) int64 {
	if rev >= now.Add(dynconf.MaxAhead).UnixMilli() {
		return 0
	}
	return rev
}

// answering are the servers that could be read.
func answering(state SettingsState) []server {
	var some []server
	for _, h := range state.Servers {
		if h.asked {
			some = append(some, h.server)
		}
	}
	return some
}

// after gives what each server has now: those that weren't read again still have what they had.
func after(before, now []SettingsServer) []SettingsServer {
	all := append([]SettingsServer(nil), before...)
	for i := range all {
		for _, h := range now {
			if h.Address == all[i].Address {
				all[i] = h
			}
		}
	}
	return all
}

// judge tells what became of a write from what was read back. servers are those that it was put on, with the outcomes.
func judge(op string, written SettingsWritten, text string, servers []server, outcomes []error) error {
	t := &tally{op: op}
	for i := range written.Servers {
		h := &written.Servers[i]
		h.Current = h.asked && h.text == text
		switch {
		case h.Rev != 0 && h.doc.Newer(written.Document):
			return fmt.Errorf("admin: %s: it was written, but %s on %s: %w", op, describeRev("in force is", h.doc), h.server.name, ErrSettingsChanged)
		case h.Current:
			t.add([]server{h.server}, []error{nil})
			continue
		}
		err := h.Err
		for j, at := range servers {
			if at.address == h.Address && outcomes[j] != nil {
				err = outcomes[j]
			}
		}
		if err == nil {
			err = fmt.Errorf("it has accepted the document, but has %s", describeHeld(*h))
		}
		t.add([]server{h.server}, []error{err})
	}
	return t.err()
}

func describeHeld(h SettingsServer) string {
	if h.Rev == 0 {
		return "none"
	}
	return describeRev("still", h.doc)
}

// describeRev names a document for people.
func describeRev(prefix string, d dynconf.Document) string {
	if d.Rev == 0 {
		return strings.TrimSpace(prefix + " none")
	}
	text := fmt.Sprintf("%s revision %d", prefix, d.Rev)
	if d.By != "" {
		text += " by " + shown(d.By)
	}
	return strings.TrimSpace(text)
}
