package dynconf

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// applier is a consumer that notes what it is told to apply.
type applier struct {
	mu     sync.Mutex
	specs  []string // "" for the program's own
	signed []bool
	check  func(spec string) error
}

func (a *applier) take(spec json.RawMessage, signed bool) error {
	if !a.mu.TryLock() {
		panic("Apply is called concurrently")
	}
	defer a.mu.Unlock()
	if a.check != nil {
		if err := a.check(string(spec)); err != nil {
			return err
		}
	}
	a.specs, a.signed = append(a.specs, string(spec)), append(a.signed, signed)
	return nil
}

// last is what it has applied last, and how much in all.
func (a *applier) last() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.specs) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d: %s", len(a.specs), a.specs[len(a.specs)-1])
}

// lines is a log to look into.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), text)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// following is a Follower that runs in a bubble.
type following struct {
	*Follower
	applier
	log  lines
	stop func()
}

// follow starts a Follower of billing. It is stopped before the bubble ends.
func follow(t *testing.T, cfg Config, refuse func(spec string) error) *following {
	t.Helper()
	f := &following{}
	f.check = refuse
	cfg.ID, cfg.Apply, cfg.Logger = billing, f.take, f.log.logger()
	f.Follower = NewFollower(cfg)
	ctx, stop := context.WithCancel(t.Context())
	f.Start(ctx)
	var done sync.WaitGroup
	done.Go(func() { f.Run(ctx) })
	f.stop = func() {
		stop()
		done.Wait()
	}
	t.Cleanup(f.stop)
	return f
}

// wants waits until nothing moves, and then checks what is applied and shown.
func (f *following) wants(t *testing.T, applied string, rev int64, reason Reason, errorRev int64) {
	t.Helper()
	synctest.Wait()
	s := f.Status()
	if got := f.last(); got != applied || s.Rev != rev || s.Reason != reason || s.ErrorRev != errorRev || (s.Error == "") != (reason == "") || s.Since.IsZero() != (reason == "") {
		t.Errorf("applied %q, want %q, with rev %d, %s %d\n%+v", got, applied, rev, reason, errorRev, s)
	}
}

func TestFollowerTakesHigherRevisionsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := NewMemory()
		f := follow(t, Config{Source: source}, nil)
		f.wants(t, "nothing", 0, "", 0)
		doc := func(rev int64, spec string) string {
			return written(t, Document{Rev: rev, By: "ann", Spec: json.RawMessage(spec)}, nil)
		}
		source.Set(billing, doc(5, `{"a":5}`))
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		if s := f.Status(); s.By != "ann" || s.From != "memory" || s.Key != "" || s.Disagreeing != 0 || s.Checked.IsZero() {
			t.Errorf("%+v", s)
		}
		source.Set(billing, doc(5, `{"a":5}`)+" ")
		f.wants(t, `1: {"a":5}`, 5, "", 0) // the same, written otherwise
		source.Set(billing, doc(4, `{"a":4}`))
		f.wants(t, `1: {"a":5}`, 5, Older, 4)
		source.Set(billing, doc(5, `{"a":5}`))
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		source.Set(billing, "")
		f.wants(t, `1: {"a":5}`, 5, "", 0) // nothing there is not a deletion
		source.Set(billing, doc(6, `{"a":6}`))
		f.wants(t, `2: {"a":6}`, 6, "", 0)

		// Of two with one revision every instance takes the same, in whatever order they come.
		one, other := doc(7, `{"a":"one"}`), doc(7, `{"a":"other"}`)
		first, _ := Decode(billing, one, time.Now())
		second, _ := Decode(billing, other, time.Now())
		if second.Newer(first) {
			one, other = other, one
		}
		source.Set(billing, other)
		synctest.Wait()
		source.Set(billing, one)
		synctest.Wait()
		applied := f.last()
		source.Set(billing, other)
		f.wants(t, applied, 7, Older, 7)
		if n := f.Status().Refused[Older]; n != 2 {
			t.Errorf("%d older ones are counted", n)
		}
	})
}

func TestFollowerRefusesThenRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		public, private := key(0)
		_, strangers := key(1)
		source := NewMemory()
		f := follow(t, Config{Source: source, Keys: []ed25519.PublicKey{public}}, func(spec string) error {
			if strings.Contains(spec, "workers\":-1") {
				return errors.New("topics.orders.workers: -1 is below 1")
			}
			return nil
		})
		at := time.Now()
		text := func(after time.Duration, spec string, private ed25519.PrivateKey) string {
			return written(t, dated(at.Add(after), spec), private)
		}
		rev := func(after time.Duration) int64 { return at.Add(after).UnixMilli() }
		source.Set(billing, text(time.Second, `{"workers":1}`, private))
		f.wants(t, `1: {"workers":1}`, rev(time.Second), "", 0)
		if s := f.Status(); s.Key != KeyID(public) || !f.signed[0] {
			t.Errorf("%+v, signed %v", s, f.signed)
		}
		for i, bad := range []struct {
			text   string
			reason Reason
			rev    int64
		}{
			{text(2*time.Second, `{"workers":2}`, nil), BadSignature, rev(2 * time.Second)},
			{text(3*time.Second, `{"workers":2}`, strangers), BadSignature, rev(3 * time.Second)},
			{"{", Malformed, 0},
			{strings.Repeat("x", 16<<20), TooLarge, 0},
			{`{"s":2}`, UnknownVersion, 0},
			{text(25*time.Hour, `{"workers":2}`, private), FromTheFuture, rev(25 * time.Hour)},
			{text(4*time.Second, `{"workers":-1}`, private), Invalid, rev(4 * time.Second)},
			{text(0, `{"workers":2}`, private), Older, rev(0)},
		} {
			before := f.Status().Refused[bad.reason]
			source.Set(billing, bad.text)
			f.wants(t, `1: {"workers":1}`, rev(time.Second), bad.reason, bad.rev)
			source.Set(billing, bad.text) // it is read again and again
			f.wants(t, `1: {"workers":1}`, rev(time.Second), bad.reason, bad.rev)
			if n := f.Status().Refused[bad.reason] - before; n != 1 {
				t.Errorf("%s is counted %d times", bad.reason, n)
			}
			if n := f.log.count("settings are refused"); n != i+1 {
				t.Errorf("%d lines in the log after %d refusals:\n%s", n, i+1, &f.log.out)
			}
		}
		source.Set(billing, text(5*time.Second, `{"workers":5}`, private))
		f.wants(t, `2: {"workers":5}`, rev(5*time.Second), "", 0)
	})
}

// TestFollowerSourceFails: what can't be read changes nothing, and is said once.
func TestFollowerSourceFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		f := follow(t, Config{Source: source}, nil)
		source.say(written(t, Document{Rev: 5, Spec: json.RawMessage(`{"a":5}`)}, nil), nil)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		read := f.Status().Checked
		time.Sleep(time.Minute)
		source.say("", errors.New("no way 1"))
		source.say("", errors.New("no way 2"))
		f.wants(t, `1: {"a":5}`, 5, Unreadable, 0)
		if s := f.Status(); s.Error != "no way 2" || !s.Checked.Equal(read) || s.Refused[Unreadable] != 1 || f.log.count("can't be read") != 1 {
			t.Errorf("%+v\n%s", s, &f.log.out)
		}
		source.say(written(t, Document{Rev: 5, Spec: json.RawMessage(`{"a":5}`)}, nil), nil)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		if s := f.Status(); !s.Checked.After(read) {
			t.Errorf("%+v", s)
		}
	})
}

// scripted is a Source that says what a test tells it to.
type scripted struct {
	mu    sync.Mutex
	found func(string, error)
}

func (s *scripted) Watch(ctx context.Context, _ ID, found func(string, error)) {
	s.mu.Lock()
	s.found = found
	s.mu.Unlock()
	<-ctx.Done()
}

func (s *scripted) String() string { return "script" }

