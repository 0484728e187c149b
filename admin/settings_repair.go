package admin

import (
	"context"
	"fmt"
)

// repairRounds is how often Repair looks again: somebody may write while it does.
const repairRounds = 3

// Repair puts the document that counts, and the one before it, on every name server that lacks it, such as one that was
// down while it was written or has lost its table. It changes nothing that is in force, needs no key, and may be repeated; where signed documents differ
// from unsigned ones it must know which keys count.
// It returns what the name servers have after it. The [*PartialError] names those that still lack it. Without a document
// the error wraps [ErrNoSettings].
func (s Settings) Repair(ctx context.Context) (SettingsState, error) {
	const verb = "repair the settings of "
	op := verb + "group " + shown(s.group)
	var outcomes map[string]error
	for round := 0; ; round++ {
		state, err := s.read(ctx, verb)
		switch {
		case len(answering(state)) == 0:
			return state, err
		case state.Current.Rev == 0:
			return state, causes{fmt.Errorf("admin: %s: %w", op, ErrNoSettings), err}
		}
		if err := s.unsure(op, state); err != nil {
			return state, err
		}
		lacking := state.lacking()
		if len(lacking) == 0 || round == repairRounds || ctx.Err() != nil {
			return state, repaired(op, state, outcomes)
		}
		outcomes = s.mend(context.WithoutCancel(ctx), state, lacking)
	}
}

// unsure refuses to spread a document that isn't signed over one that is, where nobody has said which keys count: it may
// be a forgery that those who know them ignore.
func (s Settings) unsure(op string, state SettingsState) error {
	if len(s.admin.keys) > 0 || state.Current.Key != "" {
		return nil
	}
	for _, h := range state.Servers {
		if h.doc.Key != "" {
			return fmt.Errorf("admin: %s: %s, is unsigned, and %s has one that is signed with key %s: give the keys that count (ROCKETKIT_SETTINGS_KEYS), or write the settings again",
				op, describeRev("the newest,", state.Current), h.server.name, h.doc.Key)
		}
	}
	return nil
}

// lacking are the servers that answer and lack one of the documents.
func (s SettingsState) lacking() []server {
	var some []server
	for _, h := range s.Servers {
		if h.asked && (!h.Current || s.previous != "" && h.previous != s.previous) {
			some = append(some, h.server)
		}
	}
	return some
}

// mend puts both documents on servers and gives the errors by address.
func (s Settings) mend(ctx context.Context, state SettingsState, servers []server) map[string]error {
	failed := map[string]error{}
	for i, err := range s.put(ctx, servers, state.ID, state.previous, state.current) {
		if err != nil {
			failed[servers[i].address] = err
		}
	}
	return failed
}

// repaired is the error of those that still lack the document that counts.
func repaired(op string, state SettingsState, outcomes map[string]error) error {
	t := &tally{op: op}
	for _, h := range state.Servers {
		err := h.Err
		switch {
		case h.Current:
			err = nil
		case outcomes[h.Address] != nil:
			err = outcomes[h.Address]
		case err == nil:
			err = fmt.Errorf("it has accepted the document, but has %s", describeHeld(h))
		}
		t.add([]server{h.server}, []error{err})
	}
	return t.err()
}
