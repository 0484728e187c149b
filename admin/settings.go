package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Errors of settings that callers can act on; test with errors.Is.
var (
	// ErrSettingsChanged means that another document is in force than the one a change was made from, or has come in
	// between: somebody else writes. Read again, and decide anew.
	ErrSettingsChanged = errors.New("somebody else has changed the settings meanwhile: read them again")
	// ErrNoSettings means that no name server that answers has a document of the group.
	ErrNoSettings = errors.New("there are no settings: the program's own hold")
	// ErrNoPrevious means that what the current document has replaced isn't known.
	ErrNoPrevious = errors.New("the document before it isn't known: put one")
)

// Settings is the settings document of one consumer group, as the name servers keep it for the members of the group. It
// is a value, safe for concurrent use; its zero value is not usable.
//
// Name servers neither tell each other nor check who writes. So a document goes to all of them, with a revision above
// every one that is there, and is read back; the highest revision that any of them has is the one that members apply.
// One that a name server missed reaches them from the others, and [Settings.Repair] heals that server.
type Settings struct {
	admin *Admin
	group string
}

// Settings gives the settings document of a consumer group, by its logical name; nothing is sent. They belong to the
// tenant of the client. Where the client has keys for settings, only documents that are signed with one of them count.
func (a *Admin) Settings(group string) Settings { return Settings{admin: a, group: group} }

// SettingsState is what the name servers have of a group's settings.
type SettingsState struct {
	ID       dynconf.ID
	Current  dynconf.Document // the one that counts, also when it has expired or says that it is deleted; Rev is 0 where there is none
	Previous dynconf.Document // the one that Current has replaced, or what counts for nothing in its place; Rev is 0 where it isn't known
	Servers  []SettingsServer // in the order of the client's name servers

	current, previous string // as they were encoded
	seen              int64  // the highest revision of a document, whether it counts or not
	overwritten       bool   // something stands where Previous should, and isn't older than Current
}

// SettingsServer is what one name server has of a group's settings.
type SettingsServer struct {
	Address string
	Rev     int64 // of its document; 0: it has none, or none that can be read
	Current bool  // it has the document that counts, or none where there is none

	// Err is why it can't be asked, or what is wrong with its document; that is a [dynconf.Refusal]. Nil where Rev is 0
	// means that it has none.
	Err error

	server         server
	text, previous string
	asked          bool // it has answered
	doc            dynconf.Document
}

// InForce tells whether there is a document that members apply at this time: one that has neither been deleted nor
// expired.
func (s SettingsState) InForce(now time.Time) bool {
	return inForce(s.Current, now)
}

func inForce(d dynconf.Document, now time.Time) bool {
	return d.Rev != 0 && !d.Deleted && !d.ExpiredAt(now)
}

// Read asks every name server for the group's document (GET_KV_CONFIG 101). Where some don't answer, the [*PartialError]
// that names them comes beside what the others have. That there is no document is no error.
func (s Settings) Read(ctx context.Context) (SettingsState, error) {
	return s.read(ctx, "read the settings of ")
}

func (s Settings) read(ctx context.Context, verb string) (SettingsState, error) {
	id := dynconf.ID{Tenant: s.admin.view.Names.Tenant(), Group: s.group}
	op := verb + "group " + shown(s.group)
	if _, err := s.admin.group(op, "group", s.group); err != nil {
		return SettingsState{}, err
	}
	servers := s.admin.nameServers(ctx)
	state, outcomes := s.readFrom(ctx, id, servers)
	t := &tally{op: op}
	t.add(servers, outcomes)
	return state, t.err()
}

// readFrom reads the document and the one before it from some name servers.
func (s Settings) readFrom(ctx context.Context, id dynconf.ID, servers []server) (SettingsState, []error) {
	now := time.Now()
	held, outcomes := onEach(ctx, servers, func(ctx context.Context, at server) (SettingsServer, error) {
		h := SettingsServer{server: at, Address: at.address}
		var err error
		if h.text, err = s.get(ctx, at, id.Key()); err == nil {
			h.previous, err = s.get(ctx, at, id.PreviousKey())
		}
		h.asked = err == nil
		return h, err
	})
	state := SettingsState{ID: id, Servers: held}
	for i := range held {
		h := &state.Servers[i]
		h.server, h.Address = servers[i], servers[i].address // onEach gives none where ctx had ended
		if h.Err = outcomes[i]; h.Err == nil && h.text != "" {
			h.doc, h.Err = s.decode(id, h.text, now)
			h.Rev = h.doc.Rev
		}
		if h.text == "" {
			continue
		}
		if d, err := dynconf.Decode(id, h.text, now); err == nil {
			state.seen = max(state.seen, d.Rev)
		}
		if h.Rev != 0 && better(h.doc, state.Current) {
			state.Current, state.current = h.doc, h.text
		}
	}
	state.findPrevious(s, now)
	for i := range state.Servers {
		h := &state.Servers[i]
		h.Current = h.asked && h.text == state.current
	}
	return state, outcomes
}

