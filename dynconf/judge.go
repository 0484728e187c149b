package dynconf

import (
	"slices"
	"time"
)

// hearing is what was read of a document: the text that its source has, or that each name server has.
type hearing struct {
	texts  []string // "" where there is no document
	places []string // who has them, for people; nil for a source of one place
	all    bool     // every place was asked just now
	err    error    // nothing could be read
}

// verdict is what was made of a text: a document, or why it is refused.
type verdict struct {
	document Document
	refusal  *Refusal
	again    time.Time // when it may be judged otherwise; zero: never
	counted  bool      // as one of an older revision
	heard    time.Time // when last
}

// Refused texts are remembered while they aren't heard, as name servers come and go.
const (
	rememberFor  = time.Hour
	rememberMost = 4 // each has some MaxRead bytes at most
)

// hear judges what was read. While that is the same as before, it costs next to nothing.
func (f *Follower) hear(h hearing) {
	f.work.Lock()
	defer f.work.Unlock()
	now := time.Now()
	if h.err != nil {
		f.heard, f.again = hearing{}, time.Time{}
		f.fail(&Refusal{Unreadable, 0, h.err}, now)
		return
	}
	f.show(func(s *Status) { s.Checked = now })
	if f.heard.texts != nil && !h.all && slices.Equal(h.texts, f.heard.texts) && (f.again.IsZero() || now.Before(f.again)) {
		return
	}
	f.heard = h
	f.consider(now)
}

// judgeAgain judges what was heard last anew, when that is due: a source that tells of changes alone says nothing when a
// clock has been set.
func (f *Follower) judgeAgain() {
	f.work.Lock()
	defer f.work.Unlock()
	if now := time.Now(); !f.again.IsZero() && !now.Before(f.again) {
		f.consider(now)
	}
}

func (f *Follower) consider(now time.Time) {
	f.judge(now)
	f.accept(now, f.cfg.Source.String())
	f.compare()
	f.fail(f.failing(), now)
	if !f.again.IsZero() {
		f.wake()
	}
}

// judge decodes the texts that weren't heard before.
func (f *Follower) judge(now time.Time) {
	verdicts := make(map[string]verdict, len(f.heard.texts))
	f.again = time.Time{}
	for _, text := range f.heard.texts {
		if text == "" {
			continue
		}
		v, known := f.verdicts[text]
		if !known || !v.again.IsZero() && !now.Before(v.again) {
			v = f.decode(text, now, v.refusal)
		}
		if !v.again.IsZero() && (f.again.IsZero() || v.again.Before(f.again)) {
			f.again = v.again
		}
		v.heard = now
		verdicts[text] = v
	}
	left := rememberMost
	for text, v := range f.verdicts {
		if _, is := verdicts[text]; !is && v.refused() && left > 0 && len(text) <= MaxRead+1 && now.Sub(v.heard) < rememberFor {
			verdicts[text] = v
			left--
		}
	}
	f.verdicts = verdicts
}

func (v verdict) refused() bool { return v.refusal != nil || v.counted }

// decode judges a text; before is its last refusal.
func (f *Follower) decode(text string, now time.Time, before *Refusal) (v verdict) {
	d, err := Decode(f.cfg.ID, text, now, f.cfg.Keys...)
	if err == nil {
		return verdict{document: d}
	}
	v.refusal = refusalOf(0, err)
	if v.refusal.Reason == FromTheFuture { // it may be this machine's clock
		v.again = now.Add(lookAgain)
	}
	if before == nil {
		f.count(v.refusal.Reason)
	}
	return v
}

// accept puts the newest document that may be into force, unless it is.
func (f *Follower) accept(now time.Time, from string) {
	texts := slices.Clone(f.heard.texts)
	slices.SortFunc(texts, func(a, b string) int {
		first, second := f.verdicts[a].document, f.verdicts[b].document
		switch {
		case first.Newer(second):
			return -1
		case second.Newer(first):
			return 1
		}
		return 0
	})
	for _, text := range texts {
		v := f.verdicts[text]
		if text == "" || v.refusal != nil {
			continue
		}
		if f.is(v.document) {
			f.show(func(s *Status) { s.From = from })
			return
		}
		if !v.document.Newer(f.current) {
			return
		}
		if f.replace(v.document, now, from) {
			f.keep(text)
			return
		}
	}
}

// is tells whether the document is the one that counts, however it is written.
func (f *Follower) is(d Document) bool { return d.Rev == f.current.Rev && d.Sum == f.current.Sum }

// replace makes a document the one that counts. It is false when its settings are refused.
func (f *Follower) replace(d Document, now time.Time, from string) bool {
	expired := d.ExpiredAt(now)
	spec := d.Spec
	if expired {
		spec = nil
	}
	if err := f.apply(spec); err != nil {
		refusal := refusalOf(d.Rev, err)
		f.count(refusal.Reason)
		for text, v := range f.verdicts {
			if v.refusal == nil && v.document.Rev == d.Rev && v.document.Sum == d.Sum {
				f.verdicts[text] = verdict{refusal: refusal, heard: now}
			}
		}
		return false
	}
	f.current, f.expired = d, expired
	f.show(func(s *Status) {
		s.Rev, s.At, s.Expires, s.By, s.Deleted, s.Expired, s.From = d.Rev, d.At, d.Expires, d.By, d.Deleted, expired, from
		if s.Key = ""; len(f.cfg.Keys) > 0 {
			s.Key = d.Key
		}
	})
	f.cfg.Logger.Info("settings applied", "rev", d.Rev, "at", d.At, "by", d.By, "from", from, "deleted", d.Deleted, "expired", expired)
	f.wake()
	return true
}

// failing tells what is wrong with what was heard; nil when nothing is. What one name server has missed is no fault while
// another one has the document that counts, see compare.
func (f *Follower) failing() *Refusal {
	confirmed := false
	for _, text := range f.heard.texts {
		v := f.verdicts[text]
		confirmed = confirmed || text != "" && v.refusal == nil && f.is(v.document)
	}
	var worst, older *Refusal
	for _, text := range f.heard.texts {
		v := f.verdicts[text]
		switch {
		case text == "":
		case v.refusal != nil:
			concerns := !confirmed || v.refusal.Rev == 0 || v.refusal.Rev >= f.current.Rev
			if concerns && (worst == nil || v.refusal.Rev > worst.Rev) {
				worst = v.refusal
			}
		case !confirmed && (older == nil || v.document.Rev > older.Rev):
			older = f.refuse(v.document.Rev)
			if !v.counted {
				v.counted = true
				f.verdicts[text] = v
				f.count(Older)
			}
		}
	}
	if worst == nil {
		return older
	}
	return worst
}

func (f *Follower) refuse(rev int64) *Refusal {
	return (&envelope{Rev: rev}).refuse(Older, "revision %d is below %d, which holds: write it anew with a higher one", rev, f.current.Rev)
}