func (s *scripted) say(text string, err error) {
	synctest.Wait()
	s.mu.Lock()
	found := s.found
	s.mu.Unlock()
	found(text, err)
}

func TestFollowerExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := NewMemory()
		f := follow(t, Config{Source: source}, nil)
		f.wants(t, "nothing", 0, "", 0) // it runs
		until := func(d time.Duration, spec string) (int64, string) {
			doc := dated(time.Now(), spec)
			doc.Expires = time.Now().Add(d)
			return doc.Rev, written(t, doc, nil)
		}
		rev, text := until(3*time.Hour, `{"a":1}`)
		source.Set(billing, text)
		f.wants(t, `1: {"a":1}`, rev, "", 0)
		time.Sleep(3*time.Hour - time.Millisecond)
		f.wants(t, `1: {"a":1}`, rev, "", 0)
		time.Sleep(time.Millisecond)
		f.wants(t, `2: `, rev, "", 0)
		if !f.Status().Expired {
			t.Errorf("%+v", f.Status())
		}
		source.Set(billing, text+" ") // read once more
		f.wants(t, `2: `, rev, "", 0)

		// One that has expired when it comes replaces what is in force, and one that comes before it expires goes on.
		time.Sleep(time.Hour)
		rev, text = until(time.Hour, `{"a":2}`)
		source.Set(billing, text)
		f.wants(t, `3: {"a":2}`, rev, "", 0)
		time.Sleep(time.Minute)
		rev, text = until(-time.Minute, `{"a":3}`)
		source.Set(billing, text)
		f.wants(t, `4: `, rev, "", 0)
		time.Sleep(time.Hour)
		rev, text = until(time.Minute, `{"a":4}`)
		source.Set(billing, text)
		f.wants(t, `5: {"a":4}`, rev, "", 0)
		if f.Status().Expired {
			t.Errorf("%+v", f.Status())
		}
		time.Sleep(30 * time.Second)
		later := dated(time.Now(), `{"a":5}`)
		source.Set(billing, written(t, later, nil)) // without an end
		f.wants(t, `6: {"a":5}`, later.Rev, "", 0)
		time.Sleep(24 * time.Hour)
		f.wants(t, `6: {"a":5}`, later.Rev, "", 0)
		rev, text = until(time.Minute, `{"a":6}`)
		source.Set(billing, text)
		f.wants(t, `7: {"a":6}`, rev, "", 0)
		time.Sleep(time.Minute)
		f.wants(t, `8: `, rev, "", 0)
	})
}

func TestFollowerTombstone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := NewMemory()
		source.Set(billing, written(t, Document{Rev: 5, Spec: json.RawMessage(`{"a":5}`)}, nil))
		f := follow(t, Config{Source: source}, nil)
		f.wants(t, `1: {"a":5}`, 5, "", 0)
		source.Set(billing, written(t, Document{Rev: 6, Deleted: true}, nil))
		f.wants(t, `2: `, 6, "", 0)
		if !f.Status().Deleted {
			t.Errorf("%+v", f.Status())
		}
		source.Set(billing, "") // a month later it is removed
		f.wants(t, `2: `, 6, "", 0)
		source.Set(billing, written(t, Document{Rev: 5, Spec: json.RawMessage(`{"a":5}`)}, nil))
		f.wants(t, `2: `, 6, Older, 5)
		source.Set(billing, written(t, Document{Rev: 7, Spec: json.RawMessage(`{"a":7}`)}, nil))
		f.wants(t, `3: {"a":7}`, 7, "", 0)
	})
}

// TestFollowerClockRunsBehind: a document from the future is taken once the time has come, though it is the same.
func TestFollowerClockRunsBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		f := follow(t, Config{Source: source}, nil)
		d := dated(time.Now().Add(25*time.Hour), `{"a":1}`)
		text := written(t, d, nil)
		for range 59 {
			source.say(text, nil)
			f.wants(t, "nothing", 0, FromTheFuture, d.Rev)
			time.Sleep(time.Minute)
		}
		time.Sleep(2 * time.Minute)
		source.say(text, nil)
		f.wants(t, `1: {"a":1}`, d.Rev, "", 0)
		if n := f.Status().Refused[FromTheFuture]; n != 1 {
			t.Errorf("it is counted %d times", n)
		}
	})
}