// findPrevious takes the newest document below the current one that some server has under the other key; any where what
// stands in the current one's place counts for nothing.
func (s *SettingsState) findPrevious(from Settings, now time.Time) {
	instead := s.Current.Rev == 0 && s.damaged()
	for _, h := range s.Servers {
		if h.previous == "" {
			continue
		}
		d, err := from.decode(s.ID, h.previous, now)
		switch {
		case err != nil || d.Rev >= s.Current.Rev && !instead:
			s.overwritten = true
		case better(d, s.Previous):
			s.Previous, s.previous = d, h.previous
		}
	}
}

// better tells whether a document counts before another, as its readers tell it. Of two that differ by their signature
// alone, that is the signed one: somebody may have taken the signature away.
func better(d, than dynconf.Document) bool {
	return d.Newer(than) || !than.Newer(d) && d.Key != "" && than.Key == ""
}

func (s Settings) decode(id dynconf.ID, text string, now time.Time) (dynconf.Document, error) {
	return dynconf.Decode(id, text, now, s.admin.keys...)
}

// get reads a key from one name server; "" where it has none.
func (s Settings) get(ctx context.Context, from server, key string) (string, error) {
	answer, err := s.admin.ask(ctx, from, protocol.GetKV{Namespace: dynconf.Namespace, Key: key}.Frame())
	if protocol.HasCode(err, protocol.CodeQueryNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	value, _, err := protocol.ParseGetKV(answer)
	return value, err
}

// put writes a document and the one before it, "" for none, on each of the servers. A server that doesn't take the one
// isn't given the other: it would lose what Undo needs, and one that hangs would hang again.
func (s Settings) put(ctx context.Context, servers []server, id dynconf.ID, previous, text string) []error {
	_, outcomes := onEach(ctx, servers, func(ctx context.Context, at server) (struct{}, error) {
		if previous != "" {
			if err := s.putKey(ctx, at, id.PreviousKey(), previous); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, s.putKey(ctx, at, id.Key(), text)
	})
	return outcomes
}

func (s Settings) putKey(ctx context.Context, at server, key, text string) error {
	_, err := s.admin.ask(ctx, at, protocol.PutKV{Namespace: dynconf.Namespace, Key: key, Value: text}.Frame())
	return err
}

// Undo gives the draft that goes back to what was in force before the current document: the one before it, with what is
// left of its time, or the program's own settings where there was none, or one that had been deleted or has expired. Where
// it isn't known any more the error wraps [ErrNoPrevious], and without a current document [ErrNoSettings]. What stands
// in its place and counts for nothing, such as one that isn't signed, is undone like one that counts.
func (s SettingsState) Undo(now time.Time) (SettingsDraft, error) {
	switch {
	case s.Current.Rev == 0 && s.Previous.Rev == 0:
		return SettingsDraft{}, fmt.Errorf("admin: undo the settings of %s: %w", s.ID, ErrNoSettings)
	case s.Previous.Rev == 0 && s.overwritten:
		return SettingsDraft{}, fmt.Errorf("admin: undo the settings of %s: %w", s.ID, ErrNoPrevious)
	}
	d := SettingsDraft{Over: s.Current.Rev}
	if s.Current.Rev == 0 {
		d.Over = NoSettings
	}
	if p := s.Previous; inForce(p, now) {
		d.Spec, d.Expires = slices.Clone(p.Spec), p.Expires
	} else {
		d.Deleted = true
	}
	return d, nil
}

// damaged tells whether a name server has a document that counts for nothing.
func (s SettingsState) damaged() bool {
	return slices.ContainsFunc(s.Servers, func(h SettingsServer) bool { return h.text != "" && h.Rev == 0 })
}
