package dynconf

import (
	"maps"
	"time"
)

func (s *Status) clone() Status {
	c := *s
	c.Refused = maps.Clone(s.Refused)
	return c
}

func (f *Follower) count(reason Reason) {
	f.show(func(s *Status) { s.Refused[reason]++ })
}

// fail shows what is wrong, and tells the log when that is news; nil: nothing is.
func (f *Follower) fail(refusal *Refusal, now time.Time) {
	is := Status{}
	if refusal != nil {
		is = Status{Error: refusal.Error(), Reason: refusal.Reason, ErrorRev: refusal.Rev, Since: now}
	}
	var was Status
	f.show(func(s *Status) {
		was = *s
		if is.Reason == was.Reason && is.ErrorRev == was.ErrorRev {
			is.Since = was.Since
		}
		s.Error, s.Reason, s.ErrorRev, s.Since = is.Error, is.Reason, is.ErrorRev, is.Since
	})
	news := is.Reason != was.Reason || is.ErrorRev != was.ErrorRev
	if news && is.Reason == Unreadable {
		f.count(Unreadable)
	}
	if !news && (is.Reason == "" || !f.hushed) || f.hush(is, now) {
		return
	}
	switch log := f.cfg.Logger; is.Reason {
	case "":
		log.Info("settings are read again, and none are refused", "rev", was.Rev)
	case Unreadable:
		log.Warn("settings can't be read, the last ones stay in force", "rev", was.Rev, "from", f.cfg.Source.String(), "error", refusal.Err)
	default:
		log.Warn("settings are refused, the last ones stay in force", "rev", was.Rev, "refused", is.ErrorRev, "reason", string(is.Reason), "error", refusal.Err)
	}
}

// hush tells whether the log isn't to be told, as it has been in the last minute: what comes and goes with a name server
// mustn't fill it. What lasts is told then: all name servers are compared each minute. An end is told when its beginning was.
func (f *Follower) hush(is Status, now time.Time) bool {
	if is.Reason == "" {
		return f.hushed
	}
	_, again := f.cfg.Source.(replicated)
	f.hushed = again && is.Reason == f.warned.Reason && is.ErrorRev == f.warned.ErrorRev && now.Sub(f.warned.Since) < lookAgain
	if !f.hushed {
		f.warned = is
	}
	return f.hushed
}

// compare counts the name servers that have missed the document that counts. What is newer, or refused, is a matter of
// failing. While a document is being written they differ for a moment, so more than before are believed only when all were
// asked.
func (f *Follower) compare() {
	var missed []string
	for i, place := range f.heard.places {
		if f.missing(f.heard.texts[i]) {
			missed = append(missed, place)
		}
	}
	var before, now int
	f.show(func(s *Status) {
		if before = s.Disagreeing; f.heard.all || len(missed) < before {
			s.Disagreeing = len(missed)
		}
		now = s.Disagreeing
	})
	lost := now > 0 && now == len(f.heard.places)
	was := f.lost
	f.lost = lost
	switch {
	case lost && !was:
		f.cfg.Logger.Warn("no name server that answers has the settings that are in force: if none has, rocketkit conf put writes them anew", "rev", f.current.Rev, "servers", missed)
	case before == 0 && now > 0:
		f.cfg.Logger.Warn("name servers miss the settings that are in force: rocketkit conf repair writes them there", "rev", f.current.Rev, "servers", missed)
	case before > 0 && now == 0:
		f.cfg.Logger.Info("name servers have the settings that are in force again", "rev", f.current.Rev)
	}
}

// missing tells whether a name server that has text has missed the document that counts. One that says that there is
// nothing, or that has expired, may be removed.
func (f *Follower) missing(text string) bool {
	if text == "" {
		return f.current.Rev != 0 && !f.current.Deleted && !f.expired
	}
	v := f.verdicts[text]
	if v.refusal != nil {
		return v.refusal.Rev != 0 && v.refusal.Rev < f.current.Rev
	}
	return !f.is(v.document)
}