// TestFollowerClockIsSet: nor does a source have to say it again, which a file does only when it changes.
func TestFollowerClockIsSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		f := follow(t, Config{Source: source}, nil)
		d := dated(time.Now().Add(25*time.Hour), `{"a":1}`)
		source.say(written(t, d, nil), nil)
		f.wants(t, "nothing", 0, FromTheFuture, d.Rev)
		time.Sleep(time.Hour - time.Minute)
		f.wants(t, "nothing", 0, FromTheFuture, d.Rev)
		time.Sleep(2 * time.Minute)
		f.wants(t, `1: {"a":1}`, d.Rev, "", 0)

		// What can't be read any more isn't judged, and stays an error.
		later := dated(time.Now().Add(25*time.Hour), `{"a":2}`)
		later.Expires = time.Now().Add(30 * time.Hour)
		source.say(written(t, later, nil), nil)
		source.say("", errors.New("no way"))
		time.Sleep(2 * time.Hour)
		f.wants(t, `1: {"a":1}`, d.Rev, Unreadable, 0)
		source.say(written(t, later, nil), nil)
		f.wants(t, `2: {"a":2}`, later.Rev, "", 0)
		time.Sleep(28 * time.Hour)
		f.wants(t, `3: `, later.Rev, "", 0)
		if n := f.Status().Refused[FromTheFuture]; n != 2 || f.log.count("settings are refused") != 2 {
			t.Errorf("counted %d times\n%s", n, &f.log.out)
		}
	})
}

// TestFollowerStartWaits: for the first word, a second at most, and leaves nothing running.
func TestFollowerStartWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after time.Duration
		err   error
		want  time.Duration
	}{
		"at once":      {0, nil, 0},
		"soon":         {700 * time.Millisecond, nil, 700 * time.Millisecond},
		"fails":        {200 * time.Millisecond, errors.New("no"), 200 * time.Millisecond},
		"late, failed": {time.Hour, errors.New("no"), time.Second},
		"too late":     {time.Hour, nil, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var a applier
				f := NewFollower(Config{ID: billing, Apply: a.take, Logger: slog.New(slog.DiscardHandler), Source: late{test.after, test.err}})
				began := time.Now()
				f.Start(t.Context())
				if took := time.Since(began); took != test.want {
					t.Errorf("it took %v, want %v", took, test.want)
				}
			})
		})
	}
}

// late is a Source whose first word comes later.
type late struct {
	after time.Duration
	err   error
}

func (l late) Watch(ctx context.Context, _ ID, found func(string, error)) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(l.after):
	}
	found("", l.err)
	<-ctx.Done()
}

func (l late) String() string { return "late" }

// TestMemory: all who watch are told at once, each of its own document.
func TestMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m Memory
		ctx, stop := context.WithCancel(t.Context())
		var heard [3][]string
		var done sync.WaitGroup
		for i, id := range []ID{billing, billing, {Group: "billing"}} {
			done.Go(func() {
				m.Watch(ctx, id, func(text string, err error) { heard[i] = append(heard[i], fmt.Sprint(text, err)) })
			})
		}
		for _, text := range []string{"one", "", "two"} {
			synctest.Wait()
			m.Set(billing, text)
		}
		synctest.Wait()
		m.Set(billing, "three")
		m.Set(billing, "four")
		synctest.Wait()
		stop()
		done.Wait()
		m.Set(billing, "five")
		for i, want := range []string{"[<nil> one<nil> <nil> two<nil>] four<nil>", "[<nil> one<nil> <nil> two<nil>] four<nil>", "[] <nil>"} {
			words := heard[i]
			n := min(len(words)-1, 4) // of two at the same time the first may be missed, or the second heard twice
			if got := fmt.Sprint(words[:n], " ", words[len(words)-1]); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}
